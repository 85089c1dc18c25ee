import { getNumber } from "../../tensor/host-tensor.ts";
import { unitSums } from "../layers.ts";
import type { Method } from "./method.ts";

/**
 * Magnitude against a threshold of q times the layer's standard deviation: |w| / std compared over the whole net is one q for
 * all layers. A q for each layer is a share for each layer, see the recipe of this name.
 */
export const han: Method = {
  name: "han",
  kind: "weights",
  granularities: ["element", "block", "n:m"],
  reference: "Han et al. 2015, Learning both Weights and Connections, arXiv 1506.02626, section 3",
  needs: [],
  score({ layer, weight, granularity, graph }) {
    const deviation = deviationOf(weight.data, graph.masks.get(layer.weight)?.data) || 1;
    return unitSums(layer, granularity, (i) => Math.abs(getNumber(weight.data, i)) / deviation);
  },
};

type Numbers = Parameters<typeof getNumber>[0];

/** Standard deviation of the weights that are not masked. */
export function deviationOf(data: Numbers, mask: Numbers | undefined): number {
  let [sum, squares, count] = [0, 0, 0];
  for (let i = 0; i < data.length; i++) {
    if (mask && getNumber(mask, i) === 0) continue;
    const w = getNumber(data, i);
    sum += w;
    squares += w * w;
    count++;
  }
  if (count === 0) return 0;
  return Math.sqrt(Math.max(0, squares / count - (sum / count) ** 2));
}
