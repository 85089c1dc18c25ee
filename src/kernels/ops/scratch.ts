import { rowStrides, sizeOf } from "../../tensor/shape.ts";
import type { LowerContext, View } from "../lowering.ts";

/** Contiguous scratch memory of a shape, as a view. */
export function scratchView(context: LowerContext, label: string, shape: readonly number[]): View {
  const operand = context.scratch(`${context.node.name} ${label}`, Math.max(1, sizeOf(shape)));
  return { operand, word: "f32", shape, strides: rowStrides(shape), offset: 0, rows: true };
}
