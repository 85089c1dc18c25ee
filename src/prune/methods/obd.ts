import { getNumber } from "../../tensor/host-tensor.ts";
import { evidenceOf } from "../evidence.ts";
import { unitSums } from "../layers.ts";
import type { Method } from "./method.ts";

/** Optimal Brain Damage: the rise of the loss to second order when a weight is taken away from a minimum, h·w²/2. */
export const obd: Method = {
  name: "obd",
  kind: "data",
  granularities: ["element", "block", "n:m"],
  reference: "LeCun, Denker and Solla 1989, Optimal Brain Damage (NIPS 2), equation 5",
  needs: ["curvature"],
  defaults: { images: 64 },
  score({ layer, weight, granularity, evidence }) {
    const h = evidenceOf(evidence, "curvature", layer.weight, weight.data.length);
    return unitSums(layer, granularity, (i) => (h[i]! * getNumber(weight.data, i) ** 2) / 2);
  },
};
