import type { GradientContext } from "../../gradient-rule.ts";

/** Gradient of a bias [C] that was added along axis 1 of the output: dy summed over all other axes. */
export function channelSum(g: GradientContext): string {
  const axes = g.outputs[0]!.shape.flatMap((_, i) => (i === 1 ? [] : [i]));
  return g.emit("ReduceSum", [g.dy, g.constant(axes)], { keepdims: 0 });
}

/** x with its last two axes exchanged. */
export function transposed(g: GradientContext, name: string, rank: number): string {
  const perm = Array.from({ length: rank }, (_, i) => i);
  perm[rank - 2] = rank - 1;
  perm[rank - 1] = rank - 2;
  return g.emit("Transpose", [name], { perm });
}
