import { evidenceOf } from "../evidence.ts";
import type { Method } from "./method.ts";

/**
 * The best of many patterns of filters, searched by a particle filter whose weights are the misclassification rates of the net under
 * them. The search is made for one sparsity, inside each layer; gather the evidence for the one that is pruned to.
 */
export const particle: Method = {
  name: "particle",
  kind: "data",
  granularities: ["filter"],
  reference: "Anwar et al. 2017, arXiv 1512.08571, section 3",
  needs: ["particles"],
  defaults: { granularity: "filter", images: 128 },
  comparable: true,
  score: ({ layer, evidence }) =>
    Float64Array.from(evidenceOf(evidence, "particles", layer.weight, layer.rows)),
};
