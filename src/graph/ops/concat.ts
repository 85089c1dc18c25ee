import { zeros } from "../../tensor/host-tensor.ts";
import { checkedAdd, normaliseAxis, rowStrides, showShape } from "../../tensor/shape.ts";
import type { ChannelContext, ChannelIds } from "../channels.ts";
import { attributesOf, type OpContext, type OpDefinition } from "../op.ts";
import { frozen } from "./support/flow.ts";
import { operandsOf, refuse, typed } from "./support/operands.ts";
import { sliced } from "./support/reshaping.ts";
import { stridedStore } from "./support/strided.ts";

/** Axis along which a Concat joins, counted from 0. */
export const concatAxis = (c: OpContext): number =>
  normaliseAxis(attributesOf(c.node).int("axis"), c.inputs[0]?.shape.length ?? 0, "Concat");

/** Joined along the channel axis, the channels follow one another; operands without channels of their own stay whole. */
function joined(c: ChannelContext, axis: number): readonly ChannelIds[] {
  const ids = c.inputs.flatMap((type, i) => {
    const flow = c.in(i);
    if (flow) return flow.ids;
    const fixed = c.fresh(type!.shape[axis]!);
    c.freeze(fixed);
    return fixed;
  });
  return [{ axis, ids }];
}

/** Joined along another axis, operands must keep the same channels. */
function stacked(
  c: ChannelContext,
  flows: readonly (ChannelIds | undefined)[],
): readonly (ChannelIds | undefined)[] {
  const first = flows.find((f) => f !== undefined)!;
  for (const [i, flow] of flows.entries()) {
    if (flow) for (const [k, id] of flow.ids.entries()) c.unite(first.ids[k]!, id);
    else if (c.isWeight(i)) c.slices(i, first.axis, first.ids, "param");
    else c.freeze(first.ids);
  }
  return [first];
}

export const concat: OpDefinition = {
  name: "Concat",
  inputs: [1, 1024],
  outputs: [1, 1],
  attributes: { axis: "int" },
  infer(c) {
    const types = operandsOf(c, "any");
    const first = types[0]!;
    const axis = concatAxis(c);
    let size = 0;
    for (const type of types) {
      const fits =
        type.shape.length === first.shape.length &&
        type.shape.every((d, i) => i === axis || d === first.shape[i]);
      if (!fits) {
        const shapes = types.map((t) => showShape(t.shape)).join(" and ");
        refuse(c, "E_SHAPE", `shapes ${shapes} cannot be joined along axis ${axis}: they differ elsewhere.`);
      }
      size = checkedAdd(size, type.shape[axis]!);
    }
    return [
      typed(
        c,
        first.dtype,
        first.shape.map((d, i) => (i === axis ? size : d)),
      ),
    ];
  },
  reference(c, inputs, [type]) {
    const axis = concatAxis(c);
    const out = zeros(type!.shape, inputs[0]!.dtype);
    const strides = rowStrides(type!.shape);
    let at = 0;
    for (const x of inputs) {
      stridedStore(out, at * strides[axis]!, strides, x!);
      at += x!.shape[axis]!;
    }
    return [out];
  },
  channels(c) {
    const axis = concatAxis(c);
    const flows = c.inputs.map((_, i) => c.in(i));
    const axes = new Set(flows.flatMap((f) => (f ? [f.axis] : [])));
    if (axes.size !== 1) return frozen(c);
    return axes.has(axis) ? joined(c, axis) : stacked(c, flows);
  },
  gradient(g) {
    const axis = concatAxis(g);
    let at = 0;
    return g.inputs.map((type, i) => {
      const size = type!.shape[axis]!;
      const start = at;
      at += size;
      return g.wants(i) ? sliced(g, g.dy, axis, start, size) : undefined;
    });
  },
};
