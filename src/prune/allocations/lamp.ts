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
    const order = Array.from(scores, (_, i) => i).filter(live);
    const negative = order.find((i) => scores[i]! < 0);
    if (negative !== undefined) {
      throw new PruneError(
        `allocation lamp needs scores from 0, but unit ${negative} scores ${scores[negative]}. Use allocation global, uniform or erk with this method.`,
      );
    }
    order.sort((a, b) => scores[a]! - scores[b]! || a - b);
    const result = new Float64Array(scores.length);
    let sum = 0;
    for (let k = order.length - 1; k >= 0; k--) {
      const square = scores[order[k]!]! ** 2;
      sum += square;
      result[order[k]!] = sum > 0 ? square / sum : 0;
    }
    return result;
  },
};
