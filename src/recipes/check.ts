import { PruneError } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { fixedSparsity, granularityName, parseGranularity } from "../prune/granularity.ts";
import { prunableLayers } from "../prune/layers.ts";
import { checkNames, fillOptions } from "../prune/options.ts";
import { staticTypes } from "../prune/types.ts";
import type { Recipe, RecipeOptions } from "./recipe.ts";

/**
 * Finds out before hours of training what would stop a recipe half-way or would be ignored: a granularity that it does not do, names of
 * no layer, options that it never reads. Throws E_PRUNE, and E_INPUT for values of the wrong kind.
 */
export function checkRecipe(recipe: Recipe, graph: Graph, options: RecipeOptions): void {
  const idle = recipe.unread.filter((name) => options[name] !== undefined);
  if (idle.length > 0) {
    throw new PruneError(
      `method ${recipe.name} has no use for ${idle.join(", ")}. Leave ${idle.length > 1 ? "them" : "it"} out.`,
    );
  }
  const asked = options.granularity ?? recipe.defaults?.granularity ?? recipe.granularities[0]!;
  const granularity = parseGranularity(asked);
  if (!recipe.granularities.includes(granularity.kind)) {
    throw new PruneError(
      `method ${recipe.name} cannot prune by granularity ${granularityName(granularity)}; it does ${recipe.granularities.join(", ")}.`,
    );
  }
  const { train: _, rounds: __, settings: ___, onRound: ____, ...rest } = options;
  // A share that is missing is the recipe's own affair: some have another rule.
  const share = options.sparsity ?? (fixedSparsity(granularity) === undefined ? 0.5 : undefined);
  const filled = fillOptions({
    ...rest,
    method: recipe.budget,
    granularity: asked,
    ...(share !== undefined && { sparsity: share }),
  });
  checkNames(filled, prunableLayers(graph, staticTypes(graph, options.inputShapes)), graph);
}
