import { fromBinary } from "@bufbuild/protobuf";
import { type TensorProto, TensorProto_DataLocation, TensorProtoSchema } from "onnx-buf";
import { FileError, GraphError, printable } from "../../errors.ts";
import { allocate, byteWidth, type DType, type HostArray, viewBytes } from "../../tensor/dtype.ts";
import type { HostTensor } from "../../tensor/host-tensor.ts";
import { checkedMul, checkShape, sizeOf } from "../../tensor/shape.ts";
import { asBool } from "../as-bool.ts";
import { guarded, type ReadOptions } from "../fault.ts";
import { scanProto } from "./scan.ts";

/** Where external tensor data comes from: returns exactly `length` bytes of the file at `location`, or throws. */
export type ExternalData = (location: string, offset: number, length: number) => Uint8Array;

/** ONNX element types by number; those without a dtype of ours keep their name for the refusal. */
const elementTypes: readonly (readonly [string, DType?])[] = [
  ["undefined"],
  ["float", "f32"],
  ["uint8", "u8"],
  ["int8", "i8"],
  ["uint16"],
  ["int16"],
  ["int32", "i32"],
  ["int64", "i64"],
  ["string"],
  ["bool", "bool"],
  ["float16", "f16"],
  ["double", "f64"],
  ["uint32", "u32"],
  ["uint64"],
  ["complex64"],
  ["complex128"],
  ["bfloat16"],
  ["float8e4m3fn"],
  ["float8e4m3fnuz"],
  ["float8e5m2"],
  ["float8e5m2fnuz"],
  ["uint4"],
  ["int4"],
  ["float4e2m1"],
  ["float8e8m0"],
  ["uint2"],
  ["int2"],
];

/** Our dtype for an ONNX element type, or E_DTYPE naming it. */
export function dtypeOfElement(element: number, what: string): DType {
  const [name, dtype] = elementTypes[element] ?? [`number ${element}`];
  if (dtype) return dtype;
  throw new FileError("E_DTYPE", `${what} has element type ${name}, which is not supported.`);
}

export const elementOfDtype = (dtype: DType): number => elementTypes.findIndex(([, d]) => d === dtype);

/** A TensorProto on its own, as test data sets store it (`input_0.pb`). */
export function readTensorProto(
  bytes: Uint8Array,
  options: ReadOptions = {},
): { name: string; tensor: HostTensor } {
  return guarded(options.file, () => {
    if (bytes.length === 0) throw new FileError("E_TRUNCATED", "the file is empty.");
    scanProto(TensorProtoSchema, bytes);
    const proto = fromBinary(TensorProtoSchema, bytes, { readUnknownFields: false });
    return { name: proto.name, tensor: tensorOf(proto, `tensor "${printable(proto.name)}"`) };
  });
}

/**
 * The tensor a TensorProto describes. Data is viewed in place where its alignment allows. Throws E_DTYPE, E_SHAPE,
 * E_OVERFLOW, E_SIZE, E_EXTERNAL.
 */
export function tensorOf(proto: TensorProto, what: string, external?: ExternalData): HostTensor {
  const dtype = dtypeOfElement(proto.dataType, what);
  const shape = proto.dims.map((d) => {
    if (d < 0n)
      throw new GraphError("E_SHAPE", `${what} has dimension ${d}; dimensions are whole numbers from 0.`);
    if (d > 2n ** 53n - 1n)
      throw new GraphError("E_OVERFLOW", `${what} has dimension ${d}, beyond 2^53 - 1.`);
    return Number(d);
  });
  checkShape(shape, what);
  if (proto.segment) throw new FileError("E_SIZE", `${what} is split into segments, which is not supported.`);
  const count = sizeOf(shape);
  const bytes = checkedMul(count, byteWidth(dtype));
  const typed = typedFields(proto).filter(([, values]) => values.length > 0);
  const isExternal = proto.dataLocation === TensorProto_DataLocation.EXTERNAL;
  const sources = typed.length + (proto.rawData.length > 0 ? 1 : 0) + (isExternal ? 1 : 0);
  if (sources > 1) {
    throw new FileError(
      "E_SIZE",
      `${what} has its data in several places (raw, typed or external); one is allowed.`,
    );
  }
  if (isExternal) {
    return { dtype, shape, data: fromBytes(dtype, readExternal(proto, bytes, what, external), count, what) };
  }
  if (typed.length === 0) return { dtype, shape, data: fromBytes(dtype, proto.rawData, count, what) };
  const [field, values] = typed[0]!;
  if (field !== fieldOf(dtype)) {
    throw new FileError(
      "E_DTYPE",
      `${what} of dtype ${dtype} has its data in ${field}; it belongs in ${fieldOf(dtype)}.`,
    );
  }
  if (values.length !== count) {
    throw new FileError(
      "E_SIZE",
      `${what} of shape [${shape}] needs ${count} elements; ${field} has ${values.length}.`,
    );
  }
  return { dtype, shape, data: fromTyped(dtype, values, what) };
}

type TypedField = readonly [string, readonly (number | bigint | Uint8Array)[]];

const typedFields = (p: TensorProto): readonly TypedField[] => [
  ["float_data", p.floatData],
  ["int32_data", p.int32Data],
  ["int64_data", p.int64Data],
  ["double_data", p.doubleData],
  ["uint64_data", p.uint64Data],
  ["string_data", p.stringData],
];

function fieldOf(dtype: DType): string {
  if (dtype === "f32") return "float_data";
  if (dtype === "f64") return "double_data";
  if (dtype === "i64") return "int64_data";
  return dtype === "u32" ? "uint64_data" : "int32_data";
}

function fromBytes(dtype: DType, bytes: Uint8Array, count: number, what: string): HostArray {
  const need = count * byteWidth(dtype);
  if (bytes.length !== need) {
    throw new FileError("E_SIZE", `${what} needs ${need} bytes of data; it has ${bytes.length}.`);
  }
  const values = viewBytes(dtype, bytes, 0, count);
  return dtype === "bool" ? asBool(values) : values;
}

const ranges: Partial<Record<DType, readonly [number, number]>> = {
  u8: [0, 255],
  i8: [-128, 127],
  u32: [0, 2 ** 32 - 1],
  f16: [0, 65535],
};

function fromTyped(dtype: DType, values: TypedField[1], what: string): HostArray {
  if (dtype === "i64") return BigInt64Array.from(values as readonly bigint[]);
  const numbers = (values as readonly (number | bigint)[]).map(Number);
  const range = ranges[dtype];
  for (const v of range ? numbers : []) {
    if (v < range![0] || v > range![1]) {
      throw new FileError(
        "E_SIZE",
        `${what} of dtype ${dtype} holds ${v}, beyond ${range![0]} to ${range![1]}.`,
      );
    }
  }
  // Halves travel as their bits.
  if (dtype === "f16")
    return viewBytes("f16", new Uint8Array(Uint16Array.from(numbers).buffer), 0, numbers.length);
  const out = allocate(dtype, numbers.length) as Float64Array;
  for (let i = 0; i < out.length; i++) out[i] = dtype === "bool" ? Number(numbers[i] !== 0) : numbers[i]!;
  return out;
}

const externalKeys = new Set(["location", "offset", "length", "checksum", "basepath"]);

function readExternal(proto: TensorProto, need: number, what: string, external?: ExternalData): Uint8Array {
  const bad = (why: string): never => {
    throw new FileError("E_EXTERNAL", `${what}: external data ${why}.`);
  };
  const entries = new Map<string, string>();
  for (const { key, value } of proto.externalData) {
    if (!externalKeys.has(key)) bad(`has an unknown key "${printable(key)}"`);
    if (entries.has(key)) bad(`names the key "${key}" twice`);
    entries.set(key, value);
  }
  const whole = (key: string): number | undefined => {
    const text = entries.get(key);
    if (text === undefined) return undefined;
    if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(Number(text))) {
      bad(`has ${key} "${printable(text)}"; a whole number from 0 is needed`);
    }
    return Number(text);
  };
  const location = entries.get("location") ?? bad("names no location");
  if ((entries.get("basepath") ?? "") !== "") bad("has a basepath, which is not followed");
  const offset = whole("offset") ?? 0;
  const length = whole("length");
  if (length !== undefined && length !== need) {
    throw new FileError("E_SIZE", `${what} needs ${need} bytes; its external data announces ${length}.`);
  }
  if (!external) {
    throw new FileError(
      "E_EXTERNAL",
      `${what} lies in the external file "${printable(location)}", which is only read for models opened from a folder. ` +
        "Save the model with its data inside, or open it by path.",
    );
  }
  return external(location, offset, need);
}
