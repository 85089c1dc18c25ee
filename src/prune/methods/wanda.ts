import { getNumber } from "../../tensor/host-tensor.ts";
import { evidenceOf } from "../evidence.ts";
import { forEachCell, unitSums } from "../layers.ts";
import type { Method } from "./method.ts";

/** |w| times the norm of the inputs that it is multiplied by, compared inside each row: no gradient, no update. */
export const wanda: Method = {
  name: "wanda",
  kind: "data",
  granularities: ["element", "block", "n:m"],
  reference: "Sun et al. 2023 (Wanda), arXiv 2306.11695, equation 1",
  needs: ["inputNorms"],
  defaults: { scope: "row", images: 128 },
  score({ layer, weight, granularity, evidence }) {
    const groups = (evidence.inputNorms?.get(layer.weight)?.data.length ?? 0) / layer.cols;
    const norms = evidenceOf(evidence, "inputNorms", layer.weight, Math.max(1, groups) * layer.cols);
    const scores = new Float64Array(layer.rows * layer.cols);
    forEachCell(layer, (i, row, column) => {
      const group = Math.floor((row * groups) / layer.rows);
      scores[i] = Math.abs(getNumber(weight.data, i)) * norms[group * layer.cols + column]!;
    });
    return unitSums(layer, granularity, (i) => scores[i]!);
  },
};
