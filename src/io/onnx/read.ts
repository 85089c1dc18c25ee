import { fromBinary } from "@bufbuild/protobuf";
import {
  type AttributeProto,
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  type ValueInfoProto,
} from "onnx-buf";
import { FileError, GraphError, printable, UnsupportedError } from "../../errors.ts";
import { type Attribute, type Graph, type GraphValue, makeGraph } from "../../graph/graph.ts";
import { type HostTensor, scalar, tensor } from "../../tensor/host-tensor.ts";
import { guarded, type ReadOptions } from "../fault.ts";
import { unpackMasks } from "../masks.ts";
import { checkOps } from "../model-ops.ts";
import { attributeOf } from "./attribute.ts";
import { type Draft, makeDraft } from "./draft.ts";
import { checkOpset } from "./opset.ts";
import { scanLimits, scanProto } from "./scan.ts";
import { dtypeOfElement, type ExternalData, tensorOf } from "./tensor.ts";
import { upgrade } from "./upgrade.ts";

export interface OnnxOptions extends ReadOptions {
  /** Reads external tensor data; models that need it are refused without. */
  readonly external?: ExternalData;
}

/**
 * Reads an ONNX model (opset 6 and later, any IR version) into a Graph in today's semantics: older forms of ops are
 * rewritten, constants become weights. Bytes are scanned for depth, counts and lengths before they are decoded. Throws
 * E_TRUNCATED, E_PROTO, E_LIMIT for the bytes; E_DTYPE, E_SHAPE, E_OVERFLOW, E_SIZE, E_EXTERNAL for tensors; E_GRAPH,
 * E_ATTRIBUTE, E_UNSUPPORTED for what the model says.
 */
export function readOnnx(bytes: Uint8Array, options: OnnxOptions = {}): Graph {
  return guarded(options.file, () => {
    const model = decode(bytes);
    const graph = model.graph;
    if (!graph)
      throw new FileError("E_PROTO", "the model holds no graph. This is no ONNX model, or it is truncated.");
    const opset = checkOpset(model, graph);
    if (graph.sparseInitializer.length > 0)
      throw new UnsupportedError("sparse_initializer is not supported.");
    const weights = readWeights(graph, options.external);
    const inputs = graph.input.filter((v) => !weights.has(v.name)).map(readValue);
    const draft = makeDraft(inputs, weights, definedNames(graph), readNames(graph));
    for (const [i, name] of uniqueNames(graph.node).entries())
      addNode(graph.node[i]!, name, opset, draft, options.external);
    checkOps(draft.nodes);
    const metadata = new Map<string, string>();
    for (const { key, value } of model.metadataProps) {
      if (metadata.has(key))
        throw new FileError("E_METADATA", `metadata entry "${printable(key)}" appears twice.`);
      metadata.set(key, value);
    }
    const masks = unpackMasks(metadata, weights);
    const outputs = graph.output.map((v) => readOutput(v, draft));
    return makeGraph({ name: graph.name, inputs, outputs, nodes: draft.nodes, weights, masks, metadata });
  });
}

function decode(bytes: Uint8Array): ModelProto {
  if (bytes.length === 0) throw new FileError("E_TRUNCATED", "the file is empty.");
  scanProto(ModelProtoSchema, bytes);
  try {
    return fromBinary(ModelProtoSchema, bytes, {
      readUnknownFields: false,
      recursionLimit: scanLimits.depth + 1,
    });
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new FileError("E_PROTO", `the model cannot be decoded (${printable(text)}).`, {}, { cause });
  }
}

function readWeights(graph: GraphProto, external?: ExternalData): Map<string, HostTensor> {
  const weights = new Map<string, HostTensor>();
  for (const proto of graph.initializer) {
    const what = `initializer "${printable(proto.name)}"`;
    if (proto.name === "") throw new GraphError("E_GRAPH", "an initializer has no name.");
    if (weights.has(proto.name)) throw new GraphError("E_GRAPH", `${what} is defined twice.`);
    weights.set(proto.name, tensorOf(proto, what, external));
  }
  return weights;
}

function tensorType(value: ValueInfoProto, what: string) {
  const type = value.type?.value;
  if (type?.case === "tensorType") return type.value;
  if (type?.case === undefined) throw new GraphError("E_GRAPH", `${what} declares no type.`);
  throw new UnsupportedError(`${what} is a ${type.case.replace(/Type$/, "")}; only tensors are supported.`);
}

type DeclaredType = ReturnType<typeof tensorType>;

function declaredShape(type: DeclaredType, what: string): (number | null)[] | undefined {
  return type.shape?.dim.map(({ value }) => {
    if (value.case !== "dimValue") return null;
    // Some exporters write -1 for "unknown" instead of leaving the dimension out.
    if (value.value > 2n ** 31n - 1n) {
      throw new GraphError(
        "E_OVERFLOW",
        `${what} has dimension ${value.value}; at most 2^31 - 1 is supported.`,
      );
    }
    if (value.value < -1n) throw new GraphError("E_SHAPE", `${what} has dimension ${value.value}.`);
    return value.value < 0n ? null : Number(value.value);
  });
}

function readValue(value: ValueInfoProto): GraphValue {
  const what = `graph input "${printable(value.name)}"`;
  const type = tensorType(value, what);
  const shape = declaredShape(type, what);
  if (!shape) {
    throw new UnsupportedError(`${what} declares no shape. Give it one; unknown dimensions may stay open.`);
  }
  if (shape.length > 8)
    throw new GraphError("E_SHAPE", `${what} has rank ${shape.length}; at most 8 is supported.`);
  return { name: value.name, dtype: dtypeOfElement(type.elemType, what), shape };
}

/** Outputs often declare less than is known by now, and some declare nothing. */
function readOutput(value: ValueInfoProto, draft: Draft): GraphValue {
  const what = `graph output "${printable(value.name)}"`;
  const type = value.type === undefined ? undefined : tensorType(value, what);
  const declared = type && declaredShape(type, what);
  const known = draft.shape(value.name);
  const dtype = type && type.elemType !== 0 ? dtypeOfElement(type.elemType, what) : draft.dtype(value.name);
  const shape =
    declared && known?.length === declared.length
      ? declared.map((d, i) => d ?? known[i]!)
      : (known ?? declared);
  if (!dtype) throw new GraphError("E_GRAPH", `${what} declares no type.`);
  return { name: value.name, dtype, shape: shape ?? [] };
}

function definedNames(graph: GraphProto): Set<string> {
  return new Set([
    ...graph.input.map((v) => v.name),
    ...graph.initializer.map((t) => t.name),
    ...graph.node.flatMap((n) => n.output),
  ]);
}

const readNames = (graph: GraphProto): Set<string> =>
  new Set(
    [...graph.node.flatMap((n) => n.input), ...graph.output.map((v) => v.name)].filter((name) => name !== ""),
  );

/** Gives nameless nodes a name, and repeated names a number: plans and reports tell nodes apart by name. */
function uniqueNames(nodes: readonly NodeProto[]): string[] {
  const taken = new Set(nodes.map((n) => n.name));
  const seen = new Set<string>();
  const repeats = new Map<string, number>();
  return nodes.map((node, i) => {
    const base = node.name === "" ? `${node.opType}_${i}` : node.name;
    let name = base;
    while (seen.has(name) || (name !== node.name && taken.has(name))) {
      const k = (repeats.get(base) ?? 0) + 1;
      repeats.set(base, k);
      name = `${base}_${k}`;
    }
    seen.add(name);
    return name;
  });
}

const trimmed = (names: readonly string[]): string[] => {
  const out = [...names];
  while (out.at(-1) === "") out.pop();
  return out;
};

function addNode(proto: NodeProto, name: string, opset: number, draft: Draft, external?: ExternalData): void {
  const op = proto.opType;
  const details = { op: printable(op), node: printable(name) };
  if (proto.domain !== "" && proto.domain !== "ai.onnx") {
    throw new UnsupportedError(
      `op ${printable(op)} (node "${printable(name)}") is of domain "${printable(proto.domain)}", which is not supported.`,
      details,
    );
  }
  const inputs = trimmed(proto.input);
  const outputs = trimmed(proto.output);
  if (op === "Constant") {
    for (const output of outputs) {
      if (draft.weights.has(output))
        throw new GraphError("E_GRAPH", `"${printable(output)}" is defined twice.`, details);
      draft.weights.set(output, constantOf(proto, external));
    }
    return;
  }
  const attributes = new Map<string, Attribute>();
  for (const attribute of proto.attribute) {
    if (attributes.has(attribute.name)) {
      const twice = `attribute "${printable(attribute.name)}" of ${printable(op)} "${printable(name)}" is given twice.`;
      throw new GraphError("E_ATTRIBUTE", twice, details);
    }
    attributes.set(attribute.name, attributeOf(attribute, op, name, external));
  }
  for (const node of upgrade({ name, op, inputs, outputs, attributes }, opset, draft)) draft.add(node);
}

function constantOf(proto: NodeProto, external?: ExternalData): HostTensor {
  const refuse = (why: string): never => {
    throw new UnsupportedError(`Constant "${printable(proto.name)}" ${why}.`, {
      op: "Constant",
      node: printable(proto.name),
    });
  };
  if (proto.attribute.length !== 1)
    return refuse(`has ${proto.attribute.length} attributes; one value is supported`);
  const attribute: AttributeProto = proto.attribute[0]!;
  const what = `Constant "${printable(proto.name)}"`;
  switch (attribute.name) {
    case "value":
      return attribute.t ? tensorOf(attribute.t, what, external) : refuse("holds no tensor");
    case "value_float":
      return scalar(attribute.f, "f32");
    case "value_floats":
      return tensor(attribute.floats, [attribute.floats.length], "f32");
    case "value_int":
      return { dtype: "i64", shape: [], data: BigInt64Array.of(attribute.i) };
    case "value_ints":
      return { dtype: "i64", shape: [attribute.ints.length], data: BigInt64Array.from(attribute.ints) };
    default:
      return refuse(`is given as ${printable(attribute.name)}, which is not supported`);
  }
}
