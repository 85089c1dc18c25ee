import { slimming } from "../prune/methods/slimming.ts";
import { endSetting, type FilterTraining, trainFilters } from "./filter-training.ts";
import type { Recipe, RecipeContext } from "./recipe.ts";

/**
 * Network slimming: an L1 penalty pushes the scales of BatchNormalization to zero where a channel is not needed; the channels with the
 * smallest go, one threshold for the whole net, and the rest trains on without the penalty.
 */
export const slimmingRecipe: Recipe = {
  name: slimming.name,
  kind: "training",
  granularities: ["filter"],
  reference: slimming.reference,
  settings: {
    lambda: { default: 1e-4, what: "factor of the penalty on scales", range: [Number.MIN_VALUE, 1] },
    end: endSetting,
  },
  budget: slimming.name,
  unread: ["norm"],
  run(context) {
    const l1Scales = context.setting("lambda");
    const optimizer = { ...context.options.train?.optimizer, l1Scales };
    return trainFilters(context, scaleTraining(context), { optimizer });
  },
};

/** What happens on the way; public for tests. */
export function scaleTraining(context: RecipeContext): FilterTraining {
  const [lambda, end] = [context.setting("lambda"), context.setting("end")];
  return {
    name: slimming.name,
    settings: { lambda, end },
    removeAt: end,
    choice: { method: slimming.name },
    removed: (trainer) => trainer.setFactor("l1Scales", 0),
  };
}
