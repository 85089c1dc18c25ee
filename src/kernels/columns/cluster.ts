import { popcount } from "./bits.ts";
import { oncePerMatrix } from "./known.ts";
import { blocksPerGroup, type WeightMatrix } from "./pack.ts";
import type { ColumnsProblem } from "./problem.ts";

/**
 * An order of the rows of W, within each group, that brings rows with like patterns into the same block of R, so that an
 * unstructured mask runs as R x 1 blocks with few explicit zeros: the order of output channels is free. Greedy: the longest
 * row left starts a block, then whichever row adds the fewest columns to it joins (of equals the longer one, which saves
 * most). Deterministic. O(rows^2 k / 32).
 */
export function clusterRows(p: ColumnsProblem, w: WeightMatrix, r: number): Uint32Array {
  const words = Math.ceil(w.k / 32);
  const bits = new Uint32Array(w.rows * words);
  const counts = new Uint32Array(w.rows);
  for (let m = 0; m < w.rows; m++) {
    for (let k = 0; k < w.k; k++) {
      if (w.values[m * w.k + k] === 0) continue;
      bits[m * words + (k >> 5)]! |= 1 << (k & 31);
      counts[m]!++;
    }
  }
  const order: number[] = [];
  for (let group = 0; group < p.groups; group++) {
    const first = group * p.rowsPerGroup;
    const left = Array.from({ length: p.rowsPerGroup }, (_, i) => first + i).sort(
      (a, b) => counts[b]! - counts[a]! || a - b,
    );
    for (let b = 0; b < blocksPerGroup(p, r); b++) {
      const seed = left.shift()!;
      const union = bits.slice(seed * words, (seed + 1) * words);
      order.push(seed);
      for (let i = 1; i < r && left.length > 0; i++) {
        const at = cheapest(left, union, bits, words);
        const [row] = left.splice(at, 1);
        order.push(row!);
        for (let j = 0; j < words; j++) union[j]! |= bits[row! * words + j]!;
      }
    }
  }
  return Uint32Array.from(order);
}

/** Position in `left` of the row that adds the fewest columns to `union`; the first of equals. */
function cheapest(left: readonly number[], union: Uint32Array, bits: Uint32Array, words: number): number {
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  for (const [i, row] of left.entries()) {
    let added = 0;
    for (let j = 0; j < words && added < least; j++) added += popcount(bits[row * words + j]! & ~union[j]!);
    if (added < least) {
      least = added;
      best = i;
    }
  }
  return best;
}

/** `clusterRows`, worked out once per matrix and R. */
export const rowClusters = oncePerMatrix(clusterRows);
