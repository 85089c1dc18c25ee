import { InputError } from "../errors.ts";
import type { DType, HostArray } from "../tensor/dtype.ts";
import { allocate, isFloat } from "../tensor/dtype.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import type { Word } from "./lowering.ts";

/** The device word that holds a dtype. */
export const wordOf = (dtype: DType): Word => (isFloat(dtype) ? "f32" : dtype === "u32" ? "u32" : "i32");

/** Host data as device words: floats to f32, integers to i32 (i64 range-checked), u32 as it is. */
export function toWords(data: HostArray, what: string): Float32Array | Int32Array | Uint32Array {
  if (data instanceof Float32Array || data instanceof Int32Array || data instanceof Uint32Array) return data;
  if (data instanceof BigInt64Array) {
    const out = new Int32Array(data.length);
    for (let i = 0; i < data.length; i++) {
      const value = data[i]!;
      if (value < -2147483648n || value > 2147483647n) {
        throw new InputError(
          `${what} holds ${value} at element ${i}; on the device i64 is held as i32. Keep values within 32 bits.`,
        );
      }
      out[i] = Number(value);
    }
    return out;
  }
  if (data instanceof Uint8Array || data instanceof Int8Array) return Int32Array.from(data);
  return Float32Array.from(data as Iterable<number>);
}

/** Device words back as a host tensor of the dtype the graph declares. */
export function fromWords(words: ArrayBuffer, dtype: DType, shape: readonly number[]): HostTensor {
  const word = wordOf(dtype);
  const raw =
    word === "f32"
      ? new Float32Array(words)
      : word === "u32"
        ? new Uint32Array(words)
        : new Int32Array(words);
  if (dtype === "f32" || dtype === "i32" || dtype === "u32") return { dtype, shape, data: raw };
  const data = allocate(dtype, raw.length);
  if (data instanceof BigInt64Array) for (let i = 0; i < raw.length; i++) data[i] = BigInt(raw[i]!);
  else data.set(raw as unknown as ArrayLike<never>);
  return { dtype, shape, data };
}
