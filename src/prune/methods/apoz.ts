import { evidenceOf } from "../evidence.ts";
import type { Method } from "./method.ts";

/** Filters whose outputs are mostly zero (average percentage of zeros) do little: the share of outputs that are not zero. */
export const apoz: Method = {
  name: "apoz",
  kind: "data",
  granularities: ["filter"],
  reference: "Hu et al. 2016 (Network Trimming), arXiv 1607.03250, equation 1",
  needs: ["zeroShares"],
  defaults: { granularity: "filter", images: 512 },
  comparable: true,
  score: ({ layer, evidence }) =>
    Float64Array.from(evidenceOf(evidence, "zeroShares", layer.weight, layer.rows), (share) => 1 - share),
};
