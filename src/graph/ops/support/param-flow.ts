import type { ChannelContext, ChannelIds } from "../../channels.ts";
import { frozen } from "./flow.ts";

/** Vector operand `i` (if given) holds one value per channel: it shrinks with `ids`, or freezes them when it is no weight. */
export function paramSlices(c: ChannelContext, i: number, ids: readonly number[]): void {
  if (!c.inputs[i]) return;
  if (c.isWeight(i)) {
    c.slices(i, 0, ids, "param");
    return;
  }
  c.freeze(ids);
  const flow = c.in(i);
  if (flow) c.freeze(flow.ids);
}

/**
 * Rule for ops that treat each channel of axis 1 alone, with vectors of parameters at `params`. Channels on any other
 * axis are frozen: such an op mixes along them.
 */
export const perChannelFlow =
  (params: readonly number[]) =>
  (c: ChannelContext): readonly (ChannelIds | undefined)[] => {
    const flow = c.in(0);
    if (!flow) return c.outputs.map(() => undefined);
    if (flow.axis !== 1) return frozen(c);
    for (const i of params) paramSlices(c, i, flow.ids);
    return c.outputs.map(() => flow);
  };

/** Rule for windows over the spatial axes: batch and channel axes pass, spatial ones are frozen. */
export function spatialFlow(c: ChannelContext): readonly (ChannelIds | undefined)[] {
  const flow = c.in(0);
  if (flow && flow.axis > 1) return frozen(c);
  return c.outputs.map(() => flow);
}

/** Rule for ops that mix along `axes(c)`: channels there are frozen, on any other axis they pass. */
export const mixingFlow =
  (axes: (c: ChannelContext) => readonly number[]) =>
  (c: ChannelContext): readonly (ChannelIds | undefined)[] => {
    const flow = c.in(0);
    if (flow && axes(c).includes(flow.axis)) return frozen(c);
    return c.outputs.map(() => flow);
  };
