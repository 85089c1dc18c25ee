import { PruneError } from "../errors.ts";
import { learnedNames } from "../graph/statistics.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import { train } from "../train/train.ts";
import { trainOptions } from "./masked-training.ts";
import type { Recipe, RecipeContext } from "./recipe.ts";
import { pruneAndRetrain, rewound, wantedSparsity } from "./retrain.ts";

/**
 * Lottery tickets: trains the net from the weights that it is given, prunes the smallest, sets the survivors back to what
 * they were at the beginning (or some epochs into the training), and again. The last ticket is trained at last.
 */
export const lottery: Recipe = {
  name: "lottery",
  kind: "training",
  granularities: ["element", "block"],
  reference:
    "Frankle and Carbin 2019, arXiv 1803.03635; late resetting: Frankle et al. 2019, arXiv 1903.01611",
  settings: {
    rewind: { default: 0, what: "epoch of the first training to go back to", range: [0, 10_000] },
    rate: {
      default: 0.2,
      what: "share of the remaining weights that each round removes",
      range: [0.01, 0.99],
    },
  },
  budget: "magnitude",
  unread: [],
  async run(context) {
    const wanted = wantedSparsity(context, "lottery");
    const rewind = context.setting("rewind");
    const { early, trained } = await firstTraining(context, rewind);
    const options = trainOptions(context);
    // What is trained again begins as far into the schedule as the weights are.
    const schedule =
      rewind > 0 && options.schedule
        ? { ...options.schedule, rewind: { unit: "epochs", value: rewind } as const }
        : options.schedule;
    const epochs = options.epochs === undefined ? undefined : Math.max(1, options.epochs - rewind);
    const again = { ...options, ...(schedule && { schedule }), ...(epochs && { epochs }) };
    return pruneAndRetrain(
      { ...context, graph: trained, options: { ...context.options, train: again } },
      "lottery",
      {
        method: "magnitude",
        rounds: context.options.rounds ?? roundsFor(wanted, context.setting("rate")),
        spacing: "geometric",
        train: { fineTune: false },
        settings: { rewind, rate: context.setting("rate") },
        prepare: (pruned) => rewound(pruned, early),
      },
    );
  },
};

/** Rounds that leave (1 - rate)^n of the weights, for at least the sparsity asked for. */
function roundsFor(sparsity: number | Readonly<Record<string, number>>, rate: number): number {
  const most = typeof sparsity === "number" ? sparsity : Math.max(0, ...Object.values(sparsity));
  return Math.max(1, Math.ceil(Math.log(1 - most) / Math.log(1 - rate) - 1e-9));
}

/** Trains the whole net, and keeps what its weights and statistics were after `epoch` epochs. */
async function firstTraining(
  context: RecipeContext,
  epoch: number,
): Promise<{
  readonly early: ReadonlyMap<string, HostTensor>;
  readonly trained: RecipeContext["graph"];
}> {
  const { gpu, graph, data } = context;
  const options = trainOptions(context);
  const statistics = graph.nodes
    .filter((node) => node.op === "BatchNormalization")
    .flatMap((node) => node.inputs.slice(3, 5));
  const names = [...learnedNames(graph), ...statistics];
  let early = new Map(epoch === 0 ? names.map((name) => [name, graph.weights.get(name)!]) : []);
  const result = await train(gpu, graph, data, {
    ...options,
    checkpointSeconds: Number.POSITIVE_INFINITY,
    onCheckpoint({ progress, snapshot }) {
      if (progress.epoch !== epoch || progress.step !== 0 || epoch === 0) return;
      early = new Map(names.map((name) => [name, snapshot.state.get(name) ?? graph.weights.get(name)!]));
    },
  });
  if (early.size === 0) {
    throw new PruneError(
      `lottery is to go back to epoch ${epoch}, but the training has only ${result.epochs.length}. Train longer, or lower the setting rewind.`,
    );
  }
  return { early, trained: result.graph };
}
