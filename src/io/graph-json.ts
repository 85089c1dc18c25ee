import * as v from "valibot";
import { FileError, printable } from "../errors.ts";
import {
  type Attribute,
  type Graph,
  type GraphValue,
  makeGraph,
  maxNodes,
  type Node,
} from "../graph/graph.ts";
import { metadataKeys, parseJson } from "../graph/metadata.ts";
import { byteWidth, type DType, dtypes, viewBytes } from "../tensor/dtype.ts";
import { bytesOf, type HostTensor } from "../tensor/host-tensor.ts";
import { checkShape, maxRank, sameShape, showShape, sizeOf } from "../tensor/shape.ts";
import { asBool } from "./as-bool.ts";
import { fromBase64, toBase64 } from "./masks.ts";
import { checkOps } from "./model-ops.ts";

/** What JSON has no number for. */
const special = ["NaN", "Infinity", "-Infinity", "-0"] as const;

/** Lists are counted before their items are looked at. */
const list = <const S extends v.GenericSchema>(item: S, most: number) =>
  v.pipe(v.array(v.unknown()), v.maxLength(most), v.array(item));
const most = 2 ** 20;

const dtype = v.picklist(dtypes as [DType, ...DType[]]);
const dimension = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const value = v.object({ name: v.string(), dtype, shape: list(v.nullable(dimension), maxRank) });
const weight = v.object({ name: v.string(), dtype, shape: list(dimension, maxRank) });
const number = v.union([v.number(), v.picklist(special)]);
const attribute = v.union([
  v.object({ name: v.string(), number }),
  v.object({ name: v.string(), text: v.string() }),
  v.object({ name: v.string(), numbers: list(number, most) }),
  v.object({ name: v.string(), texts: list(v.string(), most) }),
  v.object({
    name: v.string(),
    tensor: v.object({ dtype, shape: list(dimension, maxRank), base64: v.string() }),
  }),
]);
const node = v.object({
  name: v.string(),
  op: v.string(),
  inputs: list(v.string(), most),
  outputs: list(v.string(), most),
  attributes: list(attribute, 1000),
});
const schema = v.object({
  version: v.literal(1),
  name: v.string(),
  inputs: list(value, maxNodes),
  outputs: list(value, maxNodes),
  nodes: list(node, maxNodes),
  weights: list(weight, most),
});

/** A graph without the numbers of its weights, as its JSON says. */
export type GraphStructure = v.InferOutput<typeof schema>;
type JsonAttribute = v.InferOutput<typeof attribute>;
type JsonNumber = v.InferOutput<typeof number>;

const encodeNumber = (x: number): JsonNumber =>
  Number.isFinite(x) && !Object.is(x, -0) ? x : special.find((s) => Object.is(Number(s), x))!;

function encodeAttribute(name: string, given: Attribute): JsonAttribute {
  if (typeof given === "number") return { name, number: encodeNumber(given) };
  if (typeof given === "string") return { name, text: given };
  if ("dtype" in given) {
    return {
      name,
      tensor: { dtype: given.dtype, shape: [...given.shape], base64: toBase64(bytesOf(given)) },
    };
  }
  if (given.length > 0 && typeof given[0] === "string")
    return { name, texts: [...(given as readonly string[])] };
  return { name, numbers: (given as readonly number[]).map(encodeNumber) };
}

function decodeAttribute(a: JsonAttribute): Attribute {
  if ("number" in a) return Number(a.number);
  if ("text" in a) return a.text;
  if ("numbers" in a) return a.numbers.map(Number);
  if ("texts" in a) return a.texts;
  return decodeTensor(a.tensor, `attribute "${printable(a.name)}"`);
}

function decodeTensor(t: { dtype: DType; shape: number[]; base64: string }, what: string): HostTensor {
  checkShape(t.shape, what);
  const bytes = fromBase64(t.base64, what);
  const need = sizeOf(t.shape) * byteWidth(t.dtype);
  if (bytes.length !== need) {
    throw new FileError("E_METADATA", `${what} has ${bytes.length} bytes; its shape needs ${need}.`);
  }
  const data = viewBytes(t.dtype, bytes, 0, sizeOf(t.shape));
  return { dtype: t.dtype, shape: t.shape, data: t.dtype === "bool" ? asBool(data) : data };
}

/** JSON of a graph's structure: nodes, values, names and shapes of weights. The same graph gives the same text. */
export function graphToJson(graph: Graph): string {
  checkOps(graph.nodes);
  const structure: GraphStructure = {
    version: 1,
    name: graph.name,
    inputs: graph.inputs.map((i) => ({ name: i.name, dtype: i.dtype, shape: [...i.shape] })),
    outputs: graph.outputs.map((o) => ({ name: o.name, dtype: o.dtype, shape: [...o.shape] })),
    nodes: graph.nodes.map((n) => ({
      name: n.name,
      op: n.op,
      inputs: [...n.inputs],
      outputs: [...n.outputs],
      attributes: [...n.attributes].map(([name, given]) => encodeAttribute(name, given)),
    })),
    weights: [...graph.weights].map(([name, w]) => ({ name, dtype: w.dtype, shape: [...w.shape] })),
  };
  return JSON.stringify(structure);
}

/** The structure a JSON text describes. Throws E_METADATA where it is damaged. */
export const parseGraphJson = (text: string): GraphStructure => parseJson(schema, text, metadataKeys.graph);

/**
 * The graph of a structure and its weights. Throws what `makeGraph` throws, E_METADATA where the structure and the weights
 * disagree, and E_UNSUPPORTED for an op that no file may contain.
 */
export function graphFromStructure(
  structure: GraphStructure,
  weights: ReadonlyMap<string, HostTensor>,
  masks: ReadonlyMap<string, HostTensor>,
  metadata: ReadonlyMap<string, string>,
): Graph {
  for (const w of structure.weights) {
    const given = weights.get(w.name);
    if (!given || given.dtype !== w.dtype || !sameShape(given.shape, w.shape)) {
      const is = given ? `${given.dtype} ${showShape(given.shape)}` : "missing";
      throw new FileError(
        "E_METADATA",
        `weight "${printable(w.name)}" is ${is}; the graph needs ${w.dtype} ${showShape(w.shape)}.`,
        { tensor: printable(w.name) },
      );
    }
  }
  const nodes = structure.nodes.map((n): Node => {
    const attributes = new Map(n.attributes.map((a) => [a.name, decodeAttribute(a)]));
    return { name: n.name, op: n.op, inputs: n.inputs, outputs: n.outputs, attributes };
  });
  checkOps(nodes);
  const check = (values: readonly GraphValue[]): readonly GraphValue[] => {
    for (const x of values)
      checkShape(
        x.shape.map((d) => d ?? 1),
        `"${printable(x.name)}"`,
      );
    return values;
  };
  return makeGraph({
    name: structure.name,
    inputs: check(structure.inputs),
    outputs: check(structure.outputs),
    nodes,
    weights,
    masks,
    metadata,
  });
}
