import type { LowerContext, View } from "../lowering.ts";
import { pixelRows, pixelSteps, stepParams, three } from "./pixel-rows.ts";
import { scratchView } from "./scratch.ts";
import { imageQuads } from "./vectors.ts";

/** What shaders/norm/channel-sums.wgsl adds up. */
export type ChannelSum = "values" | "squares" | "products";
const modes = { values: 0, squares: 1, products: 2 } as const;

/** Sums per channel, still in slices: what norm/channel-finish reads. */
export interface ChannelSums {
  readonly operand: View["operand"];
  readonly channels: number;
  readonly slices: number;
  /** Words between the first sums and the second. */
  readonly stride: number;
  /** Values of a channel. */
  readonly count: number;
}

/** Do the views lie so that four images of one channel can be added at once? */
export const hasChannelSums = (views: readonly View[]): boolean =>
  imageQuads(views) && views.every((v) => v.word === "f32" && v.shape.length <= 5);

/** Adds up a [N, C, ...], its squared distance from `mean`, or its products with b's distance from `mean`. */
export function emitChannelSums(
  context: LowerContext,
  what: ChannelSum,
  a: View,
  b: View = a,
  mean?: View,
): ChannelSums {
  const channels = a.shape[1]!;
  const spatial = a.shape.slice(2);
  const steps = [pixelSteps(a), pixelSteps(b)] as const;
  const pixels = pixelRows(three(spatial, 1), a.shape[0]!, steps, 4);
  const software = context.software ?? false;
  const wanted = Math.max(1, Math.min(pixels.rows, Math.ceil((software ? 16 : 512) / channels)));
  const rowsPerSlice = Math.ceil(pixels.rows / wanted);
  const slices = Math.max(1, Math.ceil(pixels.rows / rowsPerSlice));
  const stride = slices * channels;
  const sums = scratchView(context, `${what} of channels`, [what === "products" ? 2 * stride : stride]);
  context.emit({
    kernel: "norm/channel-sums",
    constants: { MODE: modes[what], WG_SIZE: software ? 8 : 64 },
    bindings: { a: a.operand, b: b.operand, mean: (mean ?? a).operand, sums: sums.operand },
    params: {
      ...pixels.params,
      rows_per_slice: rowsPerSlice,
      channels,
      stride,
      ...stepParams("a", steps[0], 4),
      ...stepParams("b", steps[1], 4),
    },
    groups: [channels, slices, 1],
  });
  const count = a.shape[0]! * spatial.reduce((n, d) => n * d, 1);
  return { operand: sums.operand, channels, slices, stride, count };
}

/** The uniform struct of norm/channel-finish. */
export const finishParams = (s: ChannelSums, factor: number, epsilon = 0, momentum = 0) => ({
  channels: s.channels,
  slices: s.slices,
  stride: s.stride,
  factor,
  epsilon,
  momentum,
});

export const finishGroups = (channels: number): number => Math.ceil(channels / 64);

/** result [C] = factor · sum. */
export function emitChannelResult(
  context: Pick<LowerContext, "emit">,
  sums: ChannelSums,
  factor: number,
  result: View,
): void {
  context.emit({
    kernel: "norm/channel-finish",
    bindings: { sums: sums.operand, result: result.operand },
    params: finishParams(sums, factor),
    groups: finishGroups(sums.channels),
  });
}
