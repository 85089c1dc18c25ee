import type { Contributions } from "../channel-readers.ts";
import { scoresByReaders } from "../channel-readers.ts";
import type { Method } from "./method.ts";

/** The path of penalties: from the one that removes everything, in equal ratios, to this share of it. */
const leastPenalty = 1e-4;
const penalties = 200;
/** Sweeps of coordinate descent per penalty at most, and the change of a coefficient that ends them. */
const sweeps = 30;
const settled = 1e-9;

/**
 * Channels by LASSO: a coefficient β per channel of a reader, ½ · the mean over positions of (y - Σ β · contribution)² + λ · Σ |β|.
 * A channel's score is the penalty at which its β becomes zero, as a share of the one that removes all; what the readers keep is
 * then fitted anew by least squares.
 */
export const channelLasso: Method = {
  name: "channel-lasso",
  kind: "data",
  granularities: ["filter"],
  reference: "He et al. 2017 (channel pruning), arXiv 1707.06168, equations 1 to 4",
  needs: ["inputMoments", "inputMeans"],
  defaults: { granularity: "filter", recover: "least-squares" },
  refuses: ({ layer, channels }) =>
    channels?.readers.length ? undefined : `no layer that is not skipped reads what "${layer.name}" makes`,
  score: ({ graph, channels, evidence }) => byPath(graph, channels!.readers, channels!.classes, evidence),
};

/**
 * Per channel the largest penalty of the path with β ≠ 0, made finer by the channel's correlation with what was left to explain one
 * step before (where exactly it enters, if no other does in between). Coordinate descent, each penalty from the last one's result.
 */
export function entryPenalties({ classes, gram }: Contributions): Float64Array {
  const n = classes.length;
  const beta = new Float64Array(n);
  // Correlation of every channel with the residual: G (1 - β).
  const left = new Float64Array(n);
  for (let a = 0; a < n; a++) for (let b = 0; b < n; b++) left[a]! += gram[a * n + b]!;
  const largest = left.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  const scores = new Float64Array(n);
  if (largest === 0) return scores;
  const entered = new Uint8Array(n);
  let above = largest;
  for (let step = 1; step <= penalties; step++) {
    const penalty = largest * leastPenalty ** (step / penalties);
    const before = left.slice();
    descend(gram, beta, left, penalty);
    for (let c = 0; c < n; c++) {
      if (entered[c] === 1 || beta[c] === 0) continue;
      entered[c] = 1;
      scores[c] = Math.max(penalty, Math.min(above, Math.abs(before[c]!))) / largest;
    }
    above = penalty;
  }
  for (let c = 0; c < n; c++) {
    if (entered[c] === 0) scores[c] = Math.min(above, Math.abs(left[c]!)) / largest;
  }
  return scores;
}

/** Coordinate descent for one penalty; keeps `left` = G (1 - β). */
function descend(gram: Float64Array, beta: Float64Array, left: Float64Array, penalty: number): void {
  const n = beta.length;
  for (let sweep = 0; sweep < sweeps; sweep++) {
    let moved = 0;
    for (let c = 0; c < n; c++) {
      const own = gram[c * n + c]!;
      if (!(own > 0)) continue;
      const pull = left[c]! + own * beta[c]!;
      const next = (Math.sign(pull) * Math.max(0, Math.abs(pull) - penalty)) / own;
      const change = next - beta[c]!;
      if (change === 0) continue;
      beta[c] = next;
      for (let k = 0; k < n; k++) left[k]! -= change * gram[k * n + c]!;
      moved = Math.max(moved, Math.abs(change));
    }
    if (moved < settled) return;
  }
}

const byPath = scoresByReaders(entryPenalties);
