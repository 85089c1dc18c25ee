import { create, toBinary } from "@bufbuild/protobuf";
import {
  type AttributeProto,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  AttributeProto_AttributeType as Type,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from "onnx-buf";

/** Builders of small ONNX files, right or wrong, straight from the schema: no code of ours in between. */

export const elementType = {
  f32: 1,
  u8: 2,
  i8: 3,
  u16: 4,
  i32: 6,
  i64: 7,
  string: 8,
  bool: 9,
  f16: 10,
  f64: 11,
};

export type Dim = number | bigint | string;

export function valueInfo(name: string, shape: readonly Dim[] | undefined, element = 1): ValueInfoProto {
  const dim = shape?.map((d) =>
    create(TensorShapeProto_DimensionSchema, {
      value: typeof d === "string" ? { case: "dimParam", value: d } : { case: "dimValue", value: BigInt(d) },
    }),
  );
  const tensor = create(TypeProto_TensorSchema, {
    elemType: element,
    ...(dim && { shape: create(TensorShapeProtoSchema, { dim }) }),
  });
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: "tensorType", value: tensor } }),
  });
}

export interface TensorParts {
  readonly raw?: ArrayBufferView;
  readonly floats?: number[];
  readonly int32s?: number[];
  readonly int64s?: bigint[];
  readonly doubles?: number[];
  readonly uint64s?: bigint[];
  readonly external?: readonly (readonly [string, string])[];
}

export function tensorProto(
  name: string,
  element: number,
  dims: readonly (number | bigint)[],
  parts: TensorParts,
): TensorProto {
  const { raw } = parts;
  return create(TensorProtoSchema, {
    name,
    dataType: element,
    dims: dims.map(BigInt),
    floatData: parts.floats ?? [],
    int32Data: parts.int32s ?? [],
    int64Data: parts.int64s ?? [],
    doubleData: parts.doubles ?? [],
    uint64Data: parts.uint64s ?? [],
    ...(raw && { rawData: new Uint8Array(raw.buffer as ArrayBuffer, raw.byteOffset, raw.byteLength) }),
    ...(parts.external && {
      dataLocation: TensorProto_DataLocation.EXTERNAL,
      externalData: parts.external.map(([key, value]) =>
        create(StringStringEntryProtoSchema, { key, value }),
      ),
    }),
  });
}

export const floats = (name: string, dims: readonly number[], values: readonly number[]): TensorProto =>
  tensorProto(name, 1, dims, { raw: Float32Array.from(values) });

export const longs = (name: string, values: readonly number[]): TensorProto =>
  tensorProto(name, 7, [values.length], { raw: BigInt64Array.from(values, BigInt) });

/** Attribute values: bigint is INT, number FLOAT, text STRING; lists likewise; a TensorProto is a TENSOR. */
export type Value = bigint | number | string | readonly bigint[] | readonly number[] | TensorProto;

export function attribute(name: string, value: Value): AttributeProto {
  if (typeof value === "bigint") return create(AttributeProtoSchema, { name, type: Type.INT, i: value });
  if (typeof value === "number") return create(AttributeProtoSchema, { name, type: Type.FLOAT, f: value });
  if (typeof value === "string") {
    return create(AttributeProtoSchema, { name, type: Type.STRING, s: new TextEncoder().encode(value) });
  }
  if ("$typeName" in value) return create(AttributeProtoSchema, { name, type: Type.TENSOR, t: value });
  return typeof value[0] === "number"
    ? create(AttributeProtoSchema, { name, type: Type.FLOATS, floats: [...(value as readonly number[])] })
    : create(AttributeProtoSchema, { name, type: Type.INTS, ints: [...(value as readonly bigint[])] });
}

export function node(
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, Value>> = {},
  more: { readonly name?: string; readonly domain?: string } = {},
): NodeProto {
  return create(NodeProtoSchema, {
    opType: op,
    name: more.name ?? "",
    domain: more.domain ?? "",
    input: [...inputs],
    output: [...outputs],
    attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
  });
}

export interface ModelParts {
  readonly opset?: number | bigint;
  readonly ir?: number;
  readonly domain?: string;
  readonly nodes: readonly NodeProto[];
  readonly inputs?: readonly ValueInfoProto[];
  readonly outputs?: readonly ValueInfoProto[];
  readonly initializers?: readonly TensorProto[];
  readonly metadata?: readonly (readonly [string, string])[];
}

/** A model; one input x and one output y of [2, 3] unless said. */
export function onnxModel(parts: ModelParts): Uint8Array {
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: BigInt(parts.ir ?? 8),
      opsetImport: [
        create(OperatorSetIdProtoSchema, { domain: parts.domain ?? "", version: BigInt(parts.opset ?? 22) }),
      ],
      metadataProps: (parts.metadata ?? []).map(([key, value]) =>
        create(StringStringEntryProtoSchema, { key, value }),
      ),
      graph: create(GraphProtoSchema, {
        name: "g",
        node: [...parts.nodes],
        input: [...(parts.inputs ?? [valueInfo("x", [2, 3])])],
        output: [...(parts.outputs ?? [valueInfo("y", [2, 3])])],
        initializer: [...(parts.initializers ?? [])],
      }),
    }),
  );
}

/** A model of one node reading x (and the initializers) and making y. */
export const oneNode = (n: NodeProto, parts: Partial<ModelParts> = {}): Uint8Array =>
  onnxModel({ ...parts, nodes: [n] });

// --- the wire itself

/** A varint of any size; `pad` adds that many needless bytes. */
export function varint(value: number | bigint, pad = 0): number[] {
  const out: number[] = [];
  let v = BigInt(value);
  for (; v >= 128n; v >>= 7n) out.push(Number(v & 127n) | 128);
  out.push(Number(v));
  for (let i = 0; i < pad; i++) {
    out[out.length - 1]! |= 128;
    out.push(0);
  }
  return out;
}

export const tag = (field: number, wire: number): number[] => varint(field * 8 + wire);

/** A length-delimited field around `content`. */
export const wrapped = (field: number, content: Uint8Array): Uint8Array =>
  Uint8Array.from([...tag(field, 2), ...varint(content.length), ...content]);

export const joined = (...parts: ArrayLike<number>[]): Uint8Array =>
  Uint8Array.from(parts.flatMap((p) => Array.from(p)));
