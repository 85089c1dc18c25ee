import { create, toBinary } from "@bufbuild/protobuf";
import {
  type AttributeProto,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  AttributeProto_AttributeType as Type,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from "onnx-buf";
import { FileError, printable, UnsupportedError } from "../../errors.ts";
import type { Attribute, Graph, GraphValue, Node } from "../../graph/graph.ts";
import type { AttributeKind } from "../../graph/op.ts";
import { findOp } from "../../graph/ops/index.ts";
import { allocate } from "../../tensor/dtype.ts";
import { byteLength, bytesOf, type HostTensor } from "../../tensor/host-tensor.ts";
import { maskPrefix, packBits, toBase64 } from "../masks.ts";
import { checkOps } from "../model-ops.ts";
import { elementOfDtype } from "./tensor.ts";

/** Opset of the canonical semantics, and the IR version that came with it. */
const base = { opset: 22, ir: 10 } as const;
/** Ops of ours that a later opset brought, with the IR version of that release. */
const later: ReadonlyMap<string, { readonly opset: number; readonly ir: number }> = new Map([
  ["Attention", { opset: 23, ir: 11 }],
  ["RMSNormalization", { opset: 23, ir: 11 }],
  ["RotaryEmbedding", { opset: 23, ir: 11 }],
  ["Swish", { opset: 24, ir: 12 }],
]);

/** Protobuf messages end at 2 GiB; some room is left for everything that is not a weight. */
const largest = 2 ** 31 - 2 ** 24;

/**
 * Bytes of an .onnx file that any ONNX runtime loads: dense weights with zeros where masks prune, the lowest opset that
 * has all ops, types declared, unknown dimensions named. Masks (bits, base64) and metadata go into `metadata_props`. The
 * same graph gives the same bytes. Throws E_UNSUPPORTED for ops that ONNX does not have, E_LIMIT beyond 2 GiB.
 */
export function writeOnnx(graph: Graph): Uint8Array {
  checkOps(graph.nodes);
  const size = [...graph.weights.values()].reduce((sum, w) => sum + byteLength(w), 0);
  if (size > largest) {
    throw new FileError(
      "E_LIMIT",
      `${size} bytes of weights do not fit an .onnx file. Save as .safetensors instead.`,
    );
  }
  const versions = graph.nodes.map((n) => later.get(n.op) ?? base);
  const opset = Math.max(base.opset, ...new Set(versions.map((v) => v.opset)));
  const ir = Math.max(base.ir, ...new Set(versions.map((v) => v.ir)));
  const entries = new Map(graph.metadata);
  for (const [name, mask] of graph.masks) entries.set(maskPrefix + name, toBase64(packBits(mask.data)));
  const model = create(ModelProtoSchema, {
    irVersion: BigInt(ir),
    producerName: "secateur",
    opsetImport: [create(OperatorSetIdProtoSchema, { domain: "", version: BigInt(opset) })],
    metadataProps: [...entries].map(([key, value]) => create(StringStringEntryProtoSchema, { key, value })),
    graph: create(GraphProtoSchema, {
      name: graph.name === "" ? "graph" : graph.name,
      node: graph.nodes.map(nodeProto),
      initializer: [...graph.weights].map(([name, w]) =>
        tensorProto(maskedWeight(w, graph.masks.get(name)), name),
      ),
      input: graph.inputs.map(valueProto),
      output: graph.outputs.map(valueProto),
    }),
  });
  return toBinary(ModelProtoSchema, model);
}

/** A pruned element is a stored +0, whatever the weight held there. */
function maskedWeight(weight: HostTensor, mask: HostTensor | undefined): HostTensor {
  if (!mask) return weight;
  const data = allocate(weight.dtype, weight.data.length);
  for (let i = 0; i < data.length; i++) if (mask.data[i]) data[i] = weight.data[i]!;
  return { ...weight, data };
}

function tensorProto(tensor: HostTensor, name: string): TensorProto {
  return create(TensorProtoSchema, {
    name,
    dims: tensor.shape.map(BigInt),
    dataType: elementOfDtype(tensor.dtype),
    rawData: bytesOf(tensor) as Uint8Array<ArrayBuffer>,
  });
}

function valueProto(value: GraphValue): ValueInfoProto {
  const dim = value.shape.map((d, i) =>
    create(TensorShapeProto_DimensionSchema, {
      value:
        d === null
          ? { case: "dimParam", value: dimensionName(value, i) }
          : { case: "dimValue", value: BigInt(d) },
    }),
  );
  const tensor = create(TypeProto_TensorSchema, {
    elemType: elementOfDtype(value.dtype),
    shape: create(TensorShapeProtoSchema, { dim }),
  });
  const type = create(TypeProtoSchema, { value: { case: "tensorType", value: tensor } });
  return create(ValueInfoProtoSchema, { name: value.name, type });
}

/** The outermost unknown dimension is the batch by custom; others are told apart, since nothing says that they agree. */
const dimensionName = (value: GraphValue, axis: number): string =>
  axis === 0 ? "batch" : `${value.name}_${axis}`;

function nodeProto(node: Node) {
  if (!/^[A-Z][A-Za-z0-9]*$/.test(node.op)) {
    throw new UnsupportedError(
      `op ${printable(node.op)} (node "${printable(node.name)}") has no form in ONNX.`,
      {
        op: printable(node.op),
        node: printable(node.name),
      },
    );
  }
  const kinds = findOp(node.op)?.attributes ?? {};
  return create(NodeProtoSchema, {
    name: node.name,
    opType: node.op,
    input: [...node.inputs],
    output: [...node.outputs],
    attribute: [...node.attributes].map(([name, value]) => attributeProto(name, value, kinds[name])),
  });
}

const encoder = new TextEncoder();

function attributeProto(name: string, value: Attribute, kind: AttributeKind | undefined): AttributeProto {
  if (typeof value === "number") {
    const int = kind === "int" || (kind === undefined && Number.isSafeInteger(value));
    const fields = int ? { type: Type.INT, i: BigInt(value) } : { type: Type.FLOAT, f: value };
    return create(AttributeProtoSchema, { name, ...fields });
  }
  if (typeof value === "string")
    return create(AttributeProtoSchema, { name, type: Type.STRING, s: encoder.encode(value) });
  if ("dtype" in value)
    return create(AttributeProtoSchema, { name, type: Type.TENSOR, t: tensorProto(value, "") });
  if (value.length > 0 && typeof value[0] === "string") {
    const strings = (value as readonly string[]).map((s) => encoder.encode(s));
    return create(AttributeProtoSchema, { name, type: Type.STRINGS, strings });
  }
  const numbers = value as readonly number[];
  return kind === "floats"
    ? create(AttributeProtoSchema, { name, type: Type.FLOATS, floats: [...numbers] })
    : create(AttributeProtoSchema, { name, type: Type.INTS, ints: numbers.map(BigInt) });
}
