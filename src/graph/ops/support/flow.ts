import type { Shape } from "../../../tensor/shape.ts";
import type { ChannelContext, ChannelIds } from "../../channels.ts";

/** Nothing that flows into this node may be removed; no output is followed. */
export function frozen(c: ChannelContext): readonly undefined[] {
  for (let i = 0; i < c.inputs.length; i++) {
    const flow = c.inputs[i] ? c.in(i) : undefined;
    if (flow) c.freeze(flow.ids);
  }
  return c.outputs.map(() => undefined);
}

const product = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1);

/**
 * Channels of a tensor of shape `from` after it is viewed as `to` (same elements in the same order), or undefined where no
 * single output axis follows them.
 *
 * Let the channel axis have size C with Q elements per step, and an output axis size D with q per step. The position along
 * that output axis decides the channel exactly when q divides Q and C·Q divides D·q; position j then belongs to channel
 * floor(j / (Q/q)) mod C. So a flattened [C, H, W] repeats each id H·W times, and unit axes come and go freely.
 */
export function reshapedFlow(flow: ChannelIds, from: Shape, to: Shape): ChannelIds | undefined {
  if (product(from) === 0) return undefined;
  const channels = flow.ids.length;
  const step = product(from.slice(flow.axis + 1));
  let best: ChannelIds | undefined;
  for (let axis = 0; axis < to.length; axis++) {
    const size = to[axis]!;
    const inner = product(to.slice(axis + 1));
    if (step % inner !== 0 || (size * inner) % (channels * step) !== 0) continue;
    if (best && best.ids.length <= size) continue;
    const repeat = step / inner;
    best = {
      axis,
      ids: Array.from({ length: size }, (_, j) => flow.ids[Math.floor(j / repeat) % channels]!),
    };
  }
  return best;
}

/** How many of `ids` are still there. */
export const countKept = (ids: readonly number[], kept: (id: number) => boolean): number =>
  ids.reduce((n, id) => n + (kept(id) ? 1 : 0), 0);

/** `list` with entry `i` replaced. */
export const withEntry = (list: readonly number[], i: number, value: number): number[] =>
  list.map((v, k) => (k === i ? value : v));
