import { getNumber } from "../../tensor/host-tensor.ts";
import { evidenceOf } from "../evidence.ts";
import { unitSums } from "../layers.ts";
import type { Method } from "./method.ts";

/** Connection sensitivity: how much the loss changes, to first order, when a weight is taken away, |gradient · w|. */
export const snip: Method = {
  name: "snip",
  kind: "data",
  granularities: ["element", "block", "n:m"],
  reference: "Lee et al. 2019 (SNIP), arXiv 1810.02340, equations 5 and 6",
  needs: ["gradients"],
  score({ layer, weight, granularity, evidence }) {
    const gradient = evidenceOf(evidence, "gradients", layer.weight, weight.data.length);
    return unitSums(layer, granularity, (i) => Math.abs(gradient[i]! * getNumber(weight.data, i)));
  },
};
