import type { Lowering } from "../lowering.ts";
import { argLowerings } from "./arg.ts";
import { binaryLowerings } from "./binary.ts";
import { convLowering } from "./conv-generic.ts";
import { convTransposeLowering } from "./conv-transpose.ts";
import { matmulLowerings } from "./matmul.ts";
import { matrixRankLowering } from "./matrix-rank.ts";
import { movementLowerings } from "./movement.ts";
import { normLowerings } from "./norm.ts";
import { batchTrainingLowerings } from "./norm-batch-training.ts";
import { poolLowerings } from "./pool.ts";
import { poolGradientLowerings } from "./pool-gradient.ts";
import { reduceLowerings } from "./reduce.ts";
import { resizeLowering } from "./resize.ts";
import { softmaxLowerings } from "./softmax.ts";
import { trainingLowerings } from "./training.ts";
import { unaryLowerings } from "./unary.ts";
import { weightGradientLowering } from "./weight-gradient.ts";

/** How every op runs on the device. Adding an op's kernels is one entry here. */
export const lowerings: readonly Lowering[] = [
  ...argLowerings,
  ...binaryLowerings,
  convLowering,
  convTransposeLowering,
  ...matmulLowerings,
  matrixRankLowering,
  ...movementLowerings,
  ...normLowerings,
  ...poolLowerings,
  ...reduceLowerings,
  resizeLowering,
  ...batchTrainingLowerings,
  ...poolGradientLowerings,
  ...softmaxLowerings,
  ...trainingLowerings,
  ...unaryLowerings,
  weightGradientLowering,
];

const byOp = new Map(lowerings.flatMap((l) => l.ops.map((op) => [op, l] as const)));

export const findLowering = (op: string): Lowering | undefined => byOp.get(op);

/** May an activation that follows this op be applied by the op's own kernel? */
export const fusesActivation = (op: string): boolean => byOp.get(op)?.fusesActivation === true;

/** And an Add that follows it? */
export const fusesResidual = (op: string): boolean => byOp.get(op)?.fusesResidual === true;
