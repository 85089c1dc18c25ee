import { allocate } from "../../tensor/dtype.ts";
import { type HostTensor, zeros } from "../../tensor/host-tensor.ts";
import { checkedAdd, rowStrides, showShape, sizeOf } from "../../tensor/shape.ts";
import type { ChannelContext, ChannelIds } from "../channels.ts";
import type { GradientContext, GradientRule } from "../gradient-rule.ts";
import { attributesOf, type OpContext, type OpDefinition } from "../op.ts";
import { allAxes, resolveAxes } from "./support/axes.ts";
import { countKept, frozen } from "./support/flow.ts";
import { hostInts, operand, optionalInts, optionalScalar, refuse, typed } from "./support/operands.ts";
import { alongAxis, padded } from "./support/reshaping.ts";
import { forEachOffset } from "./support/strided.ts";

export type PadMode = "constant" | "edge" | "reflect" | "wrap";
const modes: readonly string[] = ["constant", "edge", "reflect", "wrap"];

/** Padding of every axis. Negative numbers crop. */
export interface Padding {
  readonly mode: PadMode;
  readonly before: readonly number[];
  readonly after: readonly number[];
  readonly value: number;
  /** The axes the node names, in the order of its pads. */
  readonly axes: readonly number[];
}

export function padding(c: OpContext): Padding {
  const from = operand(c, 0).shape;
  const mode = attributesOf(c.node).string("mode", "constant");
  if (!modes.includes(mode)) refuse(c, "E_ATTRIBUTE", `mode "${mode}" is none of ${modes.join(", ")}.`);
  const pads = hostInts(c, 1, "pads");
  const axes = resolveAxes(c, optionalInts(c, 3, "axes") ?? allAxes(from.length), from.length);
  if (pads.length !== 2 * axes.length) {
    refuse(c, "E_SHAPE", `pads has ${pads.length} entries; ${axes.length} axes need ${2 * axes.length}.`);
  }
  const before = from.map(() => 0);
  const after = from.map(() => 0);
  for (const [k, axis] of axes.entries()) {
    before[axis] = pads[k]!;
    after[axis] = pads[k + axes.length]!;
  }
  if (mode !== "constant")
    for (const [d, size] of from.entries()) checkSource(c, mode, size, before[d]!, after[d]!);
  return {
    mode: mode as PadMode,
    before,
    after,
    value: optionalScalar(c, 2, "the padding value") ?? 0,
    axes,
  };
}

/** What is repeated has to be there: edge and wrap need an element, reflect one more than it adds on either side. */
function checkSource(c: OpContext, mode: string, size: number, before: number, after: number): void {
  const left = size + Math.min(0, before) + Math.min(0, after);
  const most = Math.max(before, after);
  const need = most <= 0 ? 0 : mode === "reflect" ? most + 1 : 1;
  if (left < need) {
    refuse(
      c,
      "E_ATTRIBUTE",
      `mode ${mode} cannot pad ${left} elements by ${before} and ${after}; it needs ${need}.`,
    );
  }
}

/** Source position along one axis, or -1 for the padding value. Cropping comes first, so only what is left is repeated. */
function sourceOf(p: Padding, d: number, size: number, i: number): number {
  const low = Math.max(0, -p.before[d]!);
  const count = size - low - Math.max(0, -p.after[d]!);
  const at = i - p.before[d]! - low;
  if (at >= 0 && at < count) return at + low;
  switch (p.mode) {
    case "constant":
      return -1;
    case "edge":
      return low + Math.max(0, Math.min(count - 1, at));
    case "reflect":
      return low + (at < 0 ? -at : 2 * (count - 1) - at);
    case "wrap":
      return low + (((at % count) + count) % count);
  }
}

/** Fresh channels for zeros added along the channel axis; the pads become however many of them are kept on either side. */
function paddedChannels(
  c: ChannelContext,
  p: Padding,
  flow: ChannelIds,
): readonly (ChannelIds | undefined)[] {
  const { axis, ids } = flow;
  const front = p.before[axis]!;
  const behind = p.after[axis]!;
  if (front === 0 && behind === 0) return [flow];
  if (p.mode !== "constant" || p.value !== 0 || front < 0 || behind < 0) return frozen(c);
  const first = c.fresh(front);
  const last = c.fresh(behind);
  const pads = hostInts(c, 1, "pads");
  const entry = p.axes.indexOf(axis);
  c.hostInput(1, (kept) =>
    pads.map((v, k) => {
      if (k === entry) return countKept(first, kept);
      return k === entry + p.axes.length ? countKept(last, kept) : v;
    }),
  );
  return [{ axis, ids: [...first, ...ids, ...last] }];
}

/** Crops what was added and pads what was cropped; what repeats elements gathers them along one axis after the other. */
const gradient: GradientRule = (g) => {
  if (g.wants(2)) g.refuse("the padding value must be a constant");
  const p = padding(g);
  const negative = (list: readonly number[]): number[] => list.map((n) => (n === 0 ? 0 : -n));
  if (p.mode === "constant") return [padded(g, g.dy, negative(p.before), negative(p.after))];
  const from = g.inputs[0]!.shape;
  const shape = [...g.outputs[0]!.shape];
  let dx = g.dy;
  for (const [axis, size] of from.entries()) {
    if (p.before[axis] === 0 && p.after[axis] === 0) continue;
    const sources = Array.from({ length: shape[axis]! }, (_, i) => sourceOf(p, axis, size, i));
    dx = alongAxis(g, selection(g, sources, size), size, dx, shape, axis);
    shape[axis] = size;
  }
  return [dx];
};

/** The matrix [size, sources] of ones where a column's source is the row's number. */
function selection(g: GradientContext, sources: readonly number[], size: number): string {
  const matrix = zeros([size, sources.length], g.inputs[0]!.dtype);
  for (const [i, source] of sources.entries()) matrix.data[source * sources.length + i] = 1;
  return g.constant(matrix);
}

export const pad: OpDefinition = {
  name: "Pad",
  inputs: [2, 4],
  outputs: [1, 1],
  attributes: { mode: "string" },
  hostInputs: [1, 2, 3],
  infer(c) {
    const x = operand(c, 0);
    const p = padding(c);
    const shape = x.shape.map((d, i) => checkedAdd(checkedAdd(d, p.before[i]!), p.after[i]!));
    if (shape.some((d) => d < 0)) {
      refuse(
        c,
        "E_SHAPE",
        `pads ${showShape(p.before)} and ${showShape(p.after)} crop more than ${showShape(x.shape)} has.`,
      );
    }
    return [typed(c, x.dtype, shape)];
  },
  reference(c, [x], [type]) {
    const p = padding(c);
    const sources = type!.shape.map((size, d) =>
      Array.from({ length: size }, (_, i) => sourceOf(p, d, x!.shape[d]!, i)),
    );
    return [gatherAxes(x!, type!.shape, sources, p.value)];
  },
  channels(c) {
    const flow = c.in(0);
    return flow ? paddedChannels(c, padding(c), flow) : frozen(c);
  },
  gradient,
};

/** Element (i0, i1, …) of the result is element (sources[0][i0], sources[1][i1], …) of `x`, or `value` where one is -1. */
function gatherAxes(
  x: HostTensor,
  shape: readonly number[],
  sources: readonly (readonly number[])[],
  value: number,
): HostTensor {
  const data = allocate(x.dtype, sizeOf(shape));
  const strides = rowStrides(x.shape);
  const steps = rowStrides(shape);
  const fill = data instanceof BigInt64Array ? BigInt(Math.trunc(value)) : value;
  const from = x.data as Float64Array;
  const to = data as Float64Array;
  forEachOffset(shape, [], [], (i) => {
    let offset = 0;
    for (let d = 0; d < shape.length && offset >= 0; d++) {
      const source = sources[d]![Math.floor(i / steps[d]!) % shape[d]!]!;
      offset = source < 0 ? -1 : offset + source * strides[d]!;
    }
    to[i] = offset < 0 ? (fill as number) : from[offset]!;
  });
  return { dtype: x.dtype, shape: [...shape], data };
}
