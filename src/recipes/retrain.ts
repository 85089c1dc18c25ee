import { PruneError } from "../errors.ts";
import type { CollectOptions } from "../evidence/collect.ts";
import { type Graph, withWeights } from "../graph/graph.ts";
import { findMethod } from "../prune/methods/index.ts";
import type { PruneOptions } from "../prune/options.ts";
import type { Pruned } from "../prune/prune.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import { wholeNumber } from "../tensor/shape.ts";
import type { TrainOptions, TrainResult } from "../train/options.ts";
import { train } from "../train/train.ts";
import { pruneStage, stagesOf } from "./layer-by-layer.ts";
import { maskedBy, recipeLayers, recorded, sparsityOf, trainOptions } from "./masked-training.ts";
import type { RecipeContext, RecipeResult, RoundResult } from "./recipe.ts";
import { gathering, pruneInRounds, type Spacing, sparsityAt } from "./rounds.ts";

export interface RetrainRounds {
  /** Name of the method that scores. */
  readonly method: string;
  readonly rounds: number;
  readonly spacing: Spacing;
  /** A round for every layer that loses something, front to back, instead of rounds over the whole net. */
  readonly layerByLayer?: boolean;
  /** Settings of every training beyond those of the caller. */
  readonly train?: TrainOptions;
  /** Options of every pruning beyond those of the caller. */
  readonly prune?: Partial<PruneOptions>;
  /** How evidence is gathered. */
  readonly collect?: CollectOptions;
  /** What the record says of every training, beside the round. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** What becomes of the pruned net before it is trained: rewound weights, corrected dropout. */
  readonly prepare?: (pruned: Graph, before: Graph) => Graph;
}

/** Everything that `prune` takes, of what a recipe was asked. */
export function pruneOptionsOf({ options }: RecipeContext): Omit<PruneOptions, "method" | "evidence"> {
  const { train: _, rounds: __, settings: ___, onRound: ____, ...rest } = options;
  return rest;
}

/** The share to remove; E_PRUNE where a recipe needs one and none was given. */
export function wantedSparsity({ options }: RecipeContext, recipe: string): PruneOptions["sparsity"] & {} {
  if (options.sparsity !== undefined) return options.sparsity;
  throw new PruneError(`${recipe} needs the sparsity to end at; 0.9 removes 90 % of the weights.`);
}

/** What one round cuts from the net that the last has trained. */
type Turn = (graph: Graph) => Promise<Pruned>;

/** Prunes and trains in turn: every round removes more of the net that the last has trained. */
export async function pruneAndRetrain(
  context: RecipeContext,
  recipe: string,
  plan: RetrainRounds,
): Promise<RecipeResult> {
  const { gpu, data, options } = context;
  const turns = plan.layerByLayer ? await layerTurns(context, plan) : roundTurns(context, plan);
  const done: RoundResult[] = [];
  const layers = recipeLayers(context);
  let graph = context.graph;
  let last: (TrainResult & { readonly record: RecipeResult["record"] }) | undefined;
  for (const [i, turn] of turns.entries()) {
    const pruned = await turn(graph);
    const at = { round: i + 1, rounds: turns.length };
    const ready = plan.prepare?.(pruned.graph, graph) ?? pruned.graph;
    const trained = await train(gpu, ready, data, {
      fineTune: true,
      ...plan.train,
      ...trainOptions(context),
    });
    last = {
      ...trained,
      ...(await recorded(ready, trained, recipe, { ...plan.settings, ...at }, options.seed)),
    };
    graph = last.graph;
    const round = { ...at, sparsity: sparsityOf(graph, layers), top1: last.best.top1 };
    done.push(round);
    options.onRound?.(round);
  }
  return { graph: last!.graph, record: last!.record, rounds: done, training: last! };
}

/** The whole net in every round, by shares that rise. */
function roundTurns(context: RecipeContext, plan: RetrainRounds): Turn[] {
  const { gpu, data, options } = context;
  const rounds = wholeNumber(plan.rounds, "rounds", 1, 1000);
  const asked = { ...pruneOptionsOf(context), ...plan.prune, method: plan.method };
  const granularity = asked.granularity ?? findMethod(plan.method).defaults?.granularity;
  return Array.from({ length: rounds }, (_, i) => (graph: Graph) => {
    const sparsity = sparsityAt(options.sparsity, i + 1, rounds, plan.spacing);
    return pruneInRounds(gpu, graph, data, {
      ...asked,
      sparsity,
      // As within rounds without training: shares are those of the filters that there were at first.
      ...(granularity === "filter" && i + 1 < rounds && { keepShape: true }),
      ...(rounds > 1 && { rounds: 1 }),
      ...(plan.collect && { collect: plan.collect }),
    });
  });
}

/** One layer in every round, from front to back, as HRank and ThiNet are published. */
async function layerTurns(context: RecipeContext, plan: RetrainRounds): Promise<Turn[]> {
  const { gpu, graph, data } = context;
  const asked = { ...pruneOptionsOf(context), ...plan.prune, method: plan.method };
  const gather = gathering(gpu, data, asked, plan.collect ?? {});
  const turns = (await stagesOf(graph, asked)).map(
    (stage): Turn =>
      (seen) =>
        pruneStage(seen, asked, stage, gather),
  );
  // With nothing to remove there is one round, which removes nothing.
  return turns.length > 0 ? turns : roundTurns(context, { ...plan, rounds: 1 });
}

/** The graph with these values in place of its own, zero where its masks are. */
export function rewound(graph: Graph, values: ReadonlyMap<string, HostTensor>): Graph {
  const changed = new Map<string, HostTensor>();
  for (const [name, value] of values) {
    const mask = graph.masks.get(name);
    if (graph.weights.has(name)) changed.set(name, mask ? maskedBy(value, mask) : value);
  }
  return withWeights(graph, changed);
}
