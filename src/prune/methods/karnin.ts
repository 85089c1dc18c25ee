import { evidenceOf } from "../evidence.ts";
import { unitSums } from "../layers.ts";
import type { Method } from "./method.ts";

/**
 * Karnin's sensitivity: the rise of the loss when a weight is taken back to zero, estimated from the path that training took.
 */
export const karnin: Method = {
  name: "karnin",
  kind: "data",
  granularities: ["element", "block", "n:m"],
  reference:
    "Karnin 1990, A Simple Procedure for Pruning Back-Propagation Trained Neural Networks, IEEE TNN 1(2)",
  needs: ["shadowSensitivity"],
  score({ layer, weight, granularity, evidence }) {
    const s = evidenceOf(evidence, "shadowSensitivity", layer.weight, weight.data.length);
    return unitSums(layer, granularity, (i) => s[i]!);
  },
};
