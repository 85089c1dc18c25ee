import { sizeOf } from "../../tensor/shape.ts";
import type { Lowering } from "../lowering.ts";
import { scratchView } from "./scratch.ts";

/** Lanes for so many columns: a software adapter runs eight at a time and pays for every barrier between more. */
function lanesFor(columns: number, software: boolean): number {
  if (software) return 8;
  let lanes = 8;
  while (lanes < columns && lanes < 64) lanes *= 2;
  return lanes;
}

/** Ranks of many matrices, a workgroup each. */
export const matrixRankLowering: Lowering = {
  ops: ["MatrixRank"],
  layout: "rows",
  lower(context) {
    const x = context.inputs[0]!;
    const y = context.outputs[0]!;
    const matrices = sizeOf(y.shape);
    const [rows, cols] = x.shape.slice(-2) as [number, number];
    if (matrices === 0) return;
    const work = scratchView(context, "copy", [matrices, rows, cols]);
    const norms = scratchView(context, "norms", [matrices, cols]);
    context.emit({
      kernel: "reduce/matrix-rank",
      constants: { WG_SIZE: lanesFor(cols, context.software ?? false) },
      bindings: { x: x.operand, work: work.operand, norms: norms.operand, y: y.operand },
      params: { matrices, rows, cols },
      groups: matrices,
    });
  },
};
