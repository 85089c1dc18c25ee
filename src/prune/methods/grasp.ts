import { getNumber } from "../../tensor/host-tensor.ts";
import { evidenceOf } from "../evidence.ts";
import { unitSums } from "../layers.ts";
import type { Method } from "./method.ts";

/**
 * Gradient signal preservation: taking a weight away changes the squared norm of the gradient by about -w·(H·g) (twice that);
 * those whose removal lowers it most are kept.
 */
export const grasp: Method = {
  name: "grasp",
  kind: "data",
  granularities: ["element", "block", "n:m"],
  reference: "Wang, Zhang and Grosse 2020 (GraSP), arXiv 2002.07376, equation 8",
  needs: ["hessianGradients"],
  score({ layer, weight, granularity, evidence }) {
    const hg = evidenceOf(evidence, "hessianGradients", layer.weight, weight.data.length);
    return unitSums(layer, granularity, (i) => hg[i]! * getNumber(weight.data, i));
  },
};
