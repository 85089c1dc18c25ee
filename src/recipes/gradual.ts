import { PruneError } from "../errors.ts";
import { type PruneOptions, prune } from "../prune/prune.ts";
import type { Masking } from "../train/masking.ts";
import { onlyRound, recipeLayers, setMasks, trainMasked } from "./masked-training.ts";
import type { Recipe, RecipeContext } from "./recipe.ts";

/**
 * Zhu and Gupta's cubic schedule, as the share of the final sparsity that is reached: s(t) = s_f + (s_i - s_f) · (1 - x)³
 * with s_i = 0 and x the share of the pruning phase that is over.
 */
export const cubic = (x: number): number => 1 - (1 - Math.min(1, Math.max(0, x))) ** 3;

/** Every sparsity asked for, times `factor`. */
export function scaled(sparsity: PruneOptions["sparsity"], factor: number): PruneOptions["sparsity"] {
  if (typeof sparsity !== "object") return sparsity === undefined ? undefined : sparsity * factor;
  return Object.fromEntries(Object.entries(sparsity).map(([name, s]) => [name, s * factor]));
}

/** The pruning phase of a training: its first and last pruning step, and the steps between two of them. */
export interface Phase {
  readonly begin: number;
  readonly end: number;
  readonly every: number;
}

/** Prunings where nothing is said about how often. */
const usualUpdates = 40;

/**
 * The phase that a recipe's settings `begin`, `end` (shares of the training) and `every` (steps; 0 for some 40 times) ask
 * for.
 */
export function phaseOf(setting: RecipeContext["setting"], totalSteps: number): Phase {
  const begin = Math.floor(setting("begin") * totalSteps);
  const end = Math.min(totalSteps - 1, Math.max(begin, Math.floor(setting("end") * totalSteps)));
  const every = setting("every") || Math.max(1, Math.round((end - begin) / usualUpdates));
  return { begin, end, every };
}

/** Is step `t` one at which the phase prunes? The last one always is. */
export const isUpdate = ({ begin, end, every }: Phase, t: number): boolean =>
  t === end || (t >= begin && t < end && (t - begin) % every === 0);

export const phaseSettings = {
  begin: { default: 0, what: "share of the training before the first pruning", range: [0, 1] },
  end: { default: 0.6, what: "share of the training at the last pruning", range: [0, 1] },
  every: { default: 0, what: "steps between prunings (0: about 40 prunings)", range: [0, 1e9] },
} as const;

/** Magnitude pruning on the way: sparsity rises by a cubic schedule while the net trains; what went stays zero. */
export const gradual: Recipe = {
  name: "gradual",
  kind: "training",
  granularities: ["element", "block"],
  reference: "Zhu and Gupta 2017, arXiv 1710.01878, equation 1; Gale et al. 2019, arXiv 1902.09574",
  settings: phaseSettings,
  budget: "magnitude",
  unread: ["recover", "rounds"],
  async run(context) {
    return onlyRound(context, await trainMasked(context, context.graph, gradualMasking(context)));
  },
};

/** The masking of `gradual`; public for tests. */
export function gradualMasking(context: RecipeContext): Masking {
  const { options, setting } = context;
  const { train: _, rounds: __, settings: ___, onRound: ____, ...asked } = options;
  // As published: the smallest of every layer, unless the shares of layers are said in another way.
  const spread = { ...(asked.allocation === undefined && { scope: "layer" as const }), ...asked };
  if (options.sparsity === undefined) {
    throw new PruneError("gradual needs the sparsity to end at; 0.9 removes 90 % of the weights.");
  }
  const layers = recipeLayers(context);
  return {
    name: "gradual",
    settings: {
      begin: setting("begin"),
      end: setting("end"),
      every: setting("every"),
      options: JSON.stringify(spread),
    },
    weights: layers.map((l) => l.weight),
    settles: (total) => phaseOf(setting, total).end,
    async before(step, total, trainer) {
      const phase = phaseOf(setting, total);
      if (!isUpdate(phase, step)) return;
      const share = step === phase.end ? 1 : cubic((step - phase.begin) / (phase.end - phase.begin));
      const sparsity = scaled(options.sparsity, share);
      const { graph } = await prune(await trainer.graph(), { ...spread, method: "magnitude", sparsity });
      setMasks(trainer, graph, layers);
    },
  };
}
