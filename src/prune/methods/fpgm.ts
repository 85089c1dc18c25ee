import { getNumber } from "../../tensor/host-tensor.ts";
import { forEachCell } from "../layers.ts";
import type { Method } from "./method.ts";

/** Filters near the geometric median of their layer can be stood in for by the others: the sum of distances to all of them. */
export const fpgm: Method = {
  name: "fpgm",
  kind: "weights",
  granularities: ["filter"],
  reference: "He et al. 2019 (FPGM), arXiv 1811.00250, equations 6 and 7",
  needs: [],
  defaults: { granularity: "filter" },
  score({ layer, weight }) {
    const { rows, cols } = layer;
    const filters = new Float64Array(rows * cols);
    forEachCell(layer, (i, row, column) => {
      filters[row * cols + column] = getNumber(weight.data, i);
    });
    const sums = new Float64Array(rows);
    for (let a = 0; a < rows; a++) {
      for (let b = a + 1; b < rows; b++) {
        let square = 0;
        for (let k = 0; k < cols; k++) square += (filters[a * cols + k]! - filters[b * cols + k]!) ** 2;
        sums[a]! += Math.sqrt(square);
        sums[b]! += Math.sqrt(square);
      }
    }
    return sums;
  },
};
