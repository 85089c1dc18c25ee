import { sizeOf } from "../../src/tensor/shape.ts";

/** A copy with axis `axes[i]` of `shape` as axis i. */
export function permuted(
  data: Float32Array,
  shape: readonly number[],
  axes: readonly number[],
): Float32Array {
  const strides = shape.map((_, i) => sizeOf(shape.slice(i + 1)));
  const [a, b, c, d] = [0, 1, 2, 3].map((i) => {
    const axis = axes[i];
    return axis === undefined ? { size: 1, stride: 0 } : { size: shape[axis]!, stride: strides[axis]! };
  }) as [Axis, Axis, Axis, Axis];
  const out = new Float32Array(data.length);
  let at = 0;
  for (let i = 0; i < a.size; i++) {
    for (let j = 0; j < b.size; j++) {
      for (let k = 0; k < c.size; k++) {
        const row = i * a.stride + j * b.stride + k * c.stride;
        for (let m = 0; m < d.size; m++) out[at++] = data[row + m * d.stride]!;
      }
    }
  }
  return out;
}

interface Axis {
  readonly size: number;
  readonly stride: number;
}
