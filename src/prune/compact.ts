import type { Graph } from "../graph/graph.ts";
import { getNumber } from "../tensor/host-tensor.ts";
import { channelGroups } from "./channel-groups.ts";
import { channelConstants } from "./constants.ts";
import type { GraphTypes } from "./context.ts";
import { addFolds, foldsOf, missingBiases } from "./fold.ts";
import { graphHash } from "./hash.ts";
import { forEachElement, prunableLayers } from "./layers.ts";
import { liveChannels } from "./liveness.ts";
import { type CompactStep, type LayerResult, withStep } from "./record.ts";
import { applyStructure, structureOf } from "./structure.ts";
import { type InputShapes, staticTypes } from "./types.ts";

/** What compaction did to one layer. */
export interface CompactLayer extends LayerResult {
  /** Output channels left. */
  readonly rows: number;
  /** Columns of the weight (input channels times kernel) left, and how many of them hold a non-zero. */
  readonly columns: number;
  readonly columnsRead: number;
}

export interface CompactReport {
  /** Channel classes removed in all. */
  readonly removed: number;
  readonly layers: readonly CompactLayer[];
  /** Nodes whose bias took over what constant channels added, with how many. */
  readonly folded: readonly { readonly node: string; readonly channels: number }[];
}

export interface CompactOptions {
  readonly inputShapes?: InputShapes;
}

/**
 * Removes dead structure exactly: channels that hold a constant whatever the input (zero, or foldable into the biases of
 * everything that reads them) and channels that nothing alive reads, with everything coupled to them. A stored zero counts
 * as zero with or without a mask. Outputs stay the same up to rounding. Inputs of the graph keep their shape; how many
 * columns of the first layer are read is in the report.
 */
export async function compact(
  graph: Graph,
  options: CompactOptions = {},
): Promise<{ readonly graph: Graph; readonly report: CompactReport }> {
  const types = staticTypes(graph, options.inputShapes);
  const groups = channelGroups(graph, types);
  const constants = channelConstants(graph, types, groups);
  const live = liveChannels(graph, types, groups, constants);
  const removed = new Set<number>();
  for (let c = 0; c < groups.classCount; c++) if (live[c] === 0) removed.add(c);
  const folds = foldsOf(graph, types, groups, constants, removed);
  const structure = { ...structureOf(groups, removed), biases: missingBiases(folds) };
  const result = addFolds(applyStructure(graph, structure), folds);
  staticTypes(result, options.inputShapes);
  const report = {
    removed: removed.size,
    layers: layerReport(graph, types, result),
    folded: folds.map(({ node, channels }) => ({ node: node.name, channels })),
  };
  if (removed.size === 0) return { graph, report };
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
    structure,
    ...(options.inputShapes && {
      inputShapes: Object.entries(options.inputShapes).map(([input, shape]) => ({
        input,
        shape: [...shape],
      })),
    }),
  } as CompactStep;
  return { graph: withStep(result, step).graph, report };
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
