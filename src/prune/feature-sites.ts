import type { Graph, Node } from "../graph/graph.ts";
import { attributesOf } from "../graph/op.ts";
import { normaliseAxis } from "../tensor/shape.ts";
import type { GraphTypes } from "./context.ts";
import type { PrunableLayer } from "./layers.ts";

/** A value in which the channels that one layer makes lie side by side. */
export interface FeatureSite {
  readonly value: string;
  /** Its channel axis, and the place of the layer's first channel along it. */
  readonly axis: number;
  readonly from: number;
}

/** What a layer's filters make, as the net goes on with it. */
export interface LayerFeatures {
  /** The node that reads the weight. */
  readonly node: Node;
  /** Its BatchNormalization, where nothing else reads its output. */
  readonly norm: Node | undefined;
  /** Behind that normalisation, else the node's own output: where a channel can be switched off with all that is its own. */
  readonly affine: FeatureSite;
  /** Behind the first nonlinearity; the affine one where there is none before the next weights. */
  readonly activated: FeatureSite;
}

const activations = new Set([
  ...["Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh"],
  ...["Clip", "Gelu", "Mish", "Softplus", "Softsign", "ThresholdedRelu"],
]);

/** Ops that hand every channel on as a channel: features are looked for behind them. */
const passing = new Set([
  ...["BatchNormalization", "Add", "Sub", "Mul", "Div", "Identity", "Dropout", "LRN"],
  ...["MaxPool", "AveragePool"],
]);

/**
 * Where the features of a layer can be seen, for every node that reads its weight. Follows the output through normalisation,
 * additions, pooling and concatenation (whose other channels are not the layer's) to the first nonlinearity, the nearest one first.
 */
export function layerFeatures(graph: Graph, { types }: GraphTypes, layer: PrunableLayer): LayerFeatures[] {
  const readers = readersOf(graph);
  return graph.nodes
    .filter((node) => layer.nodes.includes(node.name) && node.inputs.includes(layer.weight))
    .map((node) => {
      const output = node.outputs[0]!;
      const rank = types.get(output)?.shape.length ?? 2;
      const axis = node.op === "MatMul" ? rank - 1 : 1;
      const [only, ...others] = readers.get(output) ?? [];
      const norm =
        only?.op === "BatchNormalization" && others.length === 0 && only.inputs[0] === output
          ? only
          : undefined;
      const affine = { value: norm ? norm.outputs[0]! : output, axis, from: 0 };
      return { node, norm, affine, activated: firstActivation(readers, types, affine) ?? affine };
    });
}

function firstActivation(
  readers: ReadonlyMap<string, readonly Node[]>,
  types: GraphTypes["types"],
  start: FeatureSite,
): FeatureSite | undefined {
  const queue = [start];
  const seen = new Set<string>();
  for (let site = queue.shift(); site; site = queue.shift()) {
    const { value, axis, from } = site;
    const shape = types.get(value)?.shape;
    for (const node of readers.get(value) ?? []) {
      const output = node.outputs[0]!;
      const next = types.get(output)?.shape;
      if (!shape || !next || next.length !== shape.length || seen.has(output)) continue;
      if (activations.has(node.op) && node.inputs[0] === value) return { value: output, axis, from };
      let first = from;
      if (node.op === "Concat") {
        if (normaliseAxis(attributesOf(node).int("axis"), next.length, node.op) !== axis) continue;
        for (const name of node.inputs.slice(0, node.inputs.indexOf(value))) {
          first += types.get(name)!.shape[axis]!;
        }
      } else if (!passing.has(node.op) || next[axis] !== shape[axis]) continue;
      seen.add(output);
      queue.push({ value: output, axis, from: first });
    }
  }
  return undefined;
}

/** Nodes by the values that they read. */
function readersOf(graph: Graph): Map<string, Node[]> {
  const readers = new Map<string, Node[]>();
  for (const node of graph.nodes) {
    for (const name of new Set(node.inputs)) {
      const list = readers.get(name);
      if (list) list.push(node);
      else readers.set(name, [node]);
    }
  }
  return readers;
}
