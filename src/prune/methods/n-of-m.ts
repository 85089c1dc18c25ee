import { magnitude } from "./magnitude.ts";
import type { Method } from "./method.ts";

/** The N largest of every M weights in a row stay (2:4 unless said), alone or in a pattern that several rows share. */
export const nOfM: Method = {
  ...magnitude,
  name: "n:m",
  granularities: ["n:m"],
  reference: "Mishra et al. 2021 (2:4), arXiv 2104.08378; Zhou et al. 2021 (N:M), arXiv 2102.04010",
  defaults: { granularity: "2:4" },
};
