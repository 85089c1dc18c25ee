import type { WindowGeometry } from "./window.ts";

/** One spatial axis of a window, as loops want it. */
export interface Axis {
  readonly size: number;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  readonly begin: number;
  readonly end: number;
  readonly out: number;
}

const unit: Axis = { size: 1, kernel: 1, stride: 1, dilation: 1, begin: 0, end: 0, out: 1 };

/** The window as exactly three axes, leading ones of size 1 where it has fewer: one set of loops serves 1-D to 3-D. */
export function threeAxes(g: WindowGeometry): readonly [Axis, Axis, Axis] {
  const axes = g.spatial.map((size, i): Axis => {
    return {
      size,
      kernel: g.kernel[i]!,
      stride: g.strides[i]!,
      dilation: g.dilations[i]!,
      begin: g.padsBegin[i]!,
      end: g.padsEnd[i]!,
      out: g.outSpatial[i]!,
    };
  });
  while (axes.length < 3) axes.unshift(unit);
  return axes as unknown as readonly [Axis, Axis, Axis];
}

/** First output whose tap `k` reads data and the one after the last: 0 <= o·stride + k·dilation - begin < size. */
export function outputsOfTap(axis: Axis, k: number): readonly [number, number] {
  const shift = k * axis.dilation - axis.begin;
  const first = shift >= 0 ? 0 : Math.ceil(-shift / axis.stride);
  const last = Math.min(axis.out, Math.ceil((axis.size - shift) / axis.stride));
  return [first, last];
}

/** First tap of output `o` that reads data and the one after the last. */
export function tapsOfOutput(axis: Axis, o: number): readonly [number, number] {
  const start = o * axis.stride - axis.begin;
  const first = start >= 0 ? 0 : Math.ceil(-start / axis.dilation);
  const last = Math.min(axis.kernel, Math.ceil((axis.size - start) / axis.dilation));
  return [first, Math.max(first, last)];
}

/** Number of taps of output `o` that lie in the data or its declared padding, not beyond (ceil mode reaches beyond). */
export function tapsWithPadding(axis: Axis, o: number): number {
  const room = axis.size + axis.end - (o * axis.stride - axis.begin);
  return Math.min(axis.kernel, Math.ceil(room / axis.dilation));
}
