import { sensitivity } from "../sensitivity/scan.ts";
import type { RecipeContext } from "./recipe.ts";

/** Accuracy of the net with one layer pruned, by the share that the layer has lost; ascending, from share 0 on. */
export interface DropCurve {
  readonly layer: string;
  /** Weights of the layer. */
  readonly size: number;
  readonly points: readonly { readonly share: number; readonly top1: number }[];
}

/** Shares that each layer is tried at. */
const tried = [0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98];

/** The largest share at which a curve, taken as falling, has lost no more than `drop`; straight lines between its points. */
export function shareWithin({ points }: DropCurve, drop: number): number {
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
export function equalDrops(curves: readonly DropCurve[], sparsity: number): Record<string, number> {
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
  { gpu, graph, data, options }: RecipeContext,
  images: number,
): Promise<number | Readonly<Record<string, number>> | undefined> {
  const { sparsity, granularity, skip } = options;
  if (typeof sparsity !== "number") return sparsity;
  const { dense, layers } = await sensitivity(gpu, graph, data, {
    shares: tried,
    images,
    ...(granularity !== undefined && { granularity }),
    ...(skip && { skip }),
    ...(options.train?.preprocessing && { preprocessing: options.train.preprocessing }),
  });
  const curves = layers.map(({ layer, size, points }) => ({
    layer,
    size,
    points: [{ share: 0, top1: dense.top1 }, ...points],
  }));
  return equalDrops(curves, sparsity);
}
