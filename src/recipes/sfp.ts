import { allLayers, type FilterTraining, silenced, trainFilters } from "./filter-training.ts";
import type { Recipe, RecipeContext } from "./recipe.ts";

/**
 * Soft filter pruning: after every epoch the filters with the smallest L2 norm become zero, but go on learning, so that the next time
 * others may be chosen. In the end the last choice goes for good.
 */
export const sfp: Recipe = {
  name: "sfp",
  kind: "training",
  granularities: ["filter"],
  reference: "He et al. 2018 (SFP), arXiv 1808.06866, algorithm 1",
  settings: {
    every: { default: 0, what: "steps between two prunings (0: an epoch)", range: [0, 1e9] },
    end: { default: 1, what: "share of the training after which the filters go for good", range: [0, 1] },
  },
  budget: "magnitude",
  unread: ["norm"],
  run: (context) => trainFilters(context, softTraining(context)),
};

/** Prunings where neither steps nor epochs are said. */
const usualPrunings = 30;

/** What happens on the way; public for tests. */
export function softTraining(context: RecipeContext): FilterTraining {
  const { setting, options } = context;
  const layers = allLayers(context);
  const [end, every] = [setting("end"), setting("every")];
  const prunings = options.train?.epochs ?? usualPrunings;
  const choice = { method: "magnitude", norm: "l2" } as const;
  return {
    name: "sfp",
    settings: { end, every, prunings },
    removeAt: end,
    choice,
    async prepare({ step, total }, trainer) {
      const between = every || Math.max(1, Math.round(total / prunings));
      if (step === 0 || step % between !== 0) return;
      const chosen = await silenced(context, await trainer.graph(), choice);
      // The filters alone: if their normalisation became zero too, nothing would ever come back through it.
      for (const { weight } of layers) {
        if (chosen.masks.has(weight)) trainer.setDense(weight, chosen.weights.get(weight)!);
      }
    },
  };
}
