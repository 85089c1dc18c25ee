import { unitCount } from "../layers.ts";
import type { Method } from "./method.ts";

/** The baseline that every cleverer method has to beat: a seeded draw, blind to the weights. */
export const random: Method = {
  name: "random",
  kind: "baseline",
  granularities: ["element", "block", "n:m", "filter"],
  reference: "baseline recommended by Blalock et al. 2020, arXiv 2003.03033",
  needs: [],
  score: ({ layer, granularity, random: stream }) =>
    new Float64Array(unitCount(layer, granularity)).map(() => stream.uniform()),
};
