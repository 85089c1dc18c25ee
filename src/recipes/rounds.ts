import type { Dataset } from "../data/dataset.ts";
import { PruneError } from "../errors.ts";
import { type CollectOptions, collectEvidence } from "../evidence/collect.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Graph } from "../graph/graph.ts";
import type { Evidence } from "../prune/evidence.ts";
import { fixedSparsity, parseGranularity } from "../prune/granularity.ts";
import { findMethod } from "../prune/methods/index.ts";
import { neededEvidence, type Pruned, type PruneOptions, prune } from "../prune/prune.ts";
import { wholeNumber } from "../tensor/shape.ts";
import { pruneLayerByLayer } from "./layer-by-layer.ts";

/** How sparsity rises from round to round: by equal numbers of weights, or by equal shares of those that are left. */
export type Spacing = "linear" | "geometric";

export interface RoundsOptions extends Omit<PruneOptions, "evidence"> {
  /** Times that evidence is gathered and pruned by; what the method is published with, else 1. */
  readonly rounds?: number;
  /** "linear" unless said. */
  readonly spacing?: Spacing;
  /** One layer after the other, front to back, by evidence on the net so far; what the method is published with, else not. */
  readonly layerByLayer?: boolean;
  /** How evidence is gathered. */
  readonly collect?: CollectOptions;
  readonly onRound?: (round: number, rounds: number) => void;
}

/** The share to remove by round `k` of `n`, for a share `s` in the end. */
export const shareAt = (s: number, k: number, n: number, spacing: Spacing): number =>
  k === n ? s : spacing === "linear" ? (s * k) / n : 1 - (1 - s) ** (k / n);

/** Every share of a request as it should be after round `k` of `n`. */
export function sparsityAt(
  sparsity: PruneOptions["sparsity"],
  k: number,
  n: number,
  spacing: Spacing,
): PruneOptions["sparsity"] {
  if (typeof sparsity !== "object") return sparsity && shareAt(sparsity, k, n, spacing);
  return Object.fromEntries(Object.entries(sparsity).map(([name, s]) => [name, shareAt(s, k, n, spacing)]));
}

/**
 * Gathers evidence and prunes, in several rounds where asked: each looks at the net as the last has left it. Without
 * training; every round is a step of the record, or every layer of it where the method goes layer by layer. `data` may be undefined for methods that look at no images.
 */
export async function pruneInRounds(
  gpu: Gpu,
  graph: Graph,
  data: Dataset | undefined,
  options: RoundsOptions,
): Promise<Pruned> {
  const { rounds: wanted, spacing = "linear", layerByLayer, collect = {}, onRound, ...asked } = options;
  const method = findMethod(asked.method);
  const granularity = parseGranularity(asked.granularity ?? method.defaults?.granularity ?? "element");
  const fixed = fixedSparsity(granularity) !== undefined;
  if (fixed && (wanted ?? 1) > 1) {
    throw new PruneError(
      `granularity ${asked.granularity} has one sparsity, so there is nothing to reach it in ${wanted} rounds. Leave rounds out.`,
    );
  }
  const rounds = wholeNumber(fixed ? 1 : (wanted ?? method.defaults?.rounds ?? 1), "rounds", 1, 10_000);
  let current: Pruned | undefined;
  for (let k = 1; k <= rounds; k++) {
    const sparsity = sparsityAt(asked.sparsity, k, rounds, spacing);
    const from = current?.graph ?? graph;
    const gather = gathering(gpu, data, { ...asked, sparsity }, collect);
    // Filters are only silenced before the last round: every share is one of the filters that there were at first.
    const silence = granularity.kind === "filter" && k < rounds && ({ keepShape: true } as const);
    if (layerByLayer ?? method.layerByLayer) {
      current = await pruneLayerByLayer(from, { ...asked, sparsity, ...silence }, gather);
      onRound?.(k, rounds);
      continue;
    }
    const evidence = await gather(from, asked.skip);
    current = await prune(from, { ...asked, sparsity, evidence, ...silence });
    onRound?.(k, rounds);
  }
  return current!;
}

/** How a request gathers what its method and its recovery look at. */
export function gathering(
  gpu: Gpu,
  data: Dataset | undefined,
  { method: name, recover, granularity, sparsity, seed, ...how }: Omit<PruneOptions, "evidence">,
  collect: CollectOptions,
): (graph: Graph, skip: readonly string[] | undefined) => Promise<Evidence> {
  const method = findMethod(name);
  const needs = neededEvidence(method, recover, granularity);
  const { scope, roundTo, rounding } = how;
  const budget = {
    ...(scope && { scope }),
    ...(roundTo !== undefined && { roundTo }),
    ...(rounding && { rounding }),
  };
  return (graph, skip) =>
    collectEvidence(gpu, graph, data, needs, {
      ...(method.defaults?.images !== undefined && { images: method.defaults.images }),
      ...(typeof sparsity === "number" && { sparsity }),
      ...(skip && { skip }),
      ...(seed !== undefined && { seed }),
      budget,
      ...collect,
    });
}
