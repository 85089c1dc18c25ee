import { type ColumnsProblem, type PixelGrid, pixelGrid } from "../kernels/columns/problem.ts";
import { middleAxes } from "../kernels/layout.ts";
import type { View } from "../kernels/lowering.ts";
import type { ColumnsStep, WindowAxis } from "./program.ts";

/**
 * The columns problem of a step whose operands lie as the views say. Where images lie one after the other (planar), they are the
 * outermost axis of the pixels of a single one.
 */
export function problemOf(
  step: ColumnsStep,
  x: View,
  y: View,
  residual: View | undefined,
  planar: boolean,
): ColumnsProblem {
  const middle = middleAxes(x.shape.length, step.channelAxis);
  const axes = planar ? [0, ...middle] : middle;
  const windows = planar ? [imagesWindow(x.shape[0]!), ...step.window] : step.window;
  const pixels = axes.map((axis, i): Pixel => {
    const window = windows[i]!;
    const first = Math.min(0, ...window.taps);
    return {
      step: x.strides[axis]!,
      first,
      taps: window.taps.map((t) => t - first),
      stride: window.stride,
      out: window.out,
    };
  });
  const channel = x.strides[step.channelAxis]!;
  const three = <T>(values: readonly T[], fill: T): [T, T, T] => {
    const padded = [...new Array<T>(Math.max(0, 3 - values.length)).fill(fill), ...values];
    return [padded[0]!, padded[1]!, padded[2]!];
  };
  const base = {
    label: step.name,
    groups: step.groups,
    rowsPerGroup: step.rows / step.groups,
    k: step.channels * pixels.reduce((n, p) => n * p.taps.length, 1),
    taps: tapsOf(step.channels, channel, pixels),
    out: three(
      pixels.map((p) => p.out),
      1,
    ),
    batch: planar ? 1 : x.shape[0]!,
    xBase: x.offset + pixels.reduce((sum, p) => sum + p.first * p.step, 0),
    xSteps: three(
      pixels.map((p) => p.stride * p.step),
      0,
    ),
    xChannel: channel,
    xGroup: step.channels * channel,
    y: written(pixelGrid(y, step.channelAxis, axes), windows),
    activation: step.activation,
  };
  return residual
    ? { ...base, residual: written(pixelGrid(residual, step.channelAxis, axes), windows) }
    : base;
}

const imagesWindow = (images: number): WindowAxis => ({
  taps: [0],
  stride: 1,
  out: images,
  start: 0,
  every: 1,
});

/** The pixels of a grid that a step writes: every so many, from a first one on. */
function written(grid: PixelGrid, window: readonly WindowAxis[]): PixelGrid {
  const shift = 3 - window.length;
  const base = window.reduce((at, w, i) => at + w.start * grid.steps[shift + i]!, grid.base);
  const steps = grid.steps.map((s, i) => s * (window[i - shift]?.every ?? 1));
  return { ...grid, base, steps: steps as unknown as PixelGrid["steps"] };
}

interface Pixel {
  readonly step: number;
  /** Of the taps, or 0: the words of the buffer that an output reads are counted from there. */
  readonly first: number;
  readonly taps: readonly number[];
  readonly stride: number;
  readonly out: number;
}

/** Offsets of the taps of one row, in the order of the weight: channel, then kernel positions row-major. */
function tapsOf(channels: number, channel: number, pixels: readonly Pixel[]): Uint32Array {
  let positions: number[] = [0];
  for (const p of pixels) positions = positions.flatMap((at) => p.taps.map((t) => at + t * p.step));
  const taps = new Uint32Array(channels * positions.length);
  for (let c = 0; c < channels; c++) {
    for (const [i, at] of positions.entries()) taps[c * positions.length + i] = c * channel + at;
  }
  return taps;
}
