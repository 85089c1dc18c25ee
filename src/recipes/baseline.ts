import type { Graph } from "../graph/graph.ts";
import { nonzeros } from "../graph/statistics.ts";
import { fixedSparsity, parseGranularity } from "../prune/granularity.ts";
import { prunableLayers } from "../prune/layers.ts";
import { findMethod } from "../prune/methods/index.ts";
import { fillOptions, type PruneOptions } from "../prune/options.ts";
import { staticTypes } from "../prune/types.ts";
import { findRecipe } from "./index.ts";
import type { PruningOutcome, PruningRequest } from "./run.ts";

/** What any method should beat. */
export const plainMethods: readonly string[] = ["random", "magnitude"];

/**
 * A request by a plainer method that leaves as much as another did: the same granularity, scope, shares, rounds, repair and training;
 * only the choice is another. Where no share was asked for, each layer loses what it lost there. Throws what `prune` throws for options
 * that do not go together.
 */
export function baselineOf(
  request: PruningRequest,
  method: string,
  before: Graph,
  outcome: PruningOutcome,
): PruningRequest {
  const { settings: _, norm: __, ...rest } = request;
  const recipe = findRecipe(request.method);
  const facts = recipe ?? findMethod(request.method);
  const granularity = request.granularity ?? facts.defaults?.granularity ?? facts.granularities[0]!;
  const parsed = parseGranularity(granularity);
  const fixed = fixedSparsity(parsed) !== undefined;
  const sparsity = fixed ? undefined : (request.sparsity ?? sharesOf(before, outcome.graph));
  const filled = fillOptions({
    ...pruneOptionsIn(rest),
    method: recipe?.budget ?? request.method,
    granularity,
    ...(sparsity !== undefined && { sparsity }),
  });
  const scope =
    fixed || request.allocation !== undefined ? {} : { scope: filled.scope as PruneOptions["scope"] & {} };
  const rounds = request.layerByLayer ? undefined : (request.rounds ?? outcome.rounds.length);
  return {
    ...rest,
    method,
    granularity,
    ...(sparsity !== undefined && { sparsity }),
    ...scope,
    ...(parsed.kind === "filter" && { rounding: filled.rounding as "kept" | "removed" }),
    ...(filled.recover && { recover: filled.recover }),
    ...(rounds && !fixed && { rounds }),
  };
}

/** What of a request `prune` itself takes. */
function pruneOptionsIn(request: PruningRequest): PruneOptions {
  const { rounds: _, spacing: __, layerByLayer: ___, train: ____, scratch: _____, ...rest } = request;
  const { recalibrate: ______, settings: _______, collect: ________, onRound: _________, ...options } = rest;
  return options;
}

/** What every layer has lost. */
function sharesOf(before: Graph, after: Graph): Record<string, number> {
  const layers = prunableLayers(before, staticTypes(before));
  return Object.fromEntries(
    layers.map(({ weight, rows, cols }) => {
      const left = after.weights.get(weight);
      return [weight, Math.min(0.9999, 1 - (left ? nonzeros(left) : 0) / (rows * cols))];
    }),
  );
}
