import { internal } from "../errors.ts";
import { type Graph, type Node, withWeights } from "../graph/graph.ts";
import type { HostArray } from "../tensor/dtype.ts";
import { getNumber, type HostTensor, setNumber } from "../tensor/host-tensor.ts";
import { sizeOf } from "../tensor/shape.ts";
import type { ChannelGroups } from "./channel-groups.ts";
import type { ChannelConstants } from "./constants.ts";
import type { GraphTypes } from "./context.ts";
import { readingNodes } from "./liveness.ts";
import { readerOf } from "./readers.ts";
import { nodeKey, type Structure } from "./structure.ts";

/** What removed constant channels added to one node, to be put into its bias. */
export interface Fold {
  readonly node: Node;
  /** Operand and name of the bias; the name is new where the node has none. */
  readonly input: number;
  readonly bias: string;
  readonly missing: boolean;
  /** What to add to the bias of each row that stays. */
  readonly added: readonly number[];
  /** How many channels are folded. */
  readonly channels: number;
}

/** Every node that reads a removed channel holding a constant other than zero. */
export function foldsOf(
  graph: Graph,
  types: GraphTypes,
  groups: ChannelGroups,
  constants: ChannelConstants,
  removed: ReadonlySet<number>,
): Fold[] {
  const folds: Fold[] = [];
  for (const node of readingNodes(groups)) {
    const reader = readerOf(graph, types, node);
    if (!reader?.foldable) continue;
    const ids = groups.values.get(reader.value)?.ids ?? [];
    const values = constants.get(reader.value);
    const rows = groups.slices.find((s) => s.node === node && s.role === "out" && s.weight === reader.weight);
    const channels = new Set<number>();
    const added: number[] = [];
    for (let row = 0; row < reader.rows; row++) {
      const own = rows?.classes[row];
      if (own !== undefined && removed.has(own)) continue;
      let sum = 0;
      reader.eachRead(row, (position, weight, border) => {
        const k = values?.[position] ?? Number.NaN;
        // What is removed and varies is read only by rows that nobody needs.
        if (border || k === 0 || Number.isNaN(k) || !removed.has(groups.classOf[ids[position]!]!)) return;
        sum += k * weight;
        channels.add(position);
      });
      added.push(sum);
    }
    if (channels.size === 0) continue;
    const own = node.inputs[reader.biasInput] ?? "";
    const bias = own === "" ? freeName(graph, reader.weight, folds) : own;
    folds.push({ node, input: reader.biasInput, bias, missing: own === "", added, channels: channels.size });
  }
  return folds;
}

/** What removed constant channels added to the rows of one reader that cannot fold it, moved to the weights of the channel that carries it. */
export interface Carry {
  readonly node: Node;
  readonly weight: HostTensor;
  readonly mask: HostTensor | undefined;
  readonly channels: number;
}

/**
 * The weights of every node that reads a value with a carrier: a constant channel holding k, removed, adds k/K times its
 * weights to those of the carrier holding K, tap by tap, so that borders come out the same.
 */
export function carriesOf(
  graph: Graph,
  types: GraphTypes,
  groups: ChannelGroups,
  constants: ChannelConstants,
  carriers: ReadonlyMap<string, number>,
  removed: ReadonlySet<number>,
): Carry[] {
  const carries: Carry[] = [];
  for (const node of readingNodes(groups)) {
    const reader = readerOf(graph, types, node);
    const carrier = carriers.get(reader?.value ?? "");
    if (!reader?.mergeable || carrier === undefined) continue;
    const values = constants.get(reader.value)!;
    const { ids } = groups.values.get(reader.value)!;
    const old = graph.weights.get(reader.weight)!;
    const oldMask = graph.masks.get(reader.weight);
    const data = old.data.slice() as HostArray;
    const mask = oldMask?.data.slice() as HostArray | undefined;
    const inner = sizeOf(old.shape.slice(2));
    const columns = old.shape[1 - reader.outAxis]!;
    const [rowStep, step] = reader.outAxis === 0 ? [columns * inner, inner] : [inner, reader.rows * inner];
    const used = new Set<number>();
    for (let row = 0; row < reader.rows; row++) {
      reader.eachRead(row, (position, _sum, border) => {
        const k = values[position]!;
        if ((reader.foldable && !border) || k === 0 || Number.isNaN(k)) return;
        if (!removed.has(groups.classOf[ids[position]!]!)) return;
        used.add(position);
        for (let i = 0; i < inner; i++) {
          const at = row * rowStep + carrier * step + i;
          const w = getNumber(old.data, row * rowStep + position * step + i);
          if (w === 0) continue;
          setNumber(data, at, getNumber(data, at) + (k / values[carrier]!) * w);
          if (mask) setNumber(mask, at, 1);
        }
      });
    }
    if (used.size === 0) continue;
    carries.push({
      node,
      weight: { ...old, data },
      mask: oldMask && { ...oldMask, data: mask! },
      channels: used.size,
    });
  }
  return carries;
}

/** The graph with the carriers' new weights; runs before anything is cut. */
export function addCarries(graph: Graph, carries: readonly Carry[]): Graph {
  const weights = new Map(graph.weights);
  const masks = new Map(graph.masks);
  for (const { node, weight, mask } of carries) {
    weights.set(node.inputs[1]!, weight);
    if (mask) masks.set(node.inputs[1]!, mask);
  }
  return { ...graph, weights, masks };
}

/** `conv1.bias` for `conv1.weight`, with a number behind it where that is taken. */
function freeName(graph: Graph, weight: string, folds: readonly Fold[]): string {
  const taken = new Set([
    ...graph.weights.keys(),
    ...graph.inputs.map((i) => i.name),
    ...graph.nodes.flatMap((n) => n.outputs),
    ...folds.map((f) => f.bias),
  ]);
  const base = weight.endsWith(".weight") ? `${weight.slice(0, -".weight".length)}.bias` : `${weight}.bias`;
  if (!taken.has(base)) return base;
  for (let k = 1; ; k++) if (!taken.has(`${base}.${k}`)) return `${base}.${k}`;
}

export const missingBiases = (folds: readonly Fold[]): Structure["biases"] =>
  folds
    .filter((f) => f.missing)
    .map((f) => ({ node: nodeKey(f.node), input: f.input, weight: f.bias, length: f.added.length }));

/** Adds the sums to the biases; runs on the cut graph, whose biases have only the rows that stay. */
export function addFolds(graph: Graph, folds: readonly Fold[]): Graph {
  const changed = new Map<string, HostTensor>();
  for (const { bias, added } of folds) {
    const old = graph.weights.get(bias) ?? internal(`bias ${bias} is missing`);
    const data = old.data.slice() as HostArray;
    for (const [row, sum] of added.entries()) setNumber(data, row, getNumber(data, row) + sum);
    changed.set(bias, { ...old, data });
  }
  return folds.length === 0 ? graph : withWeights(graph, changed);
}
