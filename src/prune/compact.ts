import { SecateurError } from "../errors.ts";
import { type Graph, type Node, withWeights } from "../graph/graph.ts";
import { inspectGraph } from "../graph/statistics.ts";
import { type HostArray, isFloat } from "../tensor/dtype.ts";
import { getNumber, type HostTensor, setNumber } from "../tensor/host-tensor.ts";
import { channelGroups } from "./channel-groups.ts";
import { channelConstants } from "./constants.ts";
import type { GraphTypes } from "./context.ts";
import { addCarries, addFolds, carriesOf, foldsOf, missingBiases } from "./fold.ts";
import { graphHash } from "./hash.ts";
import { forEachElement, prunableLayers } from "./layers.ts";
import { liveChannels } from "./liveness.ts";
import { type CompactStep, type LayerResult, withStep } from "./record.ts";
import { applyStructure, emptyStructure, nodeKey, type Structure, structureOf } from "./structure.ts";
import { type InputShapes, staticTypes } from "./types.ts";
import { unreadInputs } from "./unread-inputs.ts";

/** What compaction did to one layer. */
export interface CompactLayer extends LayerResult {
  /** Output channels left. */
  readonly rows: number;
  /** Columns of the weight (input channels times kernel) left, and how many of them hold a non-zero. */
  readonly columns: number;
  readonly columnsRead: number;
}

/** Sizes of a whole net: learned values, those that are not zero, multiply-adds of one evaluation at batch 1. */
export interface CompactSizes {
  readonly parameters: number;
  readonly nonzeros: number;
  readonly macs: number;
}

export interface CompactReport {
  /** Channel classes removed in all. */
  readonly removed: number;
  /** Matrix products behind a Gather that picks the inputs they read, with how many of how many. */
  readonly inputs: readonly { readonly node: string; readonly read: number; readonly of: number }[];
  readonly layers: readonly CompactLayer[];
  /** Nodes whose bias took over what constant channels added, with how many. */
  readonly folded: readonly { readonly node: string; readonly channels: number }[];
  /** Nodes behind padding in which one constant channel took over what others added, with how many. */
  readonly carried: readonly { readonly node: string; readonly channels: number }[];
  readonly before: CompactSizes;
  readonly after: CompactSizes;
}

export interface CompactOptions {
  /**
   * Also drop columns of a first matrix product that no row reads, where they are an eighth of them or more: a Gather picks
   * the inputs that are left (default true). Inputs of the graph keep their shape either way.
   */
  readonly inputs?: boolean;
  readonly inputShapes?: InputShapes;
}

/**
 * Removes dead structure exactly: channels that hold a constant whatever the input (zero, or foldable into the biases of
 * everything that reads them, or carried by another constant channel where padding shows them at the border) and channels
 * that nothing alive reads, with everything coupled to them. A stored zero counts as zero with or without a mask. Outputs
 * stay the same up to rounding.
 */
export async function compact(
  graph: Graph,
  options: CompactOptions = {},
): Promise<{ readonly graph: Graph; readonly report: CompactReport }> {
  const types = staticTypes(graph, options.inputShapes);
  const dead = deadStructure(graph, types, options.inputs ?? true);
  const result = dead?.graph ?? graph;
  if (dead) staticTypes(result, options.inputShapes);
  const counted = (moved: readonly Moved[] | undefined) =>
    (moved ?? []).map(({ node, channels }) => ({ node: node.name, channels }));
  const report: CompactReport = {
    removed: dead?.removed ?? 0,
    inputs: (dead?.structure.gathers ?? []).map(({ node, kept }) => {
      const { name, inputs } = graph.nodes.find((n) => nodeKey(n) === node)!;
      return { node: name, read: kept.length, of: types.types.get(inputs[0]!)!.shape.at(-1)! };
    }),
    layers: layerReport(graph, types, result),
    folded: counted(dead?.folds),
    carried: counted(dead?.carries),
    before: sizes(graph, types),
    after: sizes(result, types),
  };
  if (!dead) return { graph, report };
  const step = {
    kind: "compact",
    before: await graphHash(graph),
    after: await graphHash(result),
    layers: report.layers.map(({ layer, weight, units, removed: gone }) => ({
      layer,
      weight,
      units,
      removed: gone,
    })),
    structure: dead.structure,
    ...(options.inputShapes && {
      inputShapes: Object.entries(options.inputShapes).map(([input, shape]) => ({
        input,
        shape: [...shape],
      })),
    }),
  } as CompactStep;
  return { graph: withStep(result, step).graph, report };
}

/**
 * The graph without its dead structure, for a compiler: no record, no report. Gives back the graph itself where nothing is
 * dead or the shapes cannot be worked out.
 */
export function withoutDead(
  graph: Graph,
  inputShapes?: InputShapes,
): { readonly graph: Graph; readonly removed: number } {
  const whole = { graph, removed: 0 };
  if (!hasZeros(graph)) return whole;
  try {
    return deadStructure(graph, staticTypes(graph, inputShapes), false) ?? whole;
  } catch (cause) {
    if (cause instanceof SecateurError && cause.code !== "E_INTERNAL") return whole;
    throw cause;
  }
}

/** A channel only dies of zeros in what multiplies: operand 1 of convolutions, products, normalisations and scalings. */
function hasZeros(graph: Graph): boolean {
  return graph.nodes.some((node) =>
    node.inputs.slice(0, 2).some((name) => {
      const w = graph.weights.get(name);
      // Finds negative zeros too.
      return w && isFloat(w.dtype) && (graph.masks.has(name) || (w.data as Float32Array).includes(0));
    }),
  );
}

interface Moved {
  readonly node: Node;
  readonly channels: number;
}

interface DeadStructure {
  readonly graph: Graph;
  readonly removed: number;
  readonly folds: readonly Moved[];
  readonly carries: readonly Moved[];
  readonly structure: Structure;
}

/** Finds and removes what is dead; undefined where nothing is. */
function deadStructure(graph: Graph, types: GraphTypes, inputs: boolean): DeadStructure | undefined {
  const masked = withMasksApplied(graph);
  const groups = channelGroups(masked, types);
  const constants = channelConstants(masked, types, groups);
  const { live, carriers } = liveChannels(masked, types, groups, constants);
  const removed = new Set<number>();
  for (let c = 0; c < groups.classCount; c++) if (live[c] === 0) removed.add(c);
  const folds = foldsOf(masked, types, groups, constants, removed);
  const carries = carriesOf(masked, types, groups, constants, carriers, removed);
  const channels = { ...structureOf(groups, removed), biases: missingBiases(folds) };
  const cut = addFolds(applyStructure(addCarries(masked, carries), channels), folds);
  const unread = inputs ? unreadInputs(cut, types, groups) : { weights: [], gathers: [] };
  const done = { removed: removed.size, folds, carries };
  if (unread.gathers.length === 0)
    return removed.size === 0 ? undefined : { ...done, graph: cut, structure: channels };
  return {
    ...done,
    graph: applyStructure(cut, { ...emptyStructure, ...unread }),
    structure: { ...channels, weights: [...channels.weights, ...unread.weights], gathers: unread.gathers },
  };
}

/** Zeros wherever a mask says so; weights that hold them already stay the same arrays. */
function withMasksApplied(graph: Graph): Graph {
  const changed = new Map<string, HostTensor>();
  for (const [name, mask] of graph.masks) {
    const weight = graph.weights.get(name)!;
    const held = mask.data.every((m, i) => m !== 0 || getNumber(weight.data, i) === 0);
    if (held) continue;
    const data = weight.data.slice() as HostArray;
    for (let i = 0; i < data.length; i++) if (mask.data[i] === 0) setNumber(data, i, 0);
    changed.set(name, { ...weight, data });
  }
  return changed.size === 0 ? graph : withWeights(graph, changed);
}

function sizes(graph: Graph, { types }: GraphTypes): CompactSizes {
  const shapes = graph.inputs.map(({ name }) => [name, types.get(name)!.shape] as const);
  const { parameters, nonzeros: alive, macs } = inspectGraph(graph, Object.fromEntries(shapes));
  return { parameters, nonzeros: alive, macs };
}

function layerReport(graph: Graph, types: GraphTypes, result: Graph): CompactLayer[] {
  return prunableLayers(graph, types).map((layer) => {
    const after = result.weights.get(layer.weight)!;
    const rows = after.shape[layer.outAxis]!;
    const columns = after.data.length / rows;
    const read = new Uint8Array(columns);
    forEachElement(
      { ...layer, shape: after.shape, rows, cols: columns },
      { kind: "block", rows },
      (i, column) => {
        if (getNumber(after.data, i) !== 0) read[column] = 1;
      },
    );
    return {
      layer: layer.name,
      weight: layer.weight,
      units: layer.rows,
      removed: layer.rows - rows,
      rows,
      columns,
      columnsRead: read.reduce((n, r) => n + r, 0),
    };
  });
}
