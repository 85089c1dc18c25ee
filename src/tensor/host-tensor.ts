import { InputError } from "../errors.ts";
import { allocate, byteWidth, type DType, dtypeOf, dtypes, type HostArray, isDType } from "./dtype.ts";
import { checkShape, type Shape, showShape, sizeOf } from "./shape.ts";

/** A tensor on the CPU: `data` holds product(shape) elements, row-major. Plain data; treat it as immutable. */
export interface HostTensor {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly data: HostArray;
}

/**
 * Makes a tensor from a typed array (not copied) or from plain numbers (copied; f32 unless `dtype` says otherwise).
 * Throws E_INPUT when dtype and array differ or the length is not product(shape), E_SHAPE for a bad shape.
 */
export function tensor(data: HostArray | readonly number[], shape: Shape, dtype?: DType): HostTensor {
  if (dtype !== undefined && !isDType(dtype)) {
    throw new InputError(`dtype "${String(dtype)}" is unknown. Use one of ${dtypes.join(", ")}.`);
  }
  if (!Array.isArray(shape))
    throw new InputError(`tensor shape is ${String(shape)}; pass an array of dimensions.`);
  checkShape(shape, "tensor");
  const array = Array.isArray(data)
    ? fromNumbers(data as readonly number[], dtype ?? "f32")
    : (data as HostArray);
  const stored = dtypeOf(array);
  const wanted = dtype ?? stored;
  if (wanted !== stored && !(wanted === "bool" && stored === "u8")) {
    throw new InputError(
      `tensor data is ${stored} but dtype ${wanted} was asked for. Convert it with cast() first.`,
    );
  }
  if (array.length !== sizeOf(shape)) {
    throw new InputError(
      `tensor of shape ${showShape(shape)} needs ${sizeOf(shape)} elements, but its data has ${array.length}.`,
    );
  }
  return { dtype: wanted, shape: [...shape], data: array };
}

function fromNumbers(values: readonly number[], dtype: DType): HostArray {
  const out = allocate(dtype, values.length);
  for (let i = 0; i < values.length; i++) setNumber(out, i, values[i]!);
  return out;
}

/** Element as a double; i64 beyond 2^53 loses digits. */
export const getNumber = (data: HostArray, i: number): number => Number(data[i]);

/** Stores a double: fractions are cut for integer types, values wrap or saturate as the typed array does. */
export function setNumber(data: HostArray, i: number, value: number): void {
  if (data instanceof BigInt64Array) data[i] = BigInt(Math.trunc(value));
  else data[i] = value;
}

export const zeros = (shape: Shape, dtype: DType = "f32"): HostTensor => ({
  dtype,
  shape: [...shape],
  data: allocate(dtype, sizeOf(shape)),
});

export const scalar = (value: number, dtype: DType = "f32"): HostTensor => tensor([value], [], dtype);

/** The same values in another dtype; returns the tensor itself when nothing changes. */
export function cast(t: HostTensor, dtype: DType): HostTensor {
  if (t.dtype === dtype) return t;
  const out = allocate(dtype, t.data.length);
  for (let i = 0; i < out.length; i++) {
    const v = getNumber(t.data, i);
    setNumber(out, i, dtype === "bool" ? (v !== 0 ? 1 : 0) : v);
  }
  return { dtype, shape: t.shape, data: out };
}

/** All elements as doubles, in order. */
export function toNumbers(t: HostTensor): number[] {
  return Array.from({ length: t.data.length }, (_, i) => getNumber(t.data, i));
}

/** The same data under another shape of equal size. */
export function reshaped(t: HostTensor, shape: Shape): HostTensor {
  if (sizeOf(shape) !== t.data.length) {
    throw new InputError(`cannot view ${showShape(t.shape)} as ${showShape(shape)}: the sizes differ.`);
  }
  return { dtype: t.dtype, shape: [...shape], data: t.data };
}

export const byteLength = (t: HostTensor): number => t.data.length * byteWidth(t.dtype);

/** The raw bytes behind a tensor (a view, not a copy), little-endian as every supported platform is. */
export const bytesOf = (t: HostTensor): Uint8Array =>
  new Uint8Array(t.data.buffer as ArrayBuffer, t.data.byteOffset, byteLength(t));
