import type { Graph } from "../graph/graph.ts";
import type { Evidence } from "../prune/evidence.ts";
import { parseGranularity } from "../prune/granularity.ts";
import { layerMatches, prunableLayers } from "../prune/layers.ts";
import { fillOptions } from "../prune/options.ts";
import { type Pruned, type PruneOptions, prune } from "../prune/prune.ts";
import { staticTypes } from "../prune/types.ts";

/** Gathers evidence on a net as it is now, about all layers but those of these names. */
export type GatherBeside = (graph: Graph, skip: readonly string[]) => Promise<Evidence>;

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
  const atOnce = async (): Promise<Pruned> =>
    prune(graph, { ...options, evidence: await gather(graph, options.skip ?? []) });
  // Scores of different layers cannot be compared here; the method says so itself.
  if (fillOptions(options).scope !== "layer") return atOnce();
  const layers = prunableLayers(graph, staticTypes(graph, options.inputShapes));
  const counts = await removals(graph, options);
  const { sparsity: _, allocation: __, skip = [], ...rest } = options;
  let current: Pruned | undefined;
  for (const layer of layers) {
    const share = counts.get(layer.weight);
    if (share === undefined) continue;
    const others = layers.filter((other) => other !== layer).map((other) => other.weight);
    const from = current?.graph ?? graph;
    const evidence = await gather(from, [...skip, ...others]);
    // N:M knows its share and takes no list.
    const one =
      share === "fixed" ? { skip: [...skip, ...others] } : { skip, sparsity: { [layer.weight]: share } };
    current = await prune(from, { ...rest, ...one, evidence });
  }
  return current ?? atOnce();
}

/** The share that each layer loses, by weight; "fixed" for N:M. Counts depend on sizes and allocation alone, whatever scores. */
async function removals(graph: Graph, options: PruneOptions): Promise<Map<string, number | "fixed">> {
  const { skip = [], granularity = "element", sparsity, allocation, inputShapes } = options;
  const types = staticTypes(graph, inputShapes);
  const open = prunableLayers(graph, types).filter((l) => !skip.some((name) => layerMatches(l, name)));
  if (parseGranularity(granularity).kind === "n:m") return new Map(open.map((l) => [l.weight, "fixed"]));
  const { record } = await prune(graph, {
    method: "magnitude",
    granularity,
    skip,
    ...(sparsity !== undefined && { sparsity }),
    ...(allocation === undefined ? { scope: "layer" } : { allocation }),
    ...(inputShapes && { inputShapes }),
  });
  const step = record.steps.at(-1)!;
  const found = step.kind === "prune" ? step.layers : [];
  return new Map(
    found.flatMap(({ weight, units, removed }) =>
      removed > 0 && removed < units ? [[weight, removed / units]] : [],
    ),
  );
}
