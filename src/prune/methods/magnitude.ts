import { getNumber } from "../../tensor/host-tensor.ts";
import { unitRows } from "../granularity.ts";
import { forEachElement, unitCount } from "../layers.ts";
import type { Method } from "./method.ts";

/** Small weights matter least: |w| for elements, the L1 or L2 norm for blocks and filters. */
export const magnitude: Method = {
  name: "magnitude",
  kind: "weights",
  granularities: ["element", "block", "n:m", "filter"],
  reference: "Han et al. 2015 (elements), arXiv 1506.02626; Li et al. 2017 (filter norms), arXiv 1608.08710",
  needs: [],
  score({ layer, weight, granularity, norm }) {
    const scores = new Float64Array(unitCount(layer, granularity));
    const { data } = weight;
    if (unitRows(granularity) === 1) {
      forEachElement(layer, granularity, (i, unit) => {
        scores[unit] = Math.abs(getNumber(data, i));
      });
    } else if (norm === "l1") {
      forEachElement(layer, granularity, (i, unit) => {
        scores[unit]! += Math.abs(getNumber(data, i));
      });
    } else {
      forEachElement(layer, granularity, (i, unit) => {
        scores[unit]! += getNumber(data, i) ** 2;
      });
      for (let unit = 0; unit < scores.length; unit++) scores[unit] = Math.sqrt(scores[unit]!);
    }
    return scores;
  },
};
