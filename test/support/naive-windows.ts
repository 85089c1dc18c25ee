import type { HostTensor } from "../../src/tensor/host-tensor.ts";

/** Window settings, one entry per spatial axis; pads as ONNX has them: all begins, then all ends. */
export interface NaiveWindow {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly pads: readonly number[];
}

/** Every index of `shape`, in row-major order. */
export function indicesOf(shape: readonly number[]): number[][] {
  let rows: number[][] = [[]];
  for (const d of shape) rows = rows.flatMap((row) => Array.from({ length: d }, (_, i) => [...row, i]));
  return rows;
}

/** Element of `t` at `index`, undefined outside. */
export function at(t: HostTensor, index: readonly number[]): number | undefined {
  let offset = 0;
  for (const [i, d] of t.shape.entries()) {
    if (index[i]! < 0 || index[i]! >= d) return undefined;
    offset = offset * d + index[i]!;
  }
  return Number(t.data[offset]);
}

/** Where tap `k` of output `o` reads, per spatial axis. */
export const tapAt = (w: NaiveWindow, o: readonly number[], k: readonly number[]): number[] =>
  o.map((v, i) => v * w.strides[i]! + k[i]! * w.dilations[i]! - w.pads[i]!);

/** Grouped convolution straight from its definition: one sum per output element, no bias. */
export function naiveConv(
  x: HostTensor,
  weight: HostTensor,
  w: NaiveWindow,
  groups: number,
  outShape: readonly number[],
): number[] {
  const perGroup = weight.shape[0]! / groups;
  const width = weight.shape[1]!;
  const taps = indicesOf(w.kernel);
  return indicesOf(outShape).map(([n, m, ...o]) => {
    let sum = 0;
    for (let c = 0; c < width; c++) {
      for (const k of taps) {
        const channel = Math.floor(m! / perGroup) * width + c;
        sum += (at(x, [n!, channel, ...tapAt(w, o, k)]) ?? 0) * at(weight, [m!, c, ...k])!;
      }
    }
    return sum;
  });
}

/** Transposed convolution as the adjoint: output o gathers every (input i, tap k) with i·stride + k·dilation - pad = o. */
export function naiveConvTranspose(
  x: HostTensor,
  weight: HostTensor,
  w: NaiveWindow,
  groups: number,
  outShape: readonly number[],
): number[] {
  const perGroup = weight.shape[1]!;
  const width = x.shape[1]! / groups;
  const pairs = indicesOf(x.shape.slice(2)).flatMap((i) => indicesOf(w.kernel).map((k) => [i, k] as const));
  return indicesOf(outShape).map(([n, m, ...o]) => {
    let sum = 0;
    const group = Math.floor(m! / perGroup);
    for (const [i, k] of pairs) {
      if (!tapAt(w, i, k).every((v, d) => v === o[d])) continue;
      for (let c = group * width; c < (group + 1) * width; c++) {
        sum += at(x, [n!, c, ...i])! * at(weight, [c, m! % perGroup, ...k])!;
      }
    }
    return sum;
  });
}

/** What lies under each window: values on data, and how many taps lie on data or declared padding. */
export function naiveWindows(
  x: HostTensor,
  w: NaiveWindow,
  outShape: readonly number[],
): { values: number[]; padded: number }[] {
  const rank = w.kernel.length;
  const taps = indicesOf(w.kernel);
  return indicesOf(outShape).map(([n, c, ...o]) => {
    const places = taps.map((k) => tapAt(w, o, k));
    const values = places.map((p) => at(x, [n!, c!, ...p])).filter((v) => v !== undefined);
    const inside = (p: readonly number[]): boolean =>
      p.every((v, i) => v >= -w.pads[i]! && v < x.shape[2 + i]! + w.pads[rank + i]!);
    return { values, padded: places.filter(inside).length };
  });
}
