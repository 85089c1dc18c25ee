import { PruneError } from "../../errors.ts";
import type { Contributions } from "../channel-readers.ts";
import { scoresByReaders } from "../channel-readers.ts";
import type { Method } from "./method.ts";

/**
 * Channels whose removal changes the outputs of the layers that read them least: greedily, the set T with the smallest mean over
 * positions of (Σ over T of the channel's contribution)² grows by one channel at a time. The score is the order in which they go; what
 * the readers keep is then fitted anew by least squares.
 */
export const thinet: Method = {
  name: "thinet",
  kind: "data",
  granularities: ["filter"],
  reference: "Luo et al. 2017 (ThiNet), arXiv 1707.06342, equations 6 and 7, algorithm 1",
  needs: ["inputMoments", "inputMeans"],
  defaults: { granularity: "filter", recover: "least-squares" },
  comparable: true,
  refuses: ({ layer, channels }) =>
    channels?.readers.length ? undefined : `no layer that is not skipped reads what "${layer.name}" makes`,
  score: ({ graph, channels, evidence }) => byOrder(graph, channels!.readers, channels!.classes, evidence),
};

/** Rank of every class in the greedy order, from 1/n for the first to go to 1. */
export function greedyOrder({ classes, gram }: Contributions): Float64Array {
  const n = classes.length;
  const scores = new Float64Array(n);
  // With what T holds already, and by itself.
  const cross = new Float64Array(n);
  for (let step = 1; step <= n; step++) {
    let best = -1;
    let least = Number.POSITIVE_INFINITY;
    for (let c = 0; c < n; c++) {
      const change = 2 * cross[c]! + gram[c * n + c]!;
      if (scores[c] === 0 && change < least) [best, least] = [c, change];
    }
    if (best < 0)
      throw new PruneError(
        "the contributions of a channel are not numbers; weights or evidence contain NaN. Repair the model.",
      );
    scores[best] = step / n;
    for (let c = 0; c < n; c++) cross[c]! += gram[best * n + c]!;
  }
  return scores;
}

const byOrder = scoresByReaders(greedyOrder);
