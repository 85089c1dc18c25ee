import { elementwiseFlow } from "../channels.ts";
import type { GradientRule } from "../gradient-rule.ts";
import type { OpContext, OpDefinition } from "../op.ts";
import { mapOne } from "./support/elementwise.ts";
import { formula } from "./support/formula.ts";
import { operandOf, optionalScalar, refuse, typed } from "./support/operands.ts";

/** Bounds of a Clip; infinite where left out. Where min > max every element becomes max. */
export function clipBounds(c: OpContext): readonly [number, number] {
  return [
    optionalScalar(c, 1, "min") ?? Number.NEGATIVE_INFINITY,
    optionalScalar(c, 2, "max") ?? Number.POSITIVE_INFINITY,
  ];
}

/** dy where the result lies between the bounds, else 0. The bounds are read by the host, so they cannot be trained. */
const gradient: GradientRule = (g) => {
  if (g.wants(1) || g.wants(2)) g.refuse("its bounds must be constants");
  const { greater, less, both, where } = formula(g);
  const [low, high] = clipBounds(g);
  const inside = [
    ...(Number.isFinite(low) ? [greater(g.out(0), low)] : []),
    ...(Number.isFinite(high) ? [less(g.out(0), high)] : []),
  ];
  if (inside.length === 0) return [g.dy];
  return [where(inside.length === 2 ? both(...inside) : inside[0]!, g.dy, 0)];
};

/** y = min(max(x, min), max). */
export const clip: OpDefinition = {
  name: "Clip",
  inputs: [1, 3],
  outputs: [1, 1],
  attributes: {},
  hostInputs: [1, 2],
  infer(c) {
    const x = operandOf(c, 0, "number");
    for (const i of [1, 2]) {
      const bound = c.inputs[i];
      if (bound && bound.dtype !== x.dtype) {
        refuse(c, "E_GRAPH", `input ${i} is ${bound.dtype}, but the data is ${x.dtype}. Add a Cast.`);
      }
    }
    clipBounds(c);
    return [typed(c, x.dtype, x.shape)];
  },
  reference(c, [x], [type]) {
    const [low, high] = clipBounds(c);
    return [mapOne(x!, type!, (v) => Math.min(Math.max(v, low), high))];
  },
  channels: elementwiseFlow,
  gradient,
};
