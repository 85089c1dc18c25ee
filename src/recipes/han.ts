import { PruneError, printable } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { compact } from "../prune/compact.ts";
import { layerMatches, prunableLayers } from "../prune/layers.ts";
import { deviationOf } from "../prune/methods/han.ts";
import { recordOf } from "../prune/record.ts";
import { staticTypes } from "../prune/types.ts";
import { getNumber } from "../tensor/host-tensor.ts";
import { correctedDropout } from "./dropout.ts";
import type { Recipe } from "./recipe.ts";
import { pruneAndRetrain, wantedSparsity } from "./retrain.ts";
import { sensitivityShares } from "./sensitivity-shares.ts";

const usualRounds = 4;

/**
 * Learning both weights and connections: prunes a trained net below q standard deviations of each layer, trains what is left
 * from its current values, and again; then takes out neurons that have lost all inputs or all outputs. q is one for all
 * layers, or follows the sensitivity of each. Train with L2 (the default decay), which the paper found best after retraining,
 * or with l1.
 */
export const hanRecipe: Recipe = {
  name: "han",
  kind: "training",
  granularities: ["element", "block"],
  reference:
    "Han, Pool, Tran and Dally 2015, Learning both Weights and Connections, arXiv 1506.02626, section 3",
  settings: {
    sensitivity: {
      default: 0,
      what: "1 gives every layer the share that it bears, by a scan",
      range: [0, 1],
    },
    images: { default: 256, what: "images that the scan of sensitivities is measured on", range: [1, 1e9] },
    compact: { default: 1, what: "1 removes dead neurons at the end", range: [0, 1] },
  },
  budget: "han",
  unread: ["norm"],
  async run(context) {
    wantedSparsity(context, "han");
    const sparsity =
      context.setting("sensitivity") >= 0.5
        ? await sensitivityShares(context, context.setting("images"))
        : context.options.sparsity;
    const options = { ...context.options, ...(sparsity !== undefined && { sparsity }) };
    const result = await pruneAndRetrain({ ...context, options }, "han", {
      method: "han",
      rounds: options.rounds ?? usualRounds,
      spacing: "geometric",
      prepare: (pruned, before) => correctedDropout(before, pruned),
    });
    if (context.setting("compact") < 0.5) return result;
    const { graph } = await compact(result.graph, {
      ...(options.inputShapes && { inputShapes: options.inputShapes }),
    });
    return { ...result, graph, record: recordOf(graph) };
  },
};

/**
 * The shares that thresholds of q standard deviations cut, for q by layer name: what to pass as sparsity to prune by
 * thresholds that are given (Distiller's for AlexNet, say).
 */
export function sharesOfThresholds(
  graph: Graph,
  quality: Readonly<Record<string, number>>,
): Record<string, number> {
  const layers = prunableLayers(graph, staticTypes(graph));
  const shares: Record<string, number> = {};
  for (const [name, q] of Object.entries(quality)) {
    const layer = layers.find((l) => layerMatches(l, name));
    if (!layer) {
      throw new PruneError(
        `there is no prunable layer "${printable(name)}". The layers are ${layers.map((l) => printable(l.name)).join(", ")}.`,
      );
    }
    const { data } = graph.weights.get(layer.weight)!;
    const threshold = q * deviationOf(data, graph.masks.get(layer.weight)?.data);
    let below = 0;
    for (let i = 0; i < data.length; i++) if (Math.abs(getNumber(data, i)) < threshold) below++;
    shares[name] = below / data.length;
  }
  return shares;
}
