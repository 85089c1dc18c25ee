import { Float16Array } from "@petamoriken/float16";
import { InputError } from "../errors.ts";

/** Element types of host tensors. `bool` is one byte, 0 or 1; `f16` is held as IEEE half bits behind a Float16Array. */
export type DType = "f32" | "f16" | "f64" | "i32" | "u32" | "i64" | "u8" | "i8" | "bool";

export type HostArray =
  | Float32Array
  | Float16Array
  | Float64Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | Uint8Array
  | Int8Array;

interface DTypeInfo {
  readonly bytes: number;
  readonly float: boolean;
  readonly array: {
    new (length: number): HostArray;
    new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): HostArray;
  };
}

// Float16Array's constructor type is narrower than the built-in ones only by its brand.
const table: Record<DType, DTypeInfo> = {
  f32: { bytes: 4, float: true, array: Float32Array },
  f16: { bytes: 2, float: true, array: Float16Array as unknown as DTypeInfo["array"] },
  f64: { bytes: 8, float: true, array: Float64Array },
  i32: { bytes: 4, float: false, array: Int32Array },
  u32: { bytes: 4, float: false, array: Uint32Array },
  i64: { bytes: 8, float: false, array: BigInt64Array },
  u8: { bytes: 1, float: false, array: Uint8Array },
  i8: { bytes: 1, float: false, array: Int8Array },
  bool: { bytes: 1, float: false, array: Uint8Array },
};

export const dtypes = Object.keys(table) as readonly DType[];

export const isDType = (name: string): name is DType => Object.hasOwn(table, name);
export const byteWidth = (dtype: DType): number => table[dtype].bytes;
export const isFloat = (dtype: DType): boolean => table[dtype].float;

/** A zero-filled array of `length` elements. */
export const allocate = (dtype: DType, length: number): HostArray => new table[dtype].array(length);

/** A view of `length` elements at `byteOffset`; copies only when the offset is not aligned for the type. */
export function viewBytes(dtype: DType, bytes: Uint8Array, byteOffset: number, length: number): HostArray {
  const { array, bytes: width } = table[dtype];
  const absolute = bytes.byteOffset + byteOffset;
  if (absolute % width === 0) return new array(bytes.buffer, absolute, length);
  // Not bytes.slice(): Node's Buffer overrides it with one that shares the memory instead of copying it.
  const copy = new Uint8Array(bytes.subarray(byteOffset, byteOffset + length * width));
  return new array(copy.buffer, 0, length);
}

/** The dtype a bare array stands for; `Uint8Array` means u8, so a bool tensor names its dtype. */
export function dtypeOf(data: HostArray): DType {
  if (data instanceof Float32Array) return "f32";
  if (data instanceof Float64Array) return "f64";
  if (data instanceof Int32Array) return "i32";
  if (data instanceof Uint32Array) return "u32";
  if (data instanceof BigInt64Array) return "i64";
  if (data instanceof Uint8Array) return "u8";
  if (data instanceof Int8Array) return "i8";
  if (data instanceof Float16Array) return "f16";
  throw new InputError(
    `tensor data is ${Object.prototype.toString.call(data)}, which no dtype is stored as. ` +
      "Pass a Float32Array, Float64Array, Float16Array, Int32Array, Uint32Array, BigInt64Array, Uint8Array or Int8Array.",
  );
}
