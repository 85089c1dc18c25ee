import { reshaped } from "../../tensor/host-tensor.ts";
import type { OpContext, OpDefinition } from "../op.ts";
import { resolveAxes } from "./support/axes.ts";
import { frozen } from "./support/flow.ts";
import { hostInts, operand, typed } from "./support/operands.ts";
import { reshapingGradient } from "./support/reshaping.ts";

/** For every axis of the output, the input axis it is, or -1 where a 1 was put in. */
function origins(c: OpContext): readonly number[] {
  const rank = operand(c, 0).shape.length;
  const named = hostInts(c, 1, "axes");
  const added = new Set(resolveAxes(c, named, rank + named.length));
  let next = 0;
  return Array.from({ length: rank + named.length }, (_, i) => (added.has(i) ? -1 : next++));
}

export const unsqueeze: OpDefinition = {
  name: "Unsqueeze",
  inputs: [2, 2],
  outputs: [1, 1],
  attributes: {},
  hostInputs: [1],
  infer(c) {
    const x = operand(c, 0);
    return [
      typed(
        c,
        x.dtype,
        origins(c).map((axis) => x.shape[axis] ?? 1),
      ),
    ];
  },
  reference: (_c, [x], [type]) => [reshaped(x!, type!.shape)],
  channels(c) {
    const flow = c.in(0);
    return flow ? [{ axis: origins(c).indexOf(flow.axis), ids: flow.ids }] : frozen(c);
  },
  gradient: reshapingGradient,
};
