import { internal, PruneError, printable } from "../errors.ts";
import { type Attribute, type Graph, makeGraph, type Node } from "../graph/graph.ts";
import { allocate } from "../tensor/dtype.ts";
import { type HostTensor, setNumber, tensor, zeros } from "../tensor/host-tensor.ts";
import { sizeOf } from "../tensor/shape.ts";
import type { ChannelGroups } from "./channel-groups.ts";

/**
 * What a removal changes, free of weight values: it turns the dense net of an architecture into the pruned one whatever its
 * weights are. Nodes are named by their first output, which is unique in a graph.
 */
export interface Structure {
  /** Which slices of each weight axis stay, of how many. */
  readonly weights: readonly {
    readonly weight: string;
    readonly axis: number;
    readonly of: number;
    readonly kept: readonly number[];
  }[];
  readonly attributes: readonly {
    readonly node: string;
    readonly name: string;
    readonly value: PlainAttribute;
  }[];
  /** Constant operands (shapes, sizes, pads) with their new values. */
  readonly constants: readonly {
    readonly node: string;
    readonly input: number;
    readonly values: readonly number[];
  }[];
  /** Bias operands that a node did not have before, zero until weights are read. */
  readonly biases: readonly {
    readonly node: string;
    readonly input: number;
    readonly weight: string;
    readonly length: number;
  }[];
  /** Values of which a node is to see only these entries along one axis, through a Gather in front of its first operand. */
  readonly gathers?: readonly {
    readonly node: string;
    readonly axis: number;
    readonly kept: readonly number[];
  }[];
}

export type PlainAttribute = number | string | readonly number[] | readonly string[];

export const emptyStructure: Structure = { weights: [], attributes: [], constants: [], biases: [] };

/** The name by which a structure knows a node. */
export const nodeKey = (node: Node): string => node.outputs.find((name) => name !== "") ?? node.name;

/** What removing these classes changes. */
export function structureOf(groups: ChannelGroups, removed: ReadonlySet<number>): Structure {
  const kept = (id: number): boolean => !removed.has(groups.classOf[id]!);
  const weights = new Map<string, Structure["weights"][number]>();
  for (const { weight, axis, classes } of groups.slices) {
    if (!classes.some((c) => removed.has(c))) continue;
    const indices = classes.flatMap((c, k) => (removed.has(c) ? [] : [k]));
    weights.set(`${axis} ${weight}`, { weight, axis, of: classes.length, kept: indices });
  }
  const attributes: Structure["attributes"][number][] = [];
  const constants: Structure["constants"][number][] = [];
  for (const rewrite of groups.rewrites) {
    const node = nodeKey(rewrite.node);
    if (rewrite.kind === "attribute") {
      const value = plain(rewrite.rewrite(kept));
      if (!sameValue(value, plain(rewrite.rewrite(() => true))))
        attributes.push({ node, name: rewrite.name, value });
    } else {
      const values = rewrite.rewrite(kept);
      if (
        !sameValue(
          values,
          rewrite.rewrite(() => true),
        )
      )
        constants.push({ node, input: rewrite.input, values });
    }
  }
  return { weights: [...weights.values()], attributes, constants, biases: [] };
}

function plain(value: Attribute): PlainAttribute {
  if (typeof value === "object" && "dtype" in value) internal("a channel rule rewrites a tensor attribute");
  return value as PlainAttribute;
}

const sameValue = (a: PlainAttribute, b: PlainAttribute): boolean => JSON.stringify(a) === JSON.stringify(b);

/**
 * Carries a structure out: slices weights and their masks, rewrites attributes and constants, adds biases. Throws E_PRUNE
 * when it does not fit the graph.
 */
export function applyStructure(graph: Graph, structure: Structure): Graph {
  const weights = new Map(graph.weights);
  const masks = new Map(graph.masks);
  for (const { weight, axis, of, kept } of structure.weights) {
    const tensor = weights.get(weight);
    if (!tensor) misfit(`it slices weight "${printable(weight)}", which the model does not have`);
    const size = tensor.shape[axis];
    if (size !== of)
      misfit(
        `it slices ${of} channels of "${printable(weight)}" along axis ${axis}, where the model has ${size}`,
      );
    const rising = kept.every((k, i) => Number.isInteger(k) && k > (kept[i - 1] ?? -1) && k < of);
    if (!rising || kept.length === 0)
      misfit(`the kept channels of "${printable(weight)}" are not rising numbers below ${of}`);
    weights.set(weight, takeSlices(tensor, axis, kept));
    const mask = masks.get(weight);
    if (mask) masks.set(weight, takeSlices(mask, axis, kept));
  }
  const nodes = new Map(graph.nodes.map((node) => [nodeKey(node), node]));
  const nodeOf = (key: string): Node =>
    nodes.get(key) ?? misfit(`it changes node "${printable(key)}", which the model does not have`);
  for (const { node: key, name, value } of structure.attributes) {
    const node = nodeOf(key);
    nodes.set(key, { ...node, attributes: new Map([...node.attributes, [name, value]]) });
  }
  for (const { node: key, input, values } of structure.constants) {
    const node = nodeOf(key);
    const old = weights.get(node.inputs[input] ?? "");
    if (!old) misfit(`operand ${input} of node "${printable(key)}" is no constant in the model`);
    const name = ownName(node, input, [...nodes.values()], weights);
    weights.set(name, fromValues(values, old));
    nodes.set(key, withInput(node, input, name));
  }
  for (const { node: key, input, weight, length } of structure.biases) {
    const node = nodeOf(key);
    const read = weights.get(node.inputs[1] ?? "");
    if (!read?.shape.includes(length)) {
      misfit(
        `it adds a bias of ${length} to node "${printable(key)}", whose weight is [${read?.shape ?? "missing"}]`,
      );
    }
    if (weights.has(weight) || (node.inputs[input] ?? "") !== "") {
      misfit(`it adds bias "${printable(weight)}" to node "${printable(key)}", which has one`);
    }
    weights.set(weight, zeros([length], read.dtype));
    nodes.set(key, withInput(node, input, weight));
  }
  const gathered: Node[] = [];
  for (const { node: key, axis, kept } of structure.gathers ?? []) {
    const node = nodeOf(key);
    const [name, indices] = [`${key}.read`, `${key}.read.indices`];
    if (nodes.has(name) || weights.has(name) || weights.has(indices))
      misfit(`it names a value "${printable(name)}", which the model has already`);
    weights.set(indices, tensor(kept, [kept.length], "i64"));
    const [value = ""] = node.inputs;
    const attributes = new Map([["axis", axis]]);
    gathered.push({ name, op: "Gather", inputs: [value, indices], outputs: [name], attributes });
    nodes.set(key, withInput(node, 0, name));
  }
  return makeGraph({ ...graph, nodes: [...gathered, ...nodes.values()], weights, masks });
}

function misfit(what: string): never {
  throw new PruneError(
    `the structure does not fit this model: ${what}. Use it with the model that it was made from.`,
  );
}

/** The constant's own name where this operand is its only reader, else a free one, so that other readers keep theirs. */
function ownName(
  node: Node,
  input: number,
  nodes: readonly Node[],
  weights: ReadonlyMap<string, HostTensor>,
): string {
  const name = node.inputs[input]!;
  const readers = nodes.reduce((n, other) => n + other.inputs.filter((i) => i === name).length, 0);
  if (readers === 1) return name;
  const taken = new Set([...weights.keys(), ...nodes.flatMap((n) => n.outputs)]);
  for (let k = 1; ; k++) if (!taken.has(`${name}.${k}`)) return `${name}.${k}`;
}

function withInput(node: Node, input: number, name: string): Node {
  const inputs = Array.from(
    { length: Math.max(node.inputs.length, input + 1) },
    (_, i) => node.inputs[i] ?? "",
  );
  inputs[input] = name;
  return { ...node, inputs };
}

function fromValues(values: readonly number[], like: HostTensor): HostTensor {
  const data = allocate(like.dtype, values.length);
  for (const [i, v] of values.entries()) setNumber(data, i, v);
  return { dtype: like.dtype, shape: like.shape.length === 0 ? [] : [values.length], data };
}

/** The slices `kept` of a tensor along one axis, in that order. */
export function takeSlices(t: HostTensor, axis: number, kept: readonly number[]): HostTensor {
  const shape = t.shape.map((d, i) => (i === axis ? kept.length : d));
  const outer = sizeOf(t.shape.slice(0, axis));
  const inner = sizeOf(t.shape.slice(axis + 1));
  const size = t.shape[axis]!;
  const data = allocate(t.dtype, sizeOf(shape)) as Float32Array;
  const from = t.data as Float32Array;
  let at = 0;
  for (let o = 0; o < outer; o++) {
    for (const k of kept) {
      const start = (o * size + k) * inner;
      data.set(from.subarray(start, start + inner), at);
      at += inner;
    }
  }
  return { dtype: t.dtype, shape, data };
}
