import { PruneError } from "../../errors.ts";
import type { Allocation } from "./allocation.ts";

/**
 * Layer-adaptive magnitude: with a layer's scores in ascending order, the square of each over the sum of the squares from it to
 * the largest; then one threshold over all layers. The best unit of every layer scores 1, so no layer empties before all
 * others are down to one unit.
 */
export const lamp: Allocation = {
  name: "lamp",
  scope: "global",
  reference: "Lee et al. 2021, arXiv 2010.07611, equation 1",
  normalise(scores, live) {
    let count = 0;
    const sorted = new Float64Array(scores.length);
    for (let unit = 0; unit < scores.length; unit++) {
      if (!live(unit)) continue;
      const score = scores[unit]!;
      if (score < 0) {
        throw new PruneError(
          `allocation lamp needs scores from 0, but unit ${unit} scores ${score}. Use allocation global, uniform or erk with this method.`,
        );
      }
      sorted[count++] = score === 0 ? 0 : score; // −0 and 0 are one value
    }
    const ascending = sorted.subarray(0, count).sort();
    // Sums of squares from each place to the end.
    const sums = new Float64Array(count);
    for (let k = count - 1, sum = 0; k >= 0; k--) {
      sum += ascending[k]! ** 2;
      sums[k] = sum;
    }
    const result = new Float64Array(scores.length);
    // Equal scores take their places in the order of the units.
    const taken = new Uint32Array(count);
    for (let unit = 0; unit < scores.length; unit++) {
      if (!live(unit)) continue;
      const score = scores[unit]!;
      const first = firstOf(ascending, score);
      const place = first + taken[first]!++;
      result[unit] = sums[place]! > 0 ? score ** 2 / sums[place]! : 0;
    }
    return result;
  },
};

/** The first place of a value in an ascending list that holds it. */
function firstOf(ascending: Float64Array, value: number): number {
  let [low, high] = [0, ascending.length - 1];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ascending[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
