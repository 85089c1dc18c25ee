import type { EvidenceKind } from "../prune/evidence.ts";
import type { Collector } from "./collector.ts";
import { curvature, jacobian } from "./curvature.ts";
import { featureRanks, zeroShares } from "./features.ts";
import { gateGradients, gateRelevance } from "./gates.ts";
import { gradients } from "./gradients.ts";
import { hessianGradients } from "./hessian-gradients.ts";
import { inputMeans, inputMoments, inputNorms } from "./inputs.ts";
import { particles } from "./particles.ts";
import { synapticFlow } from "./synaptic-flow.ts";

/** Every collector, one per kind of evidence. */
export const collectors: readonly Collector[] = [
  gradients,
  curvature,
  jacobian,
  hessianGradients,
  synapticFlow,
  inputNorms,
  inputMeans,
  inputMoments,
  featureRanks,
  zeroShares,
  gateGradients,
  gateRelevance,
  particles,
];

export const findCollector = (kind: EvidenceKind): Collector | undefined =>
  collectors.find((c) => c.kind === kind);
