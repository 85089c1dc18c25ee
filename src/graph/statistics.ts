import { InputError, printable } from "../errors.ts";
import { isFloat } from "../tensor/dtype.ts";
import { byteLength, getNumber, type HostTensor } from "../tensor/host-tensor.ts";
import { type Shape, showShape } from "../tensor/shape.ts";
import { contextOf, opOf } from "./evaluate.ts";
import type { Graph, Node } from "./graph.ts";
import { inferTypes } from "./infer.ts";
import type { TensorType } from "./op.ts";

/** One node that holds parameters or multiplies. */
export interface LayerStatistics {
  readonly name: string;
  readonly op: string;
  /** Shape of its first weight; of its output where it has none. */
  readonly shape: Shape;
  readonly parameters: number;
  readonly nonzeros: number;
  /** Multiply-adds of one evaluation, as if dense. */
  readonly macs: number;
}

export interface GraphStatistics {
  /** Learned values: weights, biases, BatchNormalization's scale and shift; not its running statistics. */
  readonly parameters: number;
  /** Those of them that multiply inputs in convolutions and matrix products, and the biases added to the products. */
  readonly weights: number;
  readonly biases: number;
  /** Parameters that are not zero; a stored zero counts as sparse, with or without a mask. */
  readonly nonzeros: number;
  /** Multiply-adds of one evaluation at batch 1; one multiply-add is one MAC; no bias, BatchNormalization or pooling. */
  readonly macs: number;
  /** All constants of the graph as dense arrays. */
  readonly bytes: number;
  readonly layers: readonly LayerStatistics[];
}

/**
 * Counts parameters, non-zeros, MACs and bytes, in all and per layer. A weight read by several nodes counts once, with the
 * first. Unknown batch sizes count as 1; inputs with other unknown dimensions need a shape in `inputShapes`. Throws E_INPUT
 * without it, and what shape inference throws.
 */
export function inspectGraph(graph: Graph, inputShapes: InputShapes = {}): GraphStatistics {
  const { types, nodes } = nodeCounts(graph, inputShapes);
  const layers = nodes.flatMap(({ node, weights, macs }): LayerStatistics[] => {
    if (weights.length === 0 && macs === 0) return [];
    const tensors = weights.map((name) => graph.weights.get(name)!);
    const shape = tensors[0]?.shape ?? types.get(node.outputs[0] ?? "")?.shape ?? [];
    const parameters = tensors.reduce((n, t) => n + t.data.length, 0);
    return [
      {
        name: node.name,
        op: node.op,
        shape,
        parameters,
        nonzeros: tensors.reduce((n, t) => n + nonzeros(t), 0),
        macs,
      },
    ];
  });
  const sum = (of: (layer: LayerStatistics) => number): number =>
    layers.reduce((n, layer) => n + of(layer), 0);
  const operand = (i: number): number =>
    nodes.reduce((n, { node, weights }) => {
      const name = node.inputs[i] ?? "";
      return n + (opOf(node).macs && weights.includes(name) ? graph.weights.get(name)!.data.length : 0);
    }, 0);
  return {
    parameters: sum((l) => l.parameters),
    weights: operand(1),
    biases: operand(2),
    nonzeros: sum((l) => l.nonzeros),
    macs: sum((l) => l.macs),
    bytes: [...graph.weights.values()].reduce((n, t) => n + byteLength(t), 0),
    layers,
  };
}

type InputShapes = Readonly<Record<string, readonly number[]>>;

/** What one node counts: the learned weights that no node before it reads, and its MACs. */
export interface NodeCounts {
  readonly node: Node;
  readonly weights: readonly string[];
  readonly macs: number;
}

/** Every node with what it counts, and the types of all values, for one evaluation. Shapes and errors as in `inspectGraph`. */
export function nodeCounts(
  graph: Graph,
  inputShapes: InputShapes = {},
): { readonly types: ReadonlyMap<string, TensorType>; readonly nodes: readonly NodeCounts[] } {
  const given = new Map(Object.entries(inputShapes));
  for (const { name, shape } of graph.inputs) {
    if (given.has(name)) continue;
    if (shape.some((d, i) => d === null && i > 0)) {
      throw new InputError(
        `input "${printable(name)}" has shape ${showShape(shape)}, and MACs depend on the unknown sizes. Pass inputShapes with a shape for it.`,
      );
    }
    given.set(
      name,
      shape.map((d) => d ?? 1),
    );
  }
  const { types } = inferTypes(graph, given);
  const counted = new Set<string>();
  const nodes = graph.nodes.map((node) => {
    const weights = learnedWeights(graph, node).filter((name) => !counted.has(name));
    for (const name of weights) counted.add(name);
    return { node, weights, macs: macsOf(graph, types, node) };
  });
  return { types, nodes };
}

/** How many elements are not zero; −0 is zero. */
export function nonzeros(t: HostTensor): number {
  let count = 0;
  for (let i = 0; i < t.data.length; i++) if (getNumber(t.data, i) !== 0) count++;
  return count;
}

/** Statistics of a normalisation are gathered, not learned. */
const gathered: Readonly<Record<string, readonly number[]>> = { BatchNormalization: [3, 4] };

/** Float constants that a node computes with. Scalars (bounds, factors, epsilons) and operands read by the host are settings. */
function learnedWeights(graph: Graph, node: Node): string[] {
  const host = opOf(node).hostInputs ?? [];
  const statistics = Object.hasOwn(gathered, node.op) ? gathered[node.op]! : [];
  const names = node.inputs.filter((name, i) => {
    const t = graph.weights.get(name);
    return (
      t !== undefined &&
      isFloat(t.dtype) &&
      t.shape.length > 0 &&
      !host.includes(i) &&
      !statistics.includes(i)
    );
  });
  return [...new Set(names)];
}

/** Names of all learned weights, each once, in the order of the nodes that read them first. */
export const learnedNames = (graph: Graph): string[] => [
  ...new Set(graph.nodes.flatMap((node) => learnedWeights(graph, node))),
];

function macsOf(graph: Graph, types: ReadonlyMap<string, TensorType>, node: Node): number {
  const outputs = node.outputs.map((name) => types.get(name) ?? { dtype: "f32" as const, shape: [] });
  return opOf(node).macs?.(contextOf(node, types, graph.weights), outputs) ?? 0;
}
