import { PruneError } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { checkEvidence, type Evidence, type EvidenceKind } from "./evidence.ts";
import { parseGranularity } from "./granularity.ts";
import { graphHash } from "./hash.ts";
import { type PrunableLayer, prunableLayers } from "./layers.ts";
import { findMethod } from "./methods/index.ts";
import type { Method } from "./methods/method.ts";
import { checkNames, fillOptions, type PruneOptions } from "./options.ts";
import { pruneFilters } from "./prune-filters.ts";
import { pruneUnits } from "./prune-units.ts";
import { type PruneRecord, type PruneStep, withStep } from "./record.ts";
import { type Recovery, recover, recoveryNeeds } from "./recover.ts";
import { filterRecoveryNeeds } from "./recover-filters.ts";
import { emptyStructure } from "./structure.ts";
import { staticTypes } from "./types.ts";

export type { PruneOptions } from "./options.ts";

export interface Pruned {
  readonly graph: Graph;
  /** Everything done to the model so far, this step last; also in the graph's metadata. */
  readonly record: PruneRecord;
}

/**
 * Prunes a graph: scores by the method, a budget turns scores into zeros and masks (element, block, N:M) or removes whole
 * channels with everything coupled to them (filter). Decided on the host from weights, options and evidence alone, so the
 * same call gives the same bytes. A graph that is already pruned may be pruned further: masked and zero units count as
 * removed and go first.
 *
 * Throws E_INPUT for options of the wrong kind and missing evidence, E_PRUNE for requests that this model cannot meet.
 */
export async function prune(graph: Graph, options: PruneOptions): Promise<Pruned> {
  const filled = fillOptions(options);
  const method = findMethod(filled.method);
  const granularity = parseGranularity(filled.granularity);
  const evidence = options.evidence ?? {};
  const needs = neededEvidence(method, filled.recover, filled.granularity);
  checkEvidence(method, needs, evidence);
  const types = staticTypes(graph, options.inputShapes);
  const layers = prunableLayers(graph, types);
  if (layers.length === 0) {
    throw new PruneError("the model has no weight to prune: no Conv, Gemm or MatMul with a constant weight.");
  }
  checkNames(filled, layers, graph);
  const before = await graphHash(graph);
  const result =
    granularity.kind === "filter"
      ? pruneFilters(graph, types, layers, method, filled, evidence)
      : {
          ...repaired(graph, layers, evidence, filled.recover, () =>
            pruneUnits(graph, types, layers, granularity, method, filled, evidence),
          ),
          structure: emptyStructure,
        };
  // What was cut must still fit together; this is the cheapest place to find out.
  staticTypes(result.graph, options.inputShapes);
  const step = {
    kind: "prune",
    options: filled,
    ...(evidence.source && { evidence: evidence.source }),
    before,
    after: await graphHash(result.graph),
    layers: result.layers,
    structure: result.structure,
    notes: result.notes,
  } as PruneStep;
  return withStep(result.graph, step);
}

/** The kinds of evidence that a method and a recovery look at, each once; of the method's own granularity unless said. */
export function neededEvidence(
  method: Method,
  recovery: Recovery | "none" | undefined,
  granularity = method.defaults?.granularity,
): EvidenceKind[] {
  const filter = granularity === "filter";
  const kind = recovery ?? (filter ? method.defaults?.recover : undefined) ?? "none";
  if (kind === "none") return [...method.needs];
  return [...new Set([...method.needs, ...(filter ? filterRecoveryNeeds : recoveryNeeds)[kind]])];
}

function repaired<T extends { readonly graph: Graph }>(
  before: Graph,
  layers: readonly PrunableLayer[],
  evidence: Evidence,
  kind: Recovery | undefined,
  run: () => T,
): T & { readonly notes: readonly string[] } {
  const result = run();
  return kind
    ? { ...result, ...recover(before, result.graph, layers, evidence, kind) }
    : { ...result, notes: [] };
}
