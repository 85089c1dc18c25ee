import { PruneError } from "../errors.ts";
import type { CollectOptions } from "../evidence/collect.ts";
import { type Graph, withWeights } from "../graph/graph.ts";
import { findMethod } from "../prune/methods/index.ts";
import type { PruneOptions } from "../prune/options.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import { wholeNumber } from "../tensor/shape.ts";
import type { TrainOptions, TrainResult } from "../train/options.ts";
import { train } from "../train/train.ts";
import { maskedBy, recipeLayers, recorded, sparsityOf, trainOptions } from "./masked-training.ts";
import type { RecipeContext, RecipeResult, RoundResult } from "./recipe.ts";
import { pruneInRounds, type Spacing, sparsityAt } from "./rounds.ts";

export interface RetrainRounds {
  /** Name of the method that scores. */
  readonly method: string;
  readonly rounds: number;
  readonly spacing: Spacing;
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

/** Prunes and trains in turn: every round removes more of the net that the last has trained. */
export async function pruneAndRetrain(
  context: RecipeContext,
  recipe: string,
  plan: RetrainRounds,
): Promise<RecipeResult> {
  const { gpu, data, options } = context;
  const rounds = wholeNumber(plan.rounds, "rounds", 1, 1000);
  const done: RoundResult[] = [];
  let graph = context.graph;
  let last: (TrainResult & { readonly record: RecipeResult["record"] }) | undefined;
  for (let k = 1; k <= rounds; k++) {
    const sparsity = sparsityAt(options.sparsity, k, rounds, plan.spacing);
    const asked = { ...pruneOptionsOf(context), ...plan.prune, method: plan.method };
    const granularity = asked.granularity ?? findMethod(plan.method).defaults?.granularity;
    const pruned = await pruneInRounds(gpu, graph, data, {
      ...asked,
      sparsity,
      // As within rounds without training: shares are those of the filters that there were at first.
      ...(granularity === "filter" && k < rounds && { keepShape: true }),
      ...(rounds > 1 && { rounds: 1 }),
      ...(plan.collect && { collect: plan.collect }),
    });
    const ready = plan.prepare?.(pruned.graph, graph) ?? pruned.graph;
    const trained = await train(gpu, ready, data, {
      fineTune: true,
      ...plan.train,
      ...trainOptions(context),
    });
    last = {
      ...trained,
      ...(await recorded(ready, trained, recipe, { ...plan.settings, round: k, rounds }, options.seed)),
    };
    graph = last.graph;
    const round = {
      round: k,
      rounds,
      sparsity: sparsityOf(graph, recipeLayers({ ...context, graph })),
      top1: last.best.top1,
    };
    done.push(round);
    options.onRound?.(round);
  }
  return { graph: last!.graph, record: last!.record, rounds: done, training: last! };
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
