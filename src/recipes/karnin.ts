import { prune } from "../prune/prune.ts";
import { getNumber, type HostTensor } from "../tensor/host-tensor.ts";
import type { Masking } from "../train/masking.ts";
import { train } from "../train/train.ts";
import { recipeLayers, recorded, sparsityOf, trainMasked, trainOptions } from "./masked-training.ts";
import type { Recipe } from "./recipe.ts";
import { pruneOptionsOf, wantedSparsity } from "./retrain.ts";

/**
 * Karnin's procedure: trains the net and sums up on the way, for every weight, gradient times step; what that says about the
 * rise of the loss between a weight's beginning and its end is stretched to the whole way down to zero. Nearly free. Then
 * prunes, and trains on.
 */
export const karninRecipe: Recipe = {
  name: "karnin",
  kind: "training",
  granularities: ["element", "block", "n:m"],
  reference:
    "Karnin 1990, A Simple Procedure for Pruning Back-Propagation Trained Neural Networks, IEEE TNN 1(2)",
  settings: { retrain: { default: 1, what: "1 trains on after pruning", range: [0, 1] } },
  budget: "karnin",
  unread: ["norm", "rounds"],
  async run(context) {
    const { gpu, graph, data, options } = context;
    if (options.granularity === undefined || !options.granularity.includes(":"))
      wantedSparsity(context, "karnin");
    const { masking, sensitivity } = karninMasking(context);
    // The sum belongs to the weights of the last step.
    const first = await trainMasked(context, graph, masking, { track: ["work"], validation: 0 });
    const evidence = { shadowSensitivity: sensitivity() };
    const pruned = await prune(first.graph, { ...pruneOptionsOf(context), method: "karnin", evidence });
    const layers = recipeLayers(context);
    const report = (round: number, top1: number, g: typeof graph) => {
      const result = { round, rounds: 2, sparsity: sparsityOf(g, layers), top1 };
      options.onRound?.(result);
      return result;
    };
    const rounds = [report(1, first.best.top1, pruned.graph)];
    if (context.setting("retrain") < 0.5)
      return { graph: pruned.graph, record: pruned.record, rounds, training: first };
    const again = await train(gpu, pruned.graph, data, { fineTune: true, ...trainOptions(context) });
    const { graph: result, record } = await recorded(pruned.graph, again, "karnin", {}, options.seed);
    rounds.push(report(2, again.best.top1, result));
    return { graph: result, record, rounds, training: again };
  },
};

/**
 * Collects Karnin's sensitivity over a training: -(sum of g · Δw) · w_end / (w_end - w_begin); 0 for weights that did not
 * move.
 */
export function karninMasking(context: Parameters<Recipe["run"]>[0]): {
  readonly masking: Masking;
  /** After the training. */
  readonly sensitivity: () => ReadonlyMap<string, HostTensor>;
} {
  const layers = recipeLayers(context);
  const found = new Map<string, HostTensor>();
  const masking: Masking = {
    name: "karnin",
    settings: {},
    weights: layers.map((l) => l.weight),
    settles: () => -1,
    before: () => undefined,
    async after(trainer) {
      for (const { weight, shape } of layers) {
        const work = await trainer.tracked(weight, "work");
        const end = await trainer.dense(weight);
        const begin = context.graph.weights.get(weight)!;
        const data = Float64Array.from({ length: end.data.length }, (_, i) => {
          const [w, start] = [getNumber(end.data, i), getNumber(begin.data, i)];
          return w === start ? 0 : (-getNumber(work.data, i) * w) / (w - start);
        });
        found.set(weight, { dtype: "f64", shape, data });
      }
    },
  };
  return { masking, sensitivity: () => found };
}
