import { leastFloat } from "./max-pool.ts";
import { extremumSlope } from "./reduce-gradients.ts";
import { globalPool } from "./support/global-pool.ts";

/** Maximum over all spatial positions; the least finite f32 where there are none. */
export const globalMaxPool = globalPool(
  "GlobalMaxPool",
  (x, from, to) => {
    let best = leastFloat;
    for (let i = from; i < to; i++) if (x[i]! > best) best = x[i]!;
    return best;
  },
  extremumSlope,
);
