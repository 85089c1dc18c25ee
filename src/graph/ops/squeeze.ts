import { reshaped } from "../../tensor/host-tensor.ts";
import { showShape } from "../../tensor/shape.ts";
import type { OpContext, OpDefinition } from "../op.ts";
import { resolveAxes } from "./support/axes.ts";
import { frozen } from "./support/flow.ts";
import { operand, optionalInts, refuse, typed } from "./support/operands.ts";
import { reshapingGradient } from "./support/reshaping.ts";

/** The axes of size 1 that go; all of them where none are named. */
function squeezedAxes(c: OpContext): ReadonlySet<number> {
  const { shape } = operand(c, 0);
  const named = optionalInts(c, 1, "axes");
  if (!named) return new Set(shape.flatMap((d, i) => (d === 1 ? [i] : [])));
  const axes = resolveAxes(c, named, shape.length);
  for (const axis of axes) {
    if (shape[axis] !== 1) refuse(c, "E_SHAPE", `axis ${axis} of ${showShape(shape)} is not 1.`);
  }
  return new Set(axes);
}

export const squeeze: OpDefinition = {
  name: "Squeeze",
  inputs: [1, 2],
  outputs: [1, 1],
  attributes: {},
  hostInputs: [1],
  infer(c) {
    const x = operand(c, 0);
    const gone = squeezedAxes(c);
    return [
      typed(
        c,
        x.dtype,
        x.shape.filter((_, i) => !gone.has(i)),
      ),
    ];
  },
  reference: (_c, [x], [type]) => [reshaped(x!, type!.shape)],
  channels(c) {
    const flow = c.in(0);
    const gone = squeezedAxes(c);
    // Without named axes, channels cut down to one would be squeezed away too.
    if (!flow || !c.inputs[1] || gone.has(flow.axis)) return frozen(c);
    const before = [...gone].filter((axis) => axis < flow.axis).length;
    return [{ axis: flow.axis - before, ids: flow.ids }];
  },
  gradient: reshapingGradient,
};
