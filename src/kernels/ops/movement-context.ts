import type { OpContext, TensorType } from "../../graph/op.ts";
import type { LowerContext, View } from "../lowering.ts";

const typeOf = (view: View | undefined): TensorType | undefined =>
  view && { dtype: view.word, shape: view.shape };

/** The node as its op's own helpers want to see it: an i64 or bool operand shows as the i32 that holds it. */
export const opContext = (context: LowerContext): OpContext => ({
  node: context.node,
  inputs: context.inputs.map(typeOf),
  value: (i) => context.constant(i),
});
