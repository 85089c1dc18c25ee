import { sizeOf } from "../../tensor/shape.ts";
import type { LowerContext, Lowering } from "../lowering.ts";
import { gemmProblem, type MatmulProblem, matmulProblem } from "./matmul-problem.ts";
import { type MatmulVariant, matmulVariants } from "./matmul-variants.ts";

/** Multiply-adds that a workgroup of a tiled kernel should have, below which its staging costs more than it saves. */
const leastTileWork = 32;

/**
 * The variant for a problem. A software adapter has no real workgroup memory and wants vec4 loads; a GPU wants tiles as
 * soon as there are enough rows, columns and inner steps to fill them.
 */
export function chooseMatmul(problem: MatmulProblem, software: boolean, subgroup = 0): MatmulVariant {
  const named = (name: string): MatmulVariant => matmulVariants.find((v) => v.name === name)!;
  const { rows, columns, inner } = problem;
  const vectors = matmulVariants.find((v) => v.kernel === "matmul/vector")!.applicable(problem);
  const small = Math.min(rows, columns, inner) < leastTileWork;
  if (software || small) {
    if (vectors && software && subgroup >= 8 && rows >= 8) {
      // Tiles as large as still leave a workgroup for every core and more.
      const groups = (r: number, c: number): number => Math.ceil(rows / r) * Math.ceil(columns / c);
      return named(
        groups(32, 32) >= 16 && rows >= 32
          ? "shuffled 32x1 of 8"
          : rows >= 16
            ? "shuffled 16x2 of 8"
            : "shuffled 8x4 of 8",
      );
    }
    if (vectors)
      return named(rows === 1 ? "vectors 1x1 of 64" : rows >= 8 ? "vectors 8x1 of 16" : "vectors 4x1 of 16");
    return named(rows < 4 ? "registers 1x1 of 64" : "registers 4x2 of 32");
  }
  return named(
    Math.min(rows, columns) >= 512 ? "tiles 128x128 by 8, 8x8 each" : "tiles 64x64 by 16, 4x4 each",
  );
}

const lowering = (op: string, problemOf: (context: LowerContext) => MatmulProblem): Lowering => ({
  ops: [op],
  layout: "rows",
  fusesActivation: true,
  lower(context) {
    if (sizeOf(context.outputs[0]!.shape) === 0) return;
    const problem = problemOf(context);
    context.emit(chooseMatmul(problem, context.software ?? false, context.subgroup).dispatch(problem));
  },
});

/** Products of run-time matrices, and of whatever constant ones the columns kernels do not take. */
export const matmulLowerings: readonly Lowering[] = [
  lowering("MatMul", matmulProblem),
  lowering("Gemm", gemmProblem),
];
