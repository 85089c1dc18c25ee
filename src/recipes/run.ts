import type { Dataset } from "../data/dataset.ts";
import { InputError } from "../errors.ts";
import type { CollectOptions } from "../evidence/collect.ts";
import { findCollector } from "../evidence/index.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Graph } from "../graph/graph.ts";
import { graphHash } from "../prune/hash.ts";
import { findMethod, methods } from "../prune/methods/index.ts";
import { neededEvidence, type PruneOptions, prune } from "../prune/prune.ts";
import { type PruneRecord, withStep } from "../prune/record.ts";
import type { TrainOptions, TrainResult } from "../train/options.ts";
import { recalibrate } from "../train/recalibrate.ts";
import { findRecipe, runRecipe, settingsOf } from "./index.ts";
import { pruneLayerByLayer } from "./layer-by-layer.ts";
import type { Recipe, RecipeContext, RoundResult } from "./recipe.ts";
import { pruneAndRetrain } from "./retrain.ts";
import { pruneInRounds, type Spacing } from "./rounds.ts";
import { fromScratch } from "./scratch.ts";

/** Everything that one pruning may be asked for, whatever the method. */
export interface PruningRequest extends Omit<PruneOptions, "evidence"> {
  readonly rounds?: number;
  readonly spacing?: Spacing;
  /**
   * One layer after the other, front to back, by evidence on the net so far; where it trains, after every layer. What the method is
   * published with, else not.
   */
  readonly layerByLayer?: boolean;
  /** Train after every round; with no more than this said, by the defaults of the net. */
  readonly train?: TrainOptions;
  /** Train the pruned shape from new weights instead of those that stay. */
  readonly scratch?: boolean;
  /** Measure the statistics of BatchNormalization anew in the end; needs no labels. */
  readonly recalibrate?: boolean;
  /** Settings of a method that trains. */
  readonly settings?: Readonly<Record<string, number>>;
  readonly collect?: CollectOptions;
  readonly onRound?: (round: RoundResult) => void;
}

export interface PruningOutcome {
  readonly graph: Graph;
  readonly record: PruneRecord;
  readonly rounds: readonly RoundResult[];
  readonly training?: TrainResult;
}

/** The recipe of a method; none for one whose scores need nothing but weights, where no training was asked for. */
export function recipeFor({ method, train }: Pick<PruningRequest, "method" | "train">): Recipe | undefined {
  const scores = methods.some((m) => m.name === method && m.needs.length === 0);
  return scores && !train ? undefined : findRecipe(method);
}

/** What a request takes beside the model: a GPU, images. */
export function requirements(request: PruningRequest): { readonly gpu: boolean; readonly data: boolean } {
  const trains = request.train !== undefined || request.scratch === true;
  if (trains || request.recalibrate || recipeFor(request)) return { gpu: true, data: true };
  const needs = neededEvidence(findMethod(request.method), request.recover, request.granularity);
  return {
    gpu: needs.length > 0,
    data: needs.some((kind) => findCollector(kind)?.needsData ?? true),
  };
}

/**
 * Prunes by any method, in rounds, with evidence gathered and training done as it takes. Throws E_INPUT naming what is
 * missing, and what `prune`, `collectEvidence` and `train` throw.
 */
export async function runPruning(
  gpu: Gpu | undefined,
  graph: Graph,
  data: Dataset | undefined,
  request: PruningRequest,
): Promise<PruningOutcome> {
  const {
    rounds,
    spacing,
    layerByLayer,
    train,
    scratch,
    settings,
    collect,
    onRound,
    recalibrate: again,
    ...options
  } = request;
  const needed = requirements(request);
  if (needed.data && !data) {
    throw new InputError(
      `${train || scratch ? "training" : `method ${request.method}`} looks at images, and none were given. Pass a data set; on the command line, --data.`,
    );
  }
  if (!recipeFor(request) && settings && Object.keys(settings).length > 0)
    throw new InputError(`method ${request.method} has no settings of its own.`);
  if (!needed.gpu) {
    const pruned = layerByLayer ? pruneLayerByLayer(graph, options, async () => ({})) : prune(graph, options);
    return { ...(await pruned), rounds: [] };
  }
  if (!gpu) throw new InputError(`method ${request.method} needs a GPU session; pass one.`);
  const result = await chosen(gpu, graph, data, request);
  if (!again) return result;
  const preprocessing = train?.preprocessing ?? collect?.preprocessing;
  const calm = await recalibrate(gpu, result.graph, data!, { ...(preprocessing && { preprocessing }) });
  const step = {
    kind: "train",
    options: { recipe: "recalibrate" },
    before: await graphHash(result.graph),
    after: await graphHash(calm),
  } as const;
  return { ...result, ...withStep(calm, step) };
}

async function chosen(
  gpu: Gpu,
  graph: Graph,
  data: Dataset | undefined,
  request: PruningRequest,
): Promise<PruningOutcome> {
  const { rounds, spacing, layerByLayer, train, scratch, settings, collect, onRound, ...others } = request;
  const { recalibrate: _, ...options } = others;
  const { method, ...rest } = options;
  // New weights are not fine-tuned, whatever the ones that they replace were.
  const training = scratch ? { ...train, fineTune: false } : train;
  const common = { ...rest, ...(training && { train: training }), ...(onRound && { onRound }) };
  if (recipeFor(request)) {
    if (spacing) throw new InputError(`${method} spaces its rounds by its own rule. Leave spacing out.`);
    if (layerByLayer)
      throw new InputError(
        `${method} trains by its own rule and takes all layers together. Leave layerByLayer out.`,
      );
    if (scratch) {
      throw new InputError(
        `${method} trains by its own rule, so its shape cannot be trained from scratch in the same run. Prune first, then train the result from scratch.`,
      );
    }
    return runRecipe(gpu, graph, data!, method, {
      ...common,
      ...(rounds !== undefined && { rounds }),
      ...(settings && { settings }),
    });
  }
  if (layerByLayer && scratch)
    throw new InputError("a shape that is trained from scratch is pruned in one go, not layer by layer.");
  if (layerByLayer && train && (rounds ?? 1) > 1)
    throw new InputError(
      `layer by layer every layer is a round of its own; rounds is ${rounds}. Leave it out.`,
    );
  if (!train && !scratch) {
    const pruned = await pruneInRounds(gpu, graph, data, {
      ...options,
      ...(layerByLayer !== undefined && { layerByLayer }),
      ...(rounds !== undefined && { rounds }),
      ...(spacing && { spacing }),
      ...(collect && { collect }),
    });
    return { ...pruned, rounds: [] };
  }
  if (scratch && (rounds ?? 1) > 1)
    throw new InputError(`a shape that is trained from scratch is pruned once; rounds is ${rounds}.`);
  const context: RecipeContext = {
    gpu,
    graph,
    data: data!,
    options: common,
    setting: settingsOf({ name: method, settings: {} }, {}),
  };
  return pruneAndRetrain(context, method, {
    method,
    rounds: rounds ?? 1,
    spacing: spacing ?? "geometric",
    ...(layerByLayer && { layerByLayer }),
    ...(collect && { collect }),
    ...(scratch && {
      settings: { scratch: true },
      prepare: (pruned) => fromScratch(pruned, request.seed ?? 1),
    }),
  });
}
