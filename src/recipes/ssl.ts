import { endSetting, type FilterTraining, trainFilters } from "./filter-training.ts";
import type { Recipe, RecipeContext } from "./recipe.ts";

/**
 * Structured sparsity learning: a group lasso on the filters, λ · the sum of their L2 norms, shrinks those that do least; the smallest
 * go, and the rest trains on without the penalty.
 */
export const ssl: Recipe = {
  name: "ssl",
  kind: "training",
  granularities: ["filter"],
  reference: "Wen et al. 2016 (SSL), arXiv 1608.03665, equations 2 and 3, filter-wise",
  settings: {
    lambda: { default: 1e-3, what: "factor of the penalty", range: [Number.MIN_VALUE, 1] },
    end: endSetting,
  },
  budget: "magnitude",
  unread: ["norm"],
  run(context) {
    const groupLasso = context.setting("lambda");
    const optimizer = { ...context.options.train?.optimizer, groupLasso };
    return trainFilters(context, lassoTraining(context), { optimizer });
  },
};

/** What happens on the way; public for tests. */
export function lassoTraining(context: RecipeContext): FilterTraining {
  const [lambda, end] = [context.setting("lambda"), context.setting("end")];
  return {
    name: "ssl",
    settings: { lambda, end },
    removeAt: end,
    choice: { method: "magnitude", norm: "l2" },
    removed: (trainer) => trainer.setFactor("groupLasso", 0),
  };
}
