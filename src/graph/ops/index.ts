import type { OpDefinition } from "../op.ts";
import { argOps } from "./arg.ts";
import { averagePool } from "./average-pool.ts";
import { batchNormTraining, batchNormTrainingGradient } from "./batch-norm-training.ts";
import { batchNormalization } from "./batch-normalization.ts";
import { binaryOps } from "./binary.ts";
import { cast } from "./cast.ts";
import { clip } from "./clip.ts";
import { concat } from "./concat.ts";
import { constantOfShape } from "./constant-of-shape.ts";
import { conv } from "./conv.ts";
import { convTranspose } from "./conv-transpose.ts";
import { depthToSpace, spaceToDepth } from "./depth-and-space.ts";
import { dropout } from "./dropout.ts";
import { expand } from "./expand.ts";
import { flatten } from "./flatten.ts";
import { gather } from "./gather.ts";
import { gemm } from "./gemm.ts";
import { globalAveragePool } from "./global-average-pool.ts";
import { globalMaxPool } from "./global-max-pool.ts";
import { groupNormalization } from "./group-normalization.ts";
import { identity } from "./identity.ts";
import { instanceNormalization } from "./instance-normalization.ts";
import { layerNormalization, rmsNormalization } from "./layer-normalization.ts";
import { lpNormalization } from "./lp-normalization.ts";
import { lpPool } from "./lp-pool.ts";
import { lrn } from "./lrn.ts";
import { matmul } from "./matmul.ts";
import { matrixRank } from "./matrix-rank.ts";
import { maxPool } from "./max-pool.ts";
import { meanVarianceNormalization } from "./mean-variance-normalization.ts";
import { pad } from "./pad.ts";
import { averagePoolGradient, maxPoolGradient } from "./pool-gradients.ts";
import { prelu } from "./prelu.ts";
import { randomMask } from "./random-mask.ts";
import { range } from "./range.ts";
import { reduceOps } from "./reduce.ts";
import { reluGrad } from "./relu-grad.ts";
import { reshape } from "./reshape.ts";
import { resize } from "./resize.ts";
import { shapeOp, sizeOp } from "./shape.ts";
import { slice } from "./slice.ts";
import { logSoftmax, softmax } from "./softmax.ts";
import { softmaxCrossEntropy } from "./softmax-cross-entropy.ts";
import { split } from "./split.ts";
import { squeeze } from "./squeeze.ts";
import { tile } from "./tile.ts";
import { transpose } from "./transpose.ts";
import { unaryOps } from "./unary.ts";
import { unslice } from "./unslice.ts";
import { unsqueeze } from "./unsqueeze.ts";
import { accumulate, adamUpdate, sgdUpdate } from "./update.ts";
import { variadicOps } from "./variadic.ts";
import { weightGradient } from "./weight-gradient.ts";
import { where } from "./where.ts";

/** Every op the engine knows, one file each. */
export const ops: readonly OpDefinition[] = [
  averagePool,
  batchNormalization,
  conv,
  gemm,
  globalAveragePool,
  globalMaxPool,
  identity,
  lpPool,
  maxPool,
  matmul,
  logSoftmax,
  softmax,
  dropout,
  layerNormalization,
  rmsNormalization,
  instanceNormalization,
  groupNormalization,
  lrn,
  meanVarianceNormalization,
  lpNormalization,
  depthToSpace,
  spaceToDepth,
  convTranspose,
  resize,
  ...argOps,
  ...binaryOps,
  cast,
  clip,
  concat,
  constantOfShape,
  expand,
  flatten,
  gather,
  pad,
  prelu,
  range,
  ...reduceOps,
  reshape,
  shapeOp,
  sizeOp,
  slice,
  split,
  squeeze,
  tile,
  transpose,
  ...unaryOps,
  unsqueeze,
  ...variadicOps,
  where,
  averagePoolGradient,
  batchNormTraining,
  batchNormTrainingGradient,
  matrixRank,
  maxPoolGradient,
  randomMask,
  reluGrad,
  softmaxCrossEntropy,
  accumulate,
  adamUpdate,
  sgdUpdate,
  weightGradient,
  unslice,
];

const byName = new Map(ops.map((op) => [op.name, op]));

export const findOp = (name: string): OpDefinition | undefined => byName.get(name);
