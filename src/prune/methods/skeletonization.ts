import { evidenceOf } from "../evidence.ts";
import type { Method } from "./method.ts";

/**
 * Relevance of a unit: the error without it less the error with it, by the derivative of the error by an attentional gate of 1 on its
 * output. Units that add to the error go first.
 */
export const skeletonization: Method = {
  name: "skeletonization",
  kind: "data",
  granularities: ["filter"],
  reference: "Mozer and Smolensky 1988 (NIPS 1), section 3",
  needs: ["gateRelevance"],
  defaults: { granularity: "filter", scope: "global", images: 512 },
  comparable: true,
  score: ({ layer, evidence }) =>
    Float64Array.from(evidenceOf(evidence, "gateRelevance", layer.weight, layer.rows)),
};
