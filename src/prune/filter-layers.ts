import type { Graph } from "../graph/graph.ts";
import { getNumber } from "../tensor/host-tensor.ts";
import type { ChannelGroups } from "./channel-groups.ts";
import { forEachElement, layerMatches, type PrunableLayer } from "./layers.ts";

/** A prunable layer whose output channels are followed: the class of each of its filters. */
export interface FilterLayer {
  readonly layer: PrunableLayer;
  readonly classes: readonly number[];
}

/** The layers whose filters carry channel classes, in graph order. */
export function filterLayers(groups: ChannelGroups, layers: readonly PrunableLayer[]): FilterLayer[] {
  const rows = new Map<string, readonly number[]>();
  for (const s of groups.slices) if (s.role === "out") rows.set(`${s.axis} ${s.weight}`, s.classes);
  return layers.flatMap((layer) => {
    const classes = rows.get(`${layer.outAxis} ${layer.weight}`);
    return classes ? [{ layer, classes }] : [];
  });
}

/** Classes that make filters of layers named in `skip`, with the layer as reason. */
export function skippedClasses(
  filters: readonly FilterLayer[],
  skip: readonly string[],
): Map<number, string> {
  const held = new Map<number, string>();
  for (const { layer, classes } of filters) {
    if (!skip.some((name) => layerMatches(layer, name))) continue;
    for (const c of classes) held.set(c, `layer "${layer.name}" is skipped`);
  }
  return held;
}

/** Which filters of a layer are all zero already (stored zeros or masked). */
export function zeroRows(graph: Graph, layer: PrunableLayer): Uint8Array {
  const { data } = graph.weights.get(layer.weight)!;
  const mask = graph.masks.get(layer.weight)?.data;
  const zero = new Uint8Array(layer.rows).fill(1);
  forEachElement(layer, { kind: "filter" }, (i, row) => {
    if (getNumber(data, i) !== 0 && mask?.[i] !== 0) zero[row] = 0;
  });
  return zero;
}

/**
 * Score of each class: the mean over the filters that belong to it, in all layers that it spans (DepGraph's group mean).
 * With `normalise`, each layer's scores are first divided by their mean, so that layers of different fan-in compare.
 * A class whose filters are all zero already scores -Infinity, so that it goes first.
 */
export function classScores(
  classCount: number,
  filters: readonly FilterLayer[],
  scores: readonly Float64Array[],
  zero: readonly Uint8Array[],
  normalise: boolean,
): Float64Array {
  const sums = new Float64Array(classCount);
  const counts = new Int32Array(classCount);
  const alive = new Uint8Array(classCount);
  for (const [f, { classes }] of filters.entries()) {
    const own = scores[f]!;
    const mean = own.reduce((a, b) => a + b, 0) / own.length;
    const scale = normalise && mean > 0 ? 1 / mean : 1;
    for (const [row, c] of classes.entries()) {
      sums[c]! += own[row]! * scale;
      counts[c]!++;
      if (zero[f]![row] === 0) alive[c] = 1;
    }
  }
  return sums.map((sum, c) => (alive[c] === 0 ? Number.NEGATIVE_INFINITY : sum / counts[c]!));
}
