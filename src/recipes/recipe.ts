import type { Dataset } from "../data/dataset.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Graph } from "../graph/graph.ts";
import type { MethodFacts } from "../prune/methods/method.ts";
import type { PruneOptions } from "../prune/options.ts";
import type { PruneRecord } from "../prune/record.ts";
import type { TrainOptions, TrainResult } from "../train/options.ts";

/** A knob of one recipe, beside what all have in common. */
export interface Setting {
  readonly default: number;
  readonly what: string;
  /** Least and most value. */
  readonly range: readonly [number, number];
}

export interface RecipeOptions extends Omit<PruneOptions, "method" | "evidence"> {
  /** How to train; epochs are those of one round. */
  readonly train?: TrainOptions;
  /** Times that pruning and training alternate, for recipes that repeat. */
  readonly rounds?: number;
  /** Values of the recipe's own settings. */
  readonly settings?: Readonly<Record<string, number>>;
  readonly onRound?: (round: RoundResult) => void;
}

export interface RecipeContext {
  readonly gpu: Gpu;
  readonly graph: Graph;
  readonly data: Dataset;
  readonly options: RecipeOptions;
  /** The recipe's settings with defaults filled in and ranges checked. */
  readonly setting: (name: string) => number;
}

/** One round of pruning and training. */
export interface RoundResult {
  readonly round: number;
  readonly rounds: number;
  /** Share of the prunable weights that are zero after it. */
  readonly sparsity: number;
  readonly top1: number;
}

export interface RecipeResult {
  readonly graph: Graph;
  readonly record: PruneRecord;
  readonly rounds: readonly RoundResult[];
  /** Of the last training. */
  readonly training: TrainResult;
}

/** A method that trains: a loop over evidence, `prune` and `train`. One file each, like the methods that only score. */
export interface Recipe extends MethodFacts {
  readonly kind: "training";
  readonly settings: Readonly<Record<string, Setting>>;
  /** The scoring method within whose budget it prunes: what that cannot do is refused before anything is trained. */
  readonly budget: string;
  /** Options that it has no use for; giving one is an error. */
  readonly unread: readonly (keyof RecipeOptions)[];
  run(context: RecipeContext): Promise<RecipeResult>;
}
