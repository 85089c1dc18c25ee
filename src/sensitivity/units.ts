import { InputError, PruneError, printable } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { channelGroups, withFrozen } from "../prune/channel-groups.ts";
import type { GraphTypes } from "../prune/context.ts";
import { filterLayers, skippedClasses } from "../prune/filter-layers.ts";
import type { Granularity } from "../prune/granularity.ts";
import { layerMatches, type PrunableLayer, prunableLayers, unitCount } from "../prune/layers.ts";
import { unionFind } from "../prune/union-find.ts";

/** Layers whose share is one decision: a single layer, or, for filters, all whose channels hang together. */
export interface PruningUnit {
  /** Name of its first layer. */
  readonly name: string;
  /** In graph order. */
  readonly layers: readonly PrunableLayer[];
  /** Elements, blocks or filters that it has. */
  readonly size: number;
}

/**
 * What shares are decided for, in graph order. Filters that the graph's output, a skipped layer or an op without a channel rule
 * holds in place make no unit. Throws E_INPUT where nothing is left to decide, E_PRUNE for a
 * name in `skip` that the model does not have.
 */
export function pruningUnits(
  graph: Graph,
  types: GraphTypes,
  granularity: Granularity,
  skip: readonly string[] = [],
): PruningUnit[] {
  const layers = prunableLayers(graph, types);
  const wrong = skip.find((name) => !isName(graph, name));
  if (wrong !== undefined) {
    throw new PruneError(
      `there is no layer "${printable(wrong)}" to skip. The prunable layers are ${layers.map((l) => printable(l.name)).join(", ")}.`,
    );
  }
  const open = layers.filter((layer) => !skip.some((name) => layerMatches(layer, name)));
  const sets = granularity.kind === "filter" ? coupled(graph, types, layers, skip) : open.map((l) => [l]);
  const units = sets.map((members) => ({
    name: members[0]!.name,
    layers: members,
    size: members.reduce((n, layer) => n + unitCount(layer, granularity), 0),
  }));
  if (units.length > 0) return units;
  throw new InputError(
    `"${printable(graph.name)}" has no ${granularity.kind === "filter" ? "layer whose filters can go" : "layer to prune"} that is not skipped.`,
  );
}

const isName = (graph: Graph, name: string): boolean =>
  graph.nodes.some((node) => node.name === name) ||
  [name, `${name}.weight`].some((w) => graph.weights.has(w));

/** Layers whose filters share channel classes, each set with at least one filter that may go. */
function coupled(
  graph: Graph,
  types: GraphTypes,
  layers: readonly PrunableLayer[],
  skip: readonly string[],
): PrunableLayer[][] {
  const traced = channelGroups(graph, types);
  const filters = filterLayers(traced, layers);
  const { frozen } = withFrozen(traced, skippedClasses(filters, skip));
  const sets = unionFind();
  const ids = filters.map(() => sets.add(1)[0]!);
  const first = new Map<number, number>();
  for (const [i, { classes }] of filters.entries()) {
    for (const c of classes) {
      if (frozen.has(c)) continue;
      const other = first.get(c);
      if (other === undefined) first.set(c, i);
      else sets.unite(ids[other]!, ids[i]!);
    }
  }
  const members = new Map<number, PrunableLayer[]>();
  for (const [i, { layer, classes }] of filters.entries()) {
    if (classes.every((c) => frozen.has(c))) continue;
    const root = sets.find(ids[i]!);
    members.set(root, [...(members.get(root) ?? []), layer]);
  }
  return [...members.values()];
}

/** The list of shares that prunes one unit alone. */
export const sharesOfUnit = (unit: PruningUnit, share: number): Record<string, number> =>
  Object.fromEntries(unit.layers.map((layer) => [layer.name, share]));
