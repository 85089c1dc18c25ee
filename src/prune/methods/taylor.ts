import { evidenceOf } from "../evidence.ts";
import type { Method } from "./method.ts";

/**
 * How much the loss changes, to first order, when a filter's output is taken away: the square of the derivative by a gate on it,
 * mean over batches. The square is taken batch by batch, so the size of the batches of evidence matters.
 */
export const taylor: Method = {
  name: "taylor",
  kind: "data",
  granularities: ["filter"],
  reference: "Molchanov et al. 2019 (Taylor-FO), arXiv 1906.10771, equation 8 with gates",
  needs: ["gateGradients"],
  defaults: { granularity: "filter", scope: "global", images: 512 },
  comparable: true,
  score({ layer, evidence }) {
    const { rows } = layer;
    const batches = Math.max(1, (evidence.gateGradients?.get(layer.weight)?.data.length ?? 0) / rows);
    const gradients = evidenceOf(evidence, "gateGradients", layer.weight, batches * rows);
    const scores = new Float64Array(rows);
    for (const [i, g] of gradients.entries()) scores[i % rows]! += g ** 2 / batches;
    return scores;
  },
};
