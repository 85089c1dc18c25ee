import { normaliseAxis, rowStrides, showShape } from "../../tensor/shape.ts";
import type { ChannelContext, ChannelIds } from "../channels.ts";
import type { GradientRule } from "../gradient-rule.ts";
import { attributesOf, type OpContext, type OpDefinition } from "../op.ts";
import { countKept, frozen } from "./support/flow.ts";
import { operand, optionalInts, refuse, typed } from "./support/operands.ts";
import { padded } from "./support/reshaping.ts";
import { stridedCopy } from "./support/strided.ts";

/** Axis of a Split and the size of each part. Without sizes the parts are equal; only num_outputs lets the last be smaller. */
export function splitParts(c: OpContext): { readonly axis: number; readonly sizes: readonly number[] } {
  const from = operand(c, 0).shape;
  const a = attributesOf(c.node);
  const axis = normaliseAxis(a.int("axis", 0), from.length, "Split");
  const total = from[axis]!;
  const count = c.node.outputs.length;
  const given = optionalInts(c, 1, "split");
  const wanted = a.int("num_outputs", 0);
  if (given && wanted !== 0) a.fail("both sizes and num_outputs are given; only one may be.");
  if (wanted !== 0 && wanted !== count)
    a.fail(`num_outputs is ${wanted}, but the node has ${count} outputs.`);
  if (given) {
    const sum = given.reduce((x, y) => x + y, 0);
    if (given.length !== count || given.some((s) => s < 0) || sum !== total) {
      refuse(c, "E_SHAPE", `sizes [${given}] do not cut ${total} into ${count} parts.`);
    }
    return { axis, sizes: given };
  }
  if (wanted === 0 && total % count !== 0) {
    refuse(c, "E_SHAPE", `${showShape(from)} does not split into ${count} equal parts along axis ${axis}.`);
  }
  const part = Math.ceil(total / count);
  return {
    axis,
    sizes: Array.from({ length: count }, (_, i) => Math.max(0, Math.min(part, total - i * part))),
  };
}

const startsOf = (sizes: readonly number[]): number[] =>
  sizes.map((_, k) => sizes.slice(0, k).reduce((x, y) => x + y, 0));

/** Parts given by sizes shrink on their own; equal parts must lose the same number, so their k-th channels are united. */
function splitChannels(
  c: ChannelContext,
  flow: ChannelIds,
  sizes: readonly number[],
): readonly (ChannelIds | undefined)[] {
  const starts = startsOf(sizes);
  const parts = sizes.map((size, k) => flow.ids.slice(starts[k]!, starts[k]! + size));
  if (c.inputs[1]) {
    c.hostInput(1, (kept) => parts.map((ids) => countKept(ids, kept)));
  } else {
    if (sizes.some((s) => s !== sizes[0])) return frozen(c);
    for (const part of parts) for (const [k, id] of part.entries()) c.unite(parts[0]![k]!, id);
  }
  return parts.map((ids) => ({ axis: flow.axis, ids }));
}

/** The parts' gradients one behind the other, with zeros for parts that nothing depends on. */
const gradient: GradientRule = (g) => {
  const { axis, sizes } = splitParts(g);
  const shape = g.inputs[0]!.shape;
  const along = (n: number): number[] => shape.map((_, i) => (i === axis ? n : 0));
  const used = sizes.flatMap((size, k) => {
    const name = g.incoming(k);
    return name === undefined ? [] : [{ name, start: startsOf(sizes)[k]!, size }];
  });
  // Each part is padded up to the next one, the first also at its front.
  const parts = used.map(({ name, start, size }, k) => {
    const next = used[k + 1]?.start ?? shape[axis]!;
    return padded(g, name, along(k === 0 ? start : 0), along(next - start - size));
  });
  return [parts.length === 1 ? parts[0]! : g.emit("Concat", parts, { axis })];
};

export const split: OpDefinition = {
  name: "Split",
  inputs: [1, 2],
  outputs: [1, 1024],
  attributes: { axis: "int", num_outputs: "int" },
  hostInputs: [1],
  infer(c) {
    const x = operand(c, 0);
    const { axis, sizes } = splitParts(c);
    return sizes.map((size, k) =>
      typed(
        c,
        x.dtype,
        x.shape.map((d, i) => (i === axis ? size : d)),
        k,
      ),
    );
  },
  reference(c, [x], types) {
    const { axis, sizes } = splitParts(c);
    const strides = rowStrides(x!.shape);
    const starts = startsOf(sizes);
    return types.map((type, k) => stridedCopy(x!, type.shape, starts[k]! * strides[axis]!, strides));
  },
  channels(c) {
    const flow = c.in(0);
    if (!flow) return frozen(c);
    const { axis, sizes } = splitParts(c);
    return axis === flow.axis ? splitChannels(c, flow, sizes) : sizes.map(() => flow);
  },
  gradient,
};
