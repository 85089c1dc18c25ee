import { GraphError, printable, UnsupportedError } from "../errors.ts";
import type { DType } from "../tensor/dtype.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import { sameShape, showShape } from "../tensor/shape.ts";
import { findOp } from "./ops/index.ts";

/** An attribute as its author wrote it; each op's definition says which it takes and of what kind. */
export type Attribute = number | string | readonly number[] | readonly string[] | HostTensor;

/** One operation. Inputs and outputs name values; "" is an optional operand left out. */
export interface Node {
  readonly name: string;
  /** ONNX op type, in the semantics of opset 22 (newer ops: of the opset that brought them). */
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, Attribute>;
}

/** A graph input or output; unknown dimensions are `null`. */
export interface GraphValue {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly (number | null)[];
}

/**
 * A network as immutable plain data: nodes in topological order, weights and masks by the name of their value.
 * A mask is a bool tensor of its weight's shape, 1 where the weight stays; the weight itself holds zeros elsewhere.
 */
export interface Graph {
  readonly name: string;
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
  readonly nodes: readonly Node[];
  readonly weights: ReadonlyMap<string, HostTensor>;
  readonly masks: ReadonlyMap<string, HostTensor>;
  /** Free text kept with the model: record, preprocessing, architecture, and what other tools wrote. */
  readonly metadata: ReadonlyMap<string, string>;
}

export type GraphParts = Omit<Graph, "masks" | "metadata"> & Partial<Pick<Graph, "masks" | "metadata">>;

export const maxNodes = 100_000;

/**
 * Checks the parts and returns them as a Graph with its nodes in topological order (stable: nodes that are in order
 * stay where they are). Throws E_GRAPH for names defined twice, used but never defined, cycles, wrong operand counts and
 * masks that fit no weight; E_UNSUPPORTED for an op that is not known.
 */
export function makeGraph(parts: GraphParts): Graph {
  const { nodes, inputs, outputs, weights } = parts;
  if (nodes.length > maxNodes) {
    throw new GraphError(
      "E_LIMIT",
      `the graph has ${nodes.length} nodes; at most ${maxNodes} are supported.`,
    );
  }
  const ready = new Set<string>();
  const define = (name: string, what: string): void => {
    if (name === "") throw new GraphError("E_GRAPH", `${what} has an empty name.`);
    if (ready.has(name)) throw new GraphError("E_GRAPH", `"${printable(name)}" is defined twice (${what}).`);
    ready.add(name);
  };
  for (const input of inputs) define(input.name, "graph input");
  for (const name of weights.keys()) define(name, "weight");
  for (const node of nodes) checkNode(node);
  const ordered = topologicalOrder(nodes, ready, define);
  for (const output of outputs) {
    if (!ready.has(output.name)) {
      throw new GraphError("E_GRAPH", `graph output "${printable(output.name)}" is computed by no node.`);
    }
  }
  const masks = parts.masks ?? new Map<string, HostTensor>();
  for (const [name, mask] of masks) {
    const weight = weights.get(name);
    if (!weight)
      throw new GraphError("E_GRAPH", `mask "${printable(name)}" belongs to no weight of the graph.`);
    if (mask.dtype !== "bool" || !sameShape(mask.shape, weight.shape)) {
      throw new GraphError(
        "E_GRAPH",
        `mask of "${printable(name)}" is ${mask.dtype} ${showShape(mask.shape)}; its weight needs bool ${showShape(weight.shape)}.`,
      );
    }
  }
  return {
    name: parts.name,
    inputs,
    outputs,
    nodes: ordered,
    weights,
    masks,
    metadata: parts.metadata ?? new Map(),
  };
}

function checkNode(node: Node): void {
  const op = findOp(node.op);
  if (!op) {
    throw new UnsupportedError(
      `op ${printable(node.op)} (node "${printable(node.name)}") is not supported. See the README for the list of ops.`,
      { op: printable(node.op), node: printable(node.name) },
    );
  }
  const count = (what: "inputs" | "outputs"): void => {
    const [min, max] = op[what];
    const given = node[what].length;
    if (given < min || given > max) {
      const range = min === max ? `${min}` : `${min} to ${max}`;
      throw new GraphError(
        "E_GRAPH",
        `${op.name} "${printable(node.name)}" has ${given} ${what}; it takes ${range}.`,
      );
    }
  };
  count("inputs");
  count("outputs");
  for (const name of node.attributes.keys()) {
    if (!Object.hasOwn(op.attributes, name)) {
      throw new UnsupportedError(
        `attribute "${printable(name)}" of ${op.name} "${printable(node.name)}" is not supported.`,
        {
          op: op.name,
          node: printable(node.name),
        },
      );
    }
  }
}

function topologicalOrder(
  nodes: readonly Node[],
  ready: Set<string>,
  define: (name: string, what: string) => void,
): Node[] {
  const waiting = new Map<string, Node[]>();
  const missing = new Map<Node, number>();
  const ordered: Node[] = [];
  const produced = new Set(nodes.flatMap((n) => n.outputs));
  const emit = (first: Node): void => {
    const queue = [first];
    for (let node = queue.shift(); node; node = queue.shift()) {
      ordered.push(node);
      for (const output of node.outputs) {
        if (output === "") continue;
        define(output, `node "${printable(node.name)}"`);
        for (const reader of waiting.get(output) ?? []) {
          const left = missing.get(reader)! - 1;
          missing.set(reader, left);
          if (left === 0) queue.push(reader);
        }
        waiting.delete(output);
      }
    }
  };
  for (const node of nodes) {
    const unmet = new Set(node.inputs.filter((name) => name !== "" && !ready.has(name)));
    for (const name of unmet) {
      if (!produced.has(name)) {
        throw new GraphError(
          "E_GRAPH",
          `node "${printable(node.name)}" reads "${printable(name)}", which nothing defines.`,
        );
      }
      const list = waiting.get(name);
      if (list) list.push(node);
      else waiting.set(name, [node]);
    }
    missing.set(node, unmet.size);
    if (unmet.size === 0) emit(node);
  }
  if (ordered.length < nodes.length) {
    const stuck = nodes.find((n) => missing.get(n)! > 0)!;
    throw new GraphError(
      "E_GRAPH",
      `the graph has a cycle through node "${printable(stuck.name)}" (${stuck.op}).`,
    );
  }
  return ordered;
}

/** The same graph with some weights replaced (same names, any shapes). */
export const withWeights = (graph: Graph, changed: ReadonlyMap<string, HostTensor>): Graph => ({
  ...graph,
  weights: new Map([...graph.weights].map(([name, w]) => [name, changed.get(name) ?? w])),
});

export const withMetadata = (graph: Graph, entries: Record<string, string>): Graph => ({
  ...graph,
  metadata: new Map([...graph.metadata, ...Object.entries(entries)]),
});
