import { evidenceOf } from "../evidence.ts";
import type { Method } from "./method.ts";

/**
 * Synaptic flow: |w| times how much the flow through the net of absolute weights depends on it. Needs no data. Gathered in
 * rounds for the sparsity in question, since what goes changes the flow of what stays; that is why no layer ever empties.
 */
export const synflow: Method = {
  name: "synflow",
  kind: "data",
  granularities: ["element"],
  reference: "Tanaka et al. 2020 (SynFlow), arXiv 2006.05467, algorithm 1",
  needs: ["synapticFlow"],
  score({ layer, weight, evidence }) {
    return Float64Array.from(evidenceOf(evidence, "synapticFlow", layer.weight, weight.data.length));
  },
};
