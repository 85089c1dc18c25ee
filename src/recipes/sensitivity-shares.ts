import { subset } from "../data/split.ts";
import { type Graph, withWeights } from "../graph/graph.ts";
import { prune } from "../prune/prune.ts";
import { preprocessingOf } from "../run/preprocessing.ts";
import { makeValidator } from "../train/validator.ts";
import { recipeLayers } from "./masked-training.ts";
import type { RecipeContext } from "./recipe.ts";
import { pruneOptionsOf } from "./retrain.ts";

/** Accuracy of the net with one layer pruned, by the share that the layer has lost; ascending. */
export interface Curve {
  readonly layer: string;
  /** Weights of the layer. */
  readonly size: number;
  readonly points: readonly { readonly share: number; readonly top1: number }[];
}

/** Shares that each layer is tried at. */
const tried = [0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98];

/**
 * Prunes each layer alone at several shares and measures what is left of the accuracy, on the last `images` of the training
 * data. Compiles once: weights are written, not planned anew.
 */
export async function accuracyCurves(context: RecipeContext, images: number): Promise<Curve[]> {
  const { gpu, graph, data } = context;
  const layers = recipeLayers(context);
  const from = Math.max(0, data.length - images);
  const shown = subset(data, { from, to: data.length });
  const names = layers.map((l) => l.weight);
  const options = pruneOptionsOf(context);
  const validator = makeValidator(gpu, graph, names, preprocessingOf(graph, data), 100);
  const top1Of = async (g: Graph): Promise<number> => {
    const values = new Map(names.map((name) => [name, g.weights.get(name)!]));
    return (await validator.measure(values, shown)).top1;
  };
  try {
    const whole = await top1Of(graph);
    const curves: Curve[] = [];
    for (const { name, weight } of layers) {
      const points = [{ share: 0, top1: whole }];
      for (const share of tried) {
        const alone = await prune(graph, {
          method: "magnitude",
          ...(options.granularity !== undefined && { granularity: options.granularity }),
          sparsity: { [weight]: share },
        });
        // Only this layer differs.
        const one = withWeights(graph, new Map([[weight, alone.graph.weights.get(weight)!]]));
        points.push({ share, top1: await top1Of(one) });
      }
      curves.push({ layer: name, size: graph.weights.get(weight)!.data.length, points });
    }
    return curves;
  } finally {
    validator.dispose();
  }
}

/** The largest share at which a curve, taken as falling, has lost no more than `drop`; straight lines between its points. */
export function shareWithin({ points }: Curve, drop: number): number {
  const whole = points[0]!.top1;
  let worst = 0;
  for (let k = 1; k < points.length; k++) {
    const lost = Math.max(worst, whole - points[k]!.top1);
    if (lost > drop) {
      const { share } = points[k - 1]!;
      return share + ((points[k]!.share - share) * (drop - worst)) / (lost - worst);
    }
    worst = lost;
  }
  const last = points.at(-1)!.share;
  // Beyond what was tried the curve is taken to fall to nothing at a share of 1.
  return last + ((1 - last) * Math.min(1, drop - worst)) / Math.max(1e-9, 1 - worst);
}

/** One share per layer such that all lose the same accuracy, each alone, and the whole net loses the share `sparsity`. */
export function equalDrops(curves: readonly Curve[], sparsity: number): Record<string, number> {
  const total = curves.reduce((n, c) => n + c.size, 0);
  const removed = (drop: number): number =>
    curves.reduce((n, c) => n + c.size * shareWithin(c, drop), 0) / total;
  const free = removed(0);
  if (free >= sparsity) {
    // More than is asked for costs nothing: everyone takes the same part of what it bears.
    return Object.fromEntries(curves.map((c) => [c.layer, (shareWithin(c, 0) * sparsity) / free]));
  }
  let [low, high] = [0, 1];
  for (let k = 0; k < 60; k++) {
    const middle = (low + high) / 2;
    if (removed(middle) < sparsity) low = middle;
    else high = middle;
  }
  return Object.fromEntries(curves.map((c) => [c.layer, Math.min(0.9999, shareWithin(c, high))]));
}

/** Shares by a scan of the net at hand; a list that was given is left as it is. */
export async function sensitivityShares(
  context: RecipeContext,
  images: number,
): Promise<number | Readonly<Record<string, number>> | undefined> {
  const { sparsity } = context.options;
  if (typeof sparsity !== "number") return sparsity;
  return equalDrops(await accuracyCurves(context, images), sparsity);
}
