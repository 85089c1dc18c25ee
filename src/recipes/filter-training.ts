import { PruneError } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { nonzeros } from "../graph/statistics.ts";
import { channelGroups } from "../prune/channel-groups.ts";
import { compact } from "../prune/compact.ts";
import { type PrunableLayer, prunableLayers } from "../prune/layers.ts";
import { silencedWeights } from "../prune/mask-filters.ts";
import type { PruneOptions } from "../prune/options.ts";
import { prune } from "../prune/prune.ts";
import { recordOf } from "../prune/record.ts";
import { staticTypes } from "../prune/types.ts";
import type { Masking } from "../train/masking.ts";
import type { TrainOptions } from "../train/options.ts";
import type { Trainer } from "../train/trainer.ts";
import { recipeLayers, trainMasked } from "./masked-training.ts";
import type { RecipeContext, RecipeResult } from "./recipe.ts";
import { pruneOptionsOf, wantedSparsity } from "./retrain.ts";

/** A step of a training of `total`, in which the filters go before step `last`. */
export interface TrainingPlace {
  readonly step: number;
  readonly last: number;
  readonly total: number;
}

/** A training on whose way whole filters go: first it prepares them, then they are removed, then it goes on without them. */
export interface FilterTraining {
  readonly name: string;
  readonly settings: Masking["settings"];
  /** The share of the training after which the filters go, from 0 to 1. */
  readonly removeAt: number;
  /** By what filters are chosen; within the budget of the caller's options. */
  readonly choice: Pick<PruneOptions, "method" | "norm">;
  /** The net as it is when filters go, as the choice should see it. */
  seen?(graph: Graph, trainer: Trainer): Promise<Graph>;
  /** Called before every step until they go. */
  prepare?(at: TrainingPlace, trainer: Trainer): Promise<void> | void;
  /** Called when they go: an end to what prepared them. */
  removed?(trainer: Trainer): Promise<void> | void;
}

/** The step before which filters go at a share of a training of so many steps; at the latest before the last. */
export const removalStep = (share: number, total: number): number =>
  Math.min(total - 1, Math.floor(share * total));

/** The net with the filters silenced that a method and the caller's options choose. */
export async function silenced(
  context: RecipeContext,
  graph: Graph,
  choice: FilterTraining["choice"],
): Promise<Graph> {
  const options = { ...pruneOptionsOf(context), ...choice, granularity: "filter", keepShape: true };
  return (await prune(graph, options)).graph;
}

/** The masking of such a training; public for tests. */
export function filterMasking(context: RecipeContext, training: FilterTraining): Masking {
  const types = staticTypes(context.graph, context.options.inputShapes);
  const weights = silencedWeights(channelGroups(context.graph, types));
  return {
    name: training.name,
    settings: { ...training.settings, options: JSON.stringify(pruneOptionsOf(context)) },
    weights,
    settles: (total) => removalStep(training.removeAt, total),
    async before(step, total, trainer) {
      const last = removalStep(training.removeAt, total);
      if (step < last) await training.prepare?.({ step, last, total }, trainer);
      if (step !== last) return;
      const graph = await trainer.graph();
      const chosen = await silenced(
        context,
        (await training.seen?.(graph, trainer)) ?? graph,
        training.choice,
      );
      for (const weight of weights) {
        const mask = chosen.masks.get(weight);
        if (!mask) continue;
        trainer.setMask(weight, mask);
        trainer.setDense(weight, chosen.weights.get(weight)!);
      }
      await training.removed?.(trainer);
    },
  };
}

/** Trains so, and takes the silenced filters out of the net: exactly, as compaction does. */
export async function trainFilters(
  context: RecipeContext,
  training: FilterTraining,
  more: TrainOptions = {},
): Promise<RecipeResult> {
  const { options } = context;
  wantedSparsity(context, training.name);
  const layers = recipeLayers(context);
  await check(context, training);
  const trained = await trainMasked(context, context.graph, filterMasking(context, training), more);
  const masked = withoutOnes(trained.graph);
  const graph = options.keepShape
    ? masked
    : (await compact(masked, { inputShapes: options.inputShapes })).graph;
  const round = { round: 1, rounds: 1, sparsity: goneOf(layers, graph), top1: trained.best.top1 };
  options.onRound?.(round);
  return { graph, record: recordOf(graph), rounds: [round], training: { ...trained, graph } };
}

/** Everything that would stop the training half-way is found out before it begins. */
async function check(context: RecipeContext, { name, choice }: FilterTraining): Promise<void> {
  const { recover = "none", rounds = 1 } = context.options;
  if (recover !== "none") {
    throw new PruneError(
      `${name} trains what is left, so there is nothing to recover without training. Leave recover out.`,
    );
  }
  if (rounds !== 1) {
    throw new PruneError(
      `${name} is one training, so rounds ${rounds} is not for it. Leave it out, or run it again on its result.`,
    );
  }
  await silenced(context, context.graph, choice);
}

/** Every layer with filters: those that are coupled to the layers asked for lose theirs too. */
export const allLayers = ({ graph, options }: RecipeContext): PrunableLayer[] =>
  prunableLayers(graph, staticTypes(graph, options.inputShapes));

/** Share of the elements of these layers that are zero or no longer there. */
function goneOf(layers: readonly PrunableLayer[], graph: Graph): number {
  const all = layers.reduce((n, l) => n + l.rows * l.cols, 0);
  return 1 - layers.reduce((n, l) => n + nonzeros(graph.weights.get(l.weight)!), 0) / all;
}

/** Every weight that might have lost a filter got a mask; those that hold nothing are in nobody's way, but say nothing either. */
const withoutOnes = (graph: Graph): Graph => ({
  ...graph,
  masks: new Map([...graph.masks].filter(([, mask]) => (mask.data as Uint8Array).includes(0))),
});

/** The settings that all of these trainings have. */
export const endSetting = {
  default: 0.6,
  what: "share of the training after which the filters go; the rest trains what is left",
  range: [0, 1],
} as const;
