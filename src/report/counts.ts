import { contextOf, opOf } from "../graph/evaluate.ts";
import type { Graph, Node } from "../graph/graph.ts";
import type { TensorType } from "../graph/op.ts";
import { type NodeCounts, nodeCounts } from "../graph/statistics.ts";
import { recordOf } from "../prune/record.ts";
import { getNumber, type HostTensor } from "../tensor/host-tensor.ts";
import { sizeOf } from "../tensor/shape.ts";

/**
 * What "MACs" and "parameters" mean, since publications differ:
 * - `plain`: multiply-adds of convolutions and matrix products; every learned value (weights, biases, BatchNormalization's two).
 * - `thop-2020`: as the tool of that name counted for HRankPlus (Lin et al.): one more per output of a convolution with a bias, and
 *   two per input element of a BatchNormalization; activations, adds, concatenations and pools nothing. Parameters as `plain`.
 * - `filters-only`: as HRank (Lin et al. 2020, arXiv 2002.10179) counts: a filter that is gone or all zero counts nothing, but inputs
 *   are never reduced; a linear layer counts its bias as well; no BatchNormalization, neither in MACs nor in parameters.
 */
export const countConventions = ["plain", "thop-2020", "filters-only"] as const;
export type CountConvention = (typeof countConventions)[number];

export interface Counts {
  readonly convention: CountConvention;
  readonly macs: number;
  readonly parameters: number;
  /** Nodes that count, in graph order. */
  readonly layers: readonly LayerCounts[];
}

export interface LayerCounts {
  readonly name: string;
  readonly macs: number;
  readonly parameters: number;
}

/**
 * MACs and parameters of one evaluation at batch 1 in a named convention. For `filters-only` the unpruned number of inputs is taken
 * from the model's record, where it has been cut. Throws like `inspectGraph`.
 */
export function countBy(
  graph: Graph,
  convention: CountConvention,
  inputShapes: Readonly<Record<string, readonly number[]>> = {},
): Counts {
  const { types, nodes } = nodeCounts(graph, inputShapes);
  const unpruned = unprunedSizes(graph);
  const layers = nodes
    .map((counts) => {
      if (convention === "filters-only") return filtersOnly(graph, types, unpruned, counts);
      const { node, weights, macs } = counts;
      const parameters = weights.reduce((n, name) => n + graph.weights.get(name)!.data.length, 0);
      return {
        name: node.name,
        macs: macs + (convention === "plain" ? 0 : thopExtra(types, node)),
        parameters,
      };
    })
    .filter(({ macs, parameters }) => macs + parameters > 0);
  return {
    convention,
    macs: layers.reduce((n, l) => n + l.macs, 0),
    parameters: layers.reduce((n, l) => n + l.parameters, 0),
    layers,
  };
}

type Types = ReadonlyMap<string, TensorType>;

const sizeOfValue = (types: Types, name: string | undefined): number =>
  sizeOf(types.get(name ?? "")?.shape ?? [0]);
const isConvolution = (node: Node): boolean => node.op === "Conv" || node.op === "ConvTranspose";

/** What thop-2020 counts beyond the multiply-adds. */
function thopExtra(types: Types, node: Node): number {
  if (node.op === "BatchNormalization") return 2 * sizeOfValue(types, node.inputs[0]);
  return isConvolution(node) && (node.inputs[2] ?? "") !== "" ? sizeOfValue(types, node.outputs[0]) : 0;
}

function filtersOnly(
  graph: Graph,
  types: Types,
  unpruned: ReadonlyMap<string, number>,
  { node, weights }: NodeCounts,
): LayerCounts {
  const name = node.inputs[1] ?? "";
  const weight = graph.weights.get(name);
  const found = opOf(node).prunable?.(contextOf(node, types, graph.weights));
  if (!weight || !found) return { name: node.name, macs: 0, parameters: 0 };
  const { outAxis, inAxis } = found;
  const rows = isConvolution(node) ? liveRows(graph, name, weight, outAxis) : weight.shape[outAxis]!;
  const inputs = unpruned.get(`${inAxis} ${name}`) ?? weight.shape[inAxis]!;
  const kernel = weight.data.length / (weight.shape[outAxis]! * weight.shape[inAxis]!);
  const bias = (node.inputs[2] ?? "") === "" ? 0 : rows;
  const size = rows * inputs * kernel;
  const pixels = isConvolution(node) ? sizeOf((types.get(node.outputs[0]!)?.shape ?? []).slice(2)) : 1;
  return {
    name: node.name,
    macs: isConvolution(node) ? size * pixels : size + bias,
    parameters: weights.includes(name) ? size + bias : 0,
  };
}

/** Output channels with a weight that is neither zero nor masked. */
function liveRows(graph: Graph, name: string, weight: HostTensor, outAxis: number): number {
  const mask = graph.masks.get(name)?.data;
  const inner = sizeOf(weight.shape.slice(outAxis + 1));
  const rows = weight.shape[outAxis]!;
  const live = new Uint8Array(rows);
  for (let i = 0; i < weight.data.length; i++) {
    if (getNumber(weight.data, i) !== 0 && mask?.[i] !== 0) live[Math.floor(i / inner) % rows] = 1;
  }
  return live.reduce((n, l) => n + l, 0);
}

/** Size that each weight axis had before the first step that cut it, by `axis weight`. */
function unprunedSizes(graph: Graph): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const step of recordOf(graph).steps) {
    if (step.kind === "train") continue;
    for (const { weight, axis, of } of step.structure.weights) {
      const key = `${axis} ${weight}`;
      if (!sizes.has(key)) sizes.set(key, of);
    }
  }
  return sizes;
}

/** What a convention counts, in one line for people. */
export const conventionNotes: Readonly<Record<CountConvention, string>> = {
  plain: "multiply-adds of convolutions and matrix products; every learned value",
  "thop-2020":
    "as plain, plus one per output of a convolution with bias and two per input of a BatchNormalization (HRankPlus)",
  "filters-only":
    "filters that are left times all inputs, pruned or not; linear layers with bias; no BatchNormalization (HRank)",
};
