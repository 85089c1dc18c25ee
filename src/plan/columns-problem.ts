import { type ColumnsProblem, pixelGrid } from "../kernels/columns/problem.ts";
import { middleAxes } from "../kernels/layout.ts";
import type { View } from "../kernels/lowering.ts";
import type { ColumnsStep } from "./program.ts";

/** The columns problem of a step whose operands lie as the views say. */
export function problemOf(step: ColumnsStep, x: View, y: View, residual: View | undefined): ColumnsProblem {
  const axes = middleAxes(x.shape.length, step.channelAxis);
  const { kernel, strides, dilations, pads } = step.window;
  const pixels = axes.map((axis, i) => ({
    axis,
    step: x.strides[axis]!,
    kernel: kernel[i] ?? 1,
    stride: strides[i] ?? 1,
    dilation: dilations[i] ?? 1,
    pad: pads[i]?.[0] ?? 0,
    out: y.shape[axis]!,
  }));
  const channel = x.strides[step.channelAxis]!;
  const three = <T>(values: readonly T[], fill: T): [T, T, T] => {
    const padded = [...new Array<T>(Math.max(0, 3 - values.length)).fill(fill), ...values];
    return [padded[0]!, padded[1]!, padded[2]!];
  };
  const base = {
    label: step.name,
    groups: step.groups,
    rowsPerGroup: step.rows / step.groups,
    k: step.channels * pixels.reduce((n, p) => n * p.kernel, 1),
    taps: tapsOf(step.channels, channel, pixels),
    out: three(
      pixels.map((p) => p.out),
      1,
    ),
    batch: x.shape[0]!,
    xBase: x.offset - pixels.reduce((sum, p) => sum + p.pad * p.step, 0),
    xSteps: three(
      pixels.map((p) => p.stride * p.step),
      0,
    ),
    xGroup: step.channels * channel,
    y: pixelGrid(y, step.channelAxis, axes),
    activation: step.activation,
  };
  return residual ? { ...base, residual: pixelGrid(residual, step.channelAxis, axes) } : base;
}

interface Pixel {
  readonly step: number;
  readonly kernel: number;
  readonly dilation: number;
}

/** Offsets of the taps of one row, in the order of the weight: channel, then kernel positions row-major. */
function tapsOf(channels: number, channel: number, pixels: readonly Pixel[]): Uint32Array {
  let positions: number[] = [0];
  for (const p of pixels) {
    positions = positions.flatMap((at) =>
      Array.from({ length: p.kernel }, (_, i) => at + i * p.dilation * p.step),
    );
  }
  const taps = new Uint32Array(channels * positions.length);
  for (let c = 0; c < channels; c++) {
    for (const [i, at] of positions.entries()) taps[c * positions.length + i] = c * channel + at;
  }
  return taps;
}
