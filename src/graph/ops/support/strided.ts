import { allocate } from "../../../tensor/dtype.ts";
import type { HostTensor } from "../../../tensor/host-tensor.ts";
import { type Shape, sizeOf } from "../../../tensor/shape.ts";

/**
 * Visits every index of `shape` in row-major order with, per operand, its element offset `starts[k] + Σ index·strides[k]`.
 * The visitor must not keep the offsets.
 */
export function forEachOffset(
  shape: Shape,
  starts: readonly number[],
  strides: readonly (readonly number[])[],
  visit: (i: number, offsets: readonly number[]) => void,
): void {
  const size = sizeOf(shape);
  const index = new Array<number>(shape.length).fill(0);
  const offsets = [...starts];
  for (let i = 0; i < size; i++) {
    visit(i, offsets);
    for (let d = shape.length - 1; d >= 0; d--) {
      index[d]!++;
      for (let k = 0; k < offsets.length; k++) offsets[k]! += strides[k]![d]!;
      if (index[d]! < shape[d]!) break;
      for (let k = 0; k < offsets.length; k++) offsets[k]! -= strides[k]![d]! * shape[d]!;
      index[d] = 0;
    }
  }
}

/** The tensor of `shape` whose elements are `x[start + Σ index·strides]`: transpose, slice, flip and expand in one. */
export function stridedCopy(
  x: HostTensor,
  shape: Shape,
  start: number,
  strides: readonly number[],
): HostTensor {
  const data = allocate(x.dtype, sizeOf(shape));
  const from = x.data as Float64Array;
  const to = data as Float64Array;
  // The cast is about types only: source and target are of one class, BigInt64Array included.
  forEachOffset(shape, [start], [strides], (i, offsets) => {
    to[i] = from[offsets[0]!]!;
  });
  return { dtype: x.dtype, shape: [...shape], data };
}

/** Writes `x` into `out` at `start + Σ index·strides` (of `out`, in elements). Both are of one dtype. */
export function stridedStore(
  out: HostTensor,
  start: number,
  strides: readonly number[],
  x: HostTensor,
): void {
  const from = x.data as Float64Array;
  const to = out.data as Float64Array;
  forEachOffset(x.shape, [start], [strides], (i, offsets) => {
    to[offsets[0]!] = from[i]!;
  });
}
