import { getNumber } from "../../tensor/host-tensor.ts";
import { evidenceOf } from "../evidence.ts";
import { unitSums } from "../layers.ts";
import type { Method } from "./method.ts";

/** Below any difference between two mean ranks: over a million images of a thousand ranks are 1e-9. */
const tieBreak = 1e-10;

/**
 * Filters whose feature maps have a low rank carry little: the mean rank over images, as a share of the full rank, so that layers with
 * maps of different sizes compare. Filters of equal rank (small maps have few ranks) go by their L1 norm.
 */
export const hrank: Method = {
  name: "hrank",
  kind: "data",
  granularities: ["filter"],
  reference: "Lin et al. 2020 (HRank), arXiv 2002.10179, equations 4 and 5",
  needs: ["featureRanks"],
  defaults: { granularity: "filter", images: 640, rounding: "removed" },
  comparable: true,
  score({ layer, weight, granularity, evidence }) {
    const ranks = evidenceOf(evidence, "featureRanks", layer.weight, layer.rows);
    const norms = unitSums(layer, granularity, (i) => Math.abs(getNumber(weight.data, i)));
    const largest = Math.max(...norms, Number.MIN_VALUE);
    return norms.map((norm, row) => ranks[row]! + (tieBreak * norm) / largest);
  },
};
