import { allocate, type HostArray } from "../tensor/dtype.ts";

/** bool tensors hold 0 and 1 only, whatever byte a file used for true. */
export function asBool(values: HostArray): HostArray {
  if (values.every((x: number | bigint) => x === 0 || x === 1)) return values;
  const out = allocate("bool", values.length);
  for (let i = 0; i < out.length; i++) out[i] = values[i] === 0 ? 0 : 1;
  return out;
}
