import type { LowerContext, View } from "../lowering.ts";
import { emitBinary, multiplyCode, subtractCode } from "./binary.ts";
import { emitChannelResult, emitChannelSums, hasChannelSums } from "./channel-sums.ts";
import { emitReduce, foldCodes } from "./reduce.ts";
import { scratchView } from "./scratch.ts";

/** The axes of x [N, C, ...] that statistics of a channel fold away. */
export const foldedAxes = (x: View): number[] => x.shape.flatMap((_, i) => (i === 1 ? [] : [i]));

/** A vector of channels as it lies along x [N, C, ...]. */
export const alongChannels = (vector: View, x: View): View => ({
  ...vector,
  shape: [vector.shape[0]!, ...x.shape.slice(2).fill(1)],
  strides: [1, ...x.shape.slice(2).fill(0)],
});

/** A constant vector [channels]. */
export function filled(context: LowerContext, label: string, channels: number, value: number): View {
  const view = { word: "f32", shape: [channels], strides: [1], offset: 0, rows: true } as const;
  const data = new Float32Array(channels).fill(value);
  return { ...view, operand: context.upload(`${context.node.name} ${label}`, data) };
}

/**
 * Mean and variance of every channel over the batch (Ioffe and Szegedy 2015, algorithm 1), in two passes: the variance is
 * taken around the mean itself, since the difference of two large sums would lose it.
 */
export function emitMoments(context: LowerContext, x: View, mean: View, variance: View): void {
  if (hasChannelSums([x])) {
    const sums = emitChannelSums(context, "values", x);
    emitChannelResult(context, sums, 1 / sums.count, mean);
    const squares = emitChannelSums(context, "squares", x, x, mean);
    emitChannelResult(context, squares, 1 / squares.count, variance);
    return;
  }
  const channels = x.shape[1]!;
  const axes = foldedAxes(x);
  const count = axes.reduce((n, axis) => n * x.shape[axis]!, 1);
  emitReduce(context, foldCodes.ReduceMean, x, axes, mean);
  const centred = scratchView(context, "centred", x.shape);
  emitBinary(context, subtractCode, x, alongChannels(mean, x), centred);
  const squares = scratchView(context, "squares", [channels]);
  emitReduce(context, foldCodes.ReduceSumSquare, centred, axes, squares);
  emitBinary(context, multiplyCode, squares, filled(context, "share", channels, 1 / count), variance);
}
