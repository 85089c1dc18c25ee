import type { EvidenceKind } from "../prune/evidence.ts";
import type { Collector } from "./collector.ts";
import { gradients } from "./gradients.ts";
import { inputMeans, inputMoments, inputNorms } from "./inputs.ts";

/** Every collector, one per kind of evidence. */
export const collectors: readonly Collector[] = [gradients, inputNorms, inputMeans, inputMoments];

export const findCollector = (kind: EvidenceKind): Collector | undefined =>
  collectors.find((c) => c.kind === kind);
