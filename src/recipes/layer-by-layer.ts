import { PruneError } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { channelGroups } from "../prune/channel-groups.ts";
import type { GraphTypes } from "../prune/context.ts";
import type { Evidence } from "../prune/evidence.ts";
import { filterLayers } from "../prune/filter-layers.ts";
import { parseGranularity } from "../prune/granularity.ts";
import { layerMatches, type PrunableLayer, prunableLayers } from "../prune/layers.ts";
import { fillOptions } from "../prune/options.ts";
import { type Pruned, type PruneOptions, prune } from "../prune/prune.ts";
import type { LayerResult } from "../prune/record.ts";
import { staticTypes } from "../prune/types.ts";

/** Gathers evidence on a net as it is now, about all layers but those of these names. */
export type GatherBeside = (graph: Graph, skip: readonly string[]) => Promise<Evidence>;

/** One turn: a layer, or where whole filters go, all layers that share channels with it. */
export interface Stage {
  readonly weights: readonly string[];
  /** The share that each of them loses; N:M knows its own. */
  readonly shares?: Readonly<Record<string, number>>;
}

/**
 * Prunes one layer after the other, in graph order, each by evidence gathered on the net in which all before it are pruned already:
 * it then makes up for what they changed, not for inputs that it will never see. Every layer is a step of the record; the counts are
 * those of the same request in one go. Takes a pass over the images up to the layer, per layer.
 */
export async function pruneLayerByLayer(
  graph: Graph,
  options: PruneOptions,
  gather: GatherBeside,
): Promise<Pruned> {
  let current: Pruned | undefined;
  for (const stage of await stagesOf(graph, options))
    current = await pruneStage(current?.graph ?? graph, options, stage, gather);
  return current ?? prune(graph, { ...options, evidence: await gather(graph, options.skip ?? []) });
}

/**
 * The turns of a pruning layer by layer: every layer that loses something, in graph order. Counts depend on sizes and allocation
 * alone, whatever scores. Throws E_PRUNE where the shares of layers are only known once all scores are.
 */
export async function stagesOf(graph: Graph, options: PruneOptions): Promise<Stage[]> {
  const { skip = [], inputShapes } = options;
  const { scope, granularity, rounding } = fillOptions(options);
  const types = staticTypes(graph, inputShapes);
  const open = prunableLayers(graph, types).filter((l) => !skip.some((name) => layerMatches(l, name)));
  const { kind } = parseGranularity(granularity);
  if (kind === "n:m") return open.map(({ weight }) => ({ weights: [weight] }));
  if (scope !== "layer") {
    throw new PruneError(
      `one layer after the other needs the share of every layer, but scope is ${scope}. Use scope layer, an allocation, or shares by layer.`,
    );
  }
  const shares = new Map(
    (await countsOf(graph, options)).flatMap(({ weight, units, removed }): [string, number][] => {
      if (removed === 0 || removed === units) return [];
      // Filters are cut off to whole ones: half a filter to the safe side.
      if (kind === "filter" && rounding === "removed") return [[weight, (removed + 0.5) / units]];
      return [[weight, kind === "filter" ? 1 - (units - removed + 0.5) / units : removed / units]];
    }),
  );
  const turns = kind === "filter" ? coupledLayers(graph, types, open) : open.map(({ weight }) => [weight]);
  return turns
    .map((weights) => weights.filter((weight) => shares.has(weight)))
    .filter((weights) => weights.length > 0)
    .map((weights) => ({ weights, shares: Object.fromEntries(weights.map((w) => [w, shares.get(w)!])) }));
}

/** One turn, on the net that those before it have left. */
export async function pruneStage(
  graph: Graph,
  options: PruneOptions,
  { weights, shares }: Stage,
  gather: GatherBeside,
): Promise<Pruned> {
  const { sparsity: _, allocation: __, roundTo: ___, skip = [], ...rest } = options;
  const others = prunableLayers(graph, staticTypes(graph, options.inputShapes))
    .map((l) => l.weight)
    .filter((weight) => !weights.includes(weight));
  if (!shares) {
    const all = [...skip, ...others];
    return prune(graph, { ...rest, skip: all, evidence: await gather(graph, all) });
  }
  // Filters of every layer are scored, whichever then go.
  const filter = fillOptions(options).granularity === "filter";
  const evidence = await gather(graph, filter ? skip : [...skip, ...others]);
  return prune(graph, { ...rest, skip, sparsity: shares, evidence });
}

/** What every layer loses by the same request in one go. */
async function countsOf(graph: Graph, options: PruneOptions): Promise<readonly LayerResult[]> {
  const { sparsity, allocation, roundTo, rounding, inputShapes } = options;
  const { record } = await prune(graph, {
    method: "magnitude",
    granularity: fillOptions(options).granularity,
    skip: options.skip ?? [],
    ...(sparsity !== undefined && { sparsity }),
    ...(allocation === undefined ? { scope: "layer" } : { allocation }),
    ...(roundTo !== undefined && { roundTo }),
    ...(rounding && { rounding }),
    ...(inputShapes && { inputShapes }),
  });
  const step = record.steps.at(-1)!;
  return step.kind === "prune" ? step.layers : [];
}

/** Weights of layers that share channels which can go, in the order of each first one. */
function coupledLayers(graph: Graph, types: GraphTypes, layers: readonly PrunableLayer[]): string[][] {
  const groups = channelGroups(graph, types);
  const sets: { readonly weights: string[]; readonly classes: Set<number> }[] = [];
  for (const { layer, classes } of filterLayers(groups, layers)) {
    const free = classes.filter((c) => !groups.frozen.has(c));
    const touched = sets.filter((set) => free.some((c) => set.classes.has(c)));
    const [first = { weights: [], classes: new Set<number>() }, ...rest] = touched;
    if (touched.length === 0) sets.push(first);
    for (const set of rest) {
      first.weights.push(...set.weights);
      for (const c of set.classes) first.classes.add(c);
      sets.splice(sets.indexOf(set), 1);
    }
    first.weights.push(layer.weight);
    for (const c of free) first.classes.add(c);
  }
  return sets.map((set) => set.weights);
}
