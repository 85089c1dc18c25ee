import { PruneError } from "../errors.ts";
import { chooseUnits, removedUnits, type UnitPool } from "../prune/budget.ts";
import { layerMatches, type PrunableLayer } from "../prune/layers.ts";
import type { PruneOptions } from "../prune/options.ts";
import { getNumber } from "../tensor/host-tensor.ts";
import type { Masking } from "../train/masking.ts";
import { cubic, isUpdate, phaseOf, phaseSettings, scaled } from "./gradual.ts";
import { maskBy, onlyRound, recipeLayers, trainMasked } from "./masked-training.ts";
import type { Recipe, RecipeContext } from "./recipe.ts";
import { wantedSparsity } from "./retrain.ts";

/**
 * Movement pruning: weights that move away from zero in a fine-tuning stay, whatever their size. The score of a weight is
 * minus the sum of gradient · weight over the steps, passed straight through the mask, so that what is masked goes on
 * collecting and may come back; the share that is kept falls by the cubic schedule.
 */
export const movement: Recipe = {
  name: "movement",
  kind: "training",
  granularities: ["element"],
  reference: "Sanh, Wolf and Rush 2020 (Movement Pruning), arXiv 2005.07683, section 4",
  settings: { ...phaseSettings, begin: { ...phaseSettings.begin, default: 0.1 } },
  budget: "magnitude",
  unread: ["allocation", "norm", "recover", "rounds"],
  async run(context) {
    wantedSparsity(context, "movement");
    if (context.options.scope === "row")
      throw new PruneError(
        "movement compares scores over the whole net or inside each layer. Use scope global or layer.",
      );
    const masking = movementMasking(context);
    const more = { masks: "gate", track: ["movement"], fineTune: true } as const;
    return onlyRound(context, await trainMasked(context, context.graph, masking, more));
  },
};

/** The masking of `movement`; public for tests. */
export function movementMasking(context: RecipeContext): Masking {
  const { options, setting } = context;
  const layers = recipeLayers(context);
  const scope = options.scope ?? (typeof options.sparsity === "object" ? "layer" : "global");
  return {
    name: "movement",
    settings: {
      begin: setting("begin"),
      end: setting("end"),
      every: setting("every"),
      sparsity: JSON.stringify(options.sparsity),
      scope,
    },
    weights: layers.map((l) => l.weight),
    settles: (total) => phaseOf(setting, total).end,
    async before(step, total, trainer) {
      const phase = phaseOf(setting, total);
      if (!isUpdate(phase, step)) return;
      const share = step === phase.end ? 1 : cubic((step - phase.begin) / (phase.end - phase.begin));
      const pools: UnitPool[] = [];
      for (const { name, weight } of layers) {
        const { data } = await trainer.tracked(weight, "movement");
        const scores = Float64Array.from({ length: data.length }, (_, i) => -getNumber(data, i));
        pools.push({ layer: name, scores, states: new Uint8Array(scores.length) });
      }
      const gone = chosen(pools, layers, scaled(options.sparsity, share), scope);
      for (const [k, { weight, shape }] of layers.entries()) {
        const flags = gone[k]!;
        trainer.setMask(
          weight,
          maskBy(shape, flags.length, (i) => flags[i] === 0),
        );
      }
    },
  };
}

function chosen(
  pools: readonly UnitPool[],
  layers: readonly PrunableLayer[],
  sparsity: PruneOptions["sparsity"],
  scope: string,
): Uint8Array[] {
  if (scope === "global" && typeof sparsity === "number") {
    const total = pools.reduce((n, p) => n + p.scores.length, 0);
    return chooseUnits(pools, removedUnits(total, sparsity));
  }
  return pools.map((pool, i) => {
    const share =
      typeof sparsity === "object"
        ? Object.entries(sparsity).find(([name]) => layerMatches(layers[i]!, name))?.[1]
        : sparsity;
    return chooseUnits([pool], removedUnits(pool.scores.length, share ?? 0))[0]!;
  });
}
