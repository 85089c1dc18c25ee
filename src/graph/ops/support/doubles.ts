import { isFloat } from "../../../tensor/dtype.ts";
import { getNumber, type HostTensor } from "../../../tensor/host-tensor.ts";

/** The elements as doubles; f64 tensors (what a reference receives for any float) are not copied. */
export function doubles(t: HostTensor): Float64Array {
  if (t.data instanceof Float64Array) return t.data;
  if (t.data instanceof BigInt64Array) return Float64Array.from(t.data, Number);
  if (t.dtype === "f16") return Float64Array.from({ length: t.data.length }, (_, i) => getNumber(t.data, i));
  return Float64Array.from(t.data as Float32Array);
}

/** A float tensor in double precision, any other as it is: what references are given. */
export const widened = (t: HostTensor): HostTensor =>
  isFloat(t.dtype) && t.dtype !== "f64" ? { dtype: "f64", shape: t.shape, data: doubles(t) } : t;
