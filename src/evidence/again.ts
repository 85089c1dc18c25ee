import type { Dataset } from "../data/dataset.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Preprocessing } from "../graph/metadata.ts";
import { findMethod } from "../prune/methods/index.ts";
import { neededEvidence } from "../prune/prune.ts";
import type { EvidenceFor } from "../prune/replay.ts";
import { collectEvidence } from "./collect.ts";

/**
 * For `replay`: gathers the evidence of every step of a record as it was gathered then, from what the step says of its source. The
 * adapter and driver have to be the same for the same bits; where they are not, `replay` finds out by the step's hash.
 */
export const evidenceAgain =
  (gpu: Gpu, data: Dataset | undefined, preprocessing?: Preprocessing): EvidenceFor =>
  async ({ options, evidence }, graph) => {
    if (!evidence) return {};
    const { images, batch, seed, norms, sparsity, rounds } = evidence;
    const needs = neededEvidence(findMethod(options.method), options.recover, options.granularity);
    return collectEvidence(gpu, graph, data, needs, {
      seed,
      norms,
      skip: options.skip,
      ...(options.granularity === "filter" && {
        budget: { scope: options.scope, roundTo: options.roundTo, rounding: options.rounding },
      }),
      ...(images > 0 && { images, batch }),
      ...(sparsity !== undefined && { sparsity }),
      ...(rounds !== undefined && { rounds }),
      ...(preprocessing && { preprocessing }),
    });
  };
