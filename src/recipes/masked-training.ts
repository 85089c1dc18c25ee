import { InputError, printable } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { nonzeros } from "../graph/statistics.ts";
import { graphHash } from "../prune/hash.ts";
import { layerMatches, type PrunableLayer, prunableLayers } from "../prune/layers.ts";
import { type PruneRecord, type RecordStep, withStep } from "../prune/record.ts";
import { staticTypes } from "../prune/types.ts";
import { getNumber, type HostTensor } from "../tensor/host-tensor.ts";
import type { Masking } from "../train/masking.ts";
import type { TrainOptions, TrainResult } from "../train/options.ts";
import { train } from "../train/train.ts";
import type { Trainer } from "../train/trainer.ts";
import type { RecipeContext, RecipeResult, RoundResult } from "./recipe.ts";

/** The layers that a recipe may prune: all that are prunable, without those in `skip`. Throws E_INPUT where none is left. */
export function recipeLayers({ graph, options }: RecipeContext): PrunableLayer[] {
  const skip = options.skip ?? [];
  const listed = typeof options.sparsity === "object" ? Object.keys(options.sparsity) : undefined;
  const layers = prunableLayers(graph, staticTypes(graph, options.inputShapes)).filter(
    (layer) =>
      !skip.some((name) => layerMatches(layer, name)) &&
      (!listed || listed.some((name) => layerMatches(layer, name))),
  );
  if (layers.length === 0)
    throw new InputError(`"${printable(graph.name)}" has no layer to prune that is not skipped.`);
  return layers;
}

/** Share of these layers' weights that is gone: zero, or removed from a graph that had all of `layers`. */
export function sparsityOf(graph: Graph, layers: readonly PrunableLayer[]): number {
  const all = layers.reduce((n, l) => n + l.rows * l.cols, 0);
  const left = layers.reduce((n, l) => {
    const weight = graph.weights.get(l.weight);
    return n + (weight ? nonzeros(weight) : 0);
  }, 0);
  return 1 - left / all;
}

/** Takes over the masks of a pruned graph: from the next step on, exactly as if they had always been there. */
export function setMasks(trainer: Trainer, pruned: Graph, layers: readonly PrunableLayer[]): void {
  for (const { weight } of layers) {
    const mask = pruned.masks.get(weight);
    if (!mask) continue;
    trainer.setMask(weight, mask);
    trainer.setDense(weight, pruned.weights.get(weight)!);
  }
}

/** Trains under a masking and returns the result with the training on its record. */
export async function trainMasked(
  context: RecipeContext,
  graph: Graph,
  masking: Masking,
  more: TrainOptions = {},
): Promise<TrainResult & { readonly record: PruneRecord }> {
  const { gpu, data, options } = context;
  const result = await train(gpu, graph, data, { ...trainOptions(context), ...more, masking });
  return {
    ...result,
    ...(await recorded(graph, result, masking.name, { ...masking.settings }, options.seed)),
  };
}

/** What the caller said about training; the seed is that of the recipe. */
export const trainOptions = ({ options }: RecipeContext): TrainOptions => ({
  ...(options.seed !== undefined && { seed: options.seed }),
  ...options.train,
});

/** The trained graph with a step that says how it was trained. */
export async function recorded(
  before: Graph,
  result: TrainResult,
  recipe: string,
  settings: Readonly<Record<string, unknown>>,
  seed = 1,
): Promise<{ readonly graph: Graph; readonly record: PruneRecord }> {
  const { plan: _, ...training } = result.manifest;
  const step: RecordStep = {
    kind: "train",
    options: { recipe, seed, settings, training },
    before: await graphHash(before),
    after: await graphHash(result.graph),
  };
  return withStep(result.graph, step);
}

/** The result of a recipe that is one training. */
export function onlyRound(
  context: RecipeContext,
  result: TrainResult & { readonly record: PruneRecord },
): RecipeResult {
  const round: RoundResult = {
    round: 1,
    rounds: 1,
    sparsity: sparsityOf(result.graph, recipeLayers(context)),
    top1: result.best.top1,
  };
  context.options.onRound?.(round);
  return { graph: result.graph, record: result.record, rounds: [round], training: result };
}

/** A bool mask from a rule per element. */
export const maskBy = (
  shape: readonly number[],
  length: number,
  kept: (i: number) => boolean,
): HostTensor => ({
  dtype: "bool",
  shape,
  data: Uint8Array.from({ length }, (_, i) => (kept(i) ? 1 : 0)),
});

/** The values of a weight, zero where its mask is. */
export const maskedBy = (weight: HostTensor, mask: HostTensor): HostTensor => ({
  ...weight,
  data: (weight.data as Float32Array).map((w, i) => (getNumber(mask.data, i) === 0 ? 0 : w)),
});
