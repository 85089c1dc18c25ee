import { meanSlope } from "./reduce-gradients.ts";
import { globalPool } from "./support/global-pool.ts";

/** Mean over all spatial positions; NaN where there are none. */
export const globalAveragePool = globalPool(
  "GlobalAveragePool",
  (x, from, to) => {
    let sum = 0;
    for (let i = from; i < to; i++) sum += x[i]!;
    return sum / (to - from);
  },
  meanSlope,
);
