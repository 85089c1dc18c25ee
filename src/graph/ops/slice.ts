import { rowStrides } from "../../tensor/shape.ts";
import type { ChannelContext } from "../channels.ts";
import type { OpContext, OpDefinition } from "../op.ts";
import { allAxes, resolveAxes } from "./support/axes.ts";
import { countKept, frozen, withEntry } from "./support/flow.ts";
import { hostInts, operand, optionalInts, refuse, typed } from "./support/operands.ts";
import { padded } from "./support/reshaping.ts";
import { stridedCopy } from "./support/strided.ts";

/** A slice with every axis named: element i of the output along an axis is element start + i·step of the input. */
export interface SliceRange {
  readonly shape: readonly number[];
  readonly starts: readonly number[];
  readonly steps: readonly number[];
  /** The axes the node names, in its order. */
  readonly axes: readonly number[];
}

const clamp = (v: number, low: number, high: number): number => Math.max(low, Math.min(high, v));

/** Works out which elements a Slice takes: negative starts count from the end, everything is clamped to the tensor. */
export function sliceRange(c: OpContext): SliceRange {
  const from = operand(c, 0).shape;
  const starts = hostInts(c, 1, "starts");
  const ends = hostInts(c, 2, "ends");
  const axes = resolveAxes(c, optionalInts(c, 3, "axes") ?? allAxes(starts.length), from.length);
  const steps = optionalInts(c, 4, "steps") ?? starts.map(() => 1);
  if (ends.length !== starts.length || axes.length !== starts.length || steps.length !== starts.length) {
    refuse(
      c,
      "E_SHAPE",
      `starts, ends, axes and steps have ${starts.length}, ${ends.length}, ${axes.length} and ${steps.length} entries; they must agree.`,
    );
  }
  const range = { shape: [...from], starts: from.map(() => 0), steps: from.map(() => 1), axes };
  for (const [k, axis] of axes.entries()) {
    const size = from[axis]!;
    const step = steps[k]!;
    if (step === 0) refuse(c, "E_ATTRIBUTE", `step ${k} is 0.`);
    const [low, high] = step > 0 ? [0, size] : [-1, size - 1];
    const start = clamp(starts[k]! < 0 ? starts[k]! + size : starts[k]!, Math.max(low, 0), Math.max(high, 0));
    const end = clamp(ends[k]! < 0 ? ends[k]! + size : ends[k]!, low, high);
    range.shape[axis] = size === 0 ? 0 : Math.max(0, Math.ceil((end - start) / step));
    range.starts[axis] = start;
    range.steps[axis] = step;
  }
  return range;
}

/** A step-1 slice of the channel axis keeps the channels it takes; its bounds shrink with what is removed before and in it. */
function channelSlice(c: ChannelContext, range: SliceRange, axis: number, ids: readonly number[]) {
  const entry = range.axes.indexOf(axis);
  const start = range.starts[axis]!;
  const before = ids.slice(0, start);
  const taken = ids.slice(start, start + range.shape[axis]!);
  const starts = hostInts(c, 1, "starts");
  const ends = hostInts(c, 2, "ends");
  c.hostInput(1, (kept) => withEntry(starts, entry, countKept(before, kept)));
  c.hostInput(2, (kept) => withEntry(ends, entry, countKept(before, kept) + countKept(taken, kept)));
  return [{ axis, ids: taken }];
}

export const slice: OpDefinition = {
  name: "Slice",
  inputs: [3, 5],
  outputs: [1, 1],
  attributes: {},
  hostInputs: [1, 2, 3, 4],
  infer: (c) => [typed(c, operand(c, 0).dtype, sliceRange(c).shape)],
  reference(c, [x], [type]) {
    const { starts, steps } = sliceRange(c);
    const strides = rowStrides(x!.shape);
    const first = strides.reduce((sum, s, d) => sum + s * starts[d]!, 0);
    return [
      stridedCopy(
        x!,
        type!.shape,
        first,
        strides.map((s, d) => s * steps[d]!),
      ),
    ];
  },
  channels(c) {
    const flow = c.in(0);
    if (!flow) return frozen(c);
    const range = sliceRange(c);
    if (!range.axes.includes(flow.axis)) return [flow];
    return range.steps[flow.axis] === 1 ? channelSlice(c, range, flow.axis, flow.ids) : frozen(c);
  },
  gradient(g) {
    if (!g.wants(0)) return [];
    const { shape } = g.inputs[0]!;
    const { starts, steps, shape: taken } = sliceRange(g);
    if (steps.some((step) => step !== 1)) return [g.emit("Unslice", [g.dy], { shape, starts, steps })];
    const behind = shape.map((d, i) => d - starts[i]! - taken[i]!);
    return [padded(g, g.dy, starts, behind)];
  },
};
