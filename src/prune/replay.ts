import { PruneError } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { compact } from "./compact.ts";
import type { Evidence } from "./evidence.ts";
import { fixedSparsity, parseGranularity } from "./granularity.ts";
import { graphHash } from "./hash.ts";
import type { PruneOptions } from "./options.ts";
import { prune } from "./prune.ts";
import type { PruneRecord, RecordedOptions, RecordStep } from "./record.ts";

/**
 * Does everything a record says again, on the model it was made from; the result has the same bytes. Throws E_PRUNE when the
 * model is another one, when a step trained (its result is not derivable from the record), or when the outcome differs.
 * Methods that need evidence get it from `evidence`.
 */
export async function replay(record: PruneRecord, graph: Graph, evidence?: Evidence): Promise<Graph> {
  let current = graph;
  for (const [i, step] of record.steps.entries()) {
    const what = `step ${i + 1} of ${record.steps.length} (${step.kind})`;
    if (step.kind === "train") {
      throw new PruneError(
        `${what} changed weights by training, which a record does not hold. Load the trained model instead.`,
      );
    }
    const hash = await graphHash(current);
    if (hash !== step.before) {
      throw new PruneError(
        `${what} was made from a model with hash ${step.before.slice(0, 12)}…, but this one has ${hash.slice(0, 12)}…. ` +
          "Replay the record on the model it was made from.",
      );
    }
    current = await again(step, current, evidence);
    const after = await graphHash(current);
    if (after !== step.after) {
      throw new PruneError(
        `${what} gave a model with hash ${after.slice(0, 12)}… where the record says ${step.after.slice(0, 12)}…. ` +
          "The record was changed, or was written by another version.",
      );
    }
  }
  return current;
}

async function again(
  step: Exclude<RecordStep, { kind: "train" }>,
  graph: Graph,
  evidence?: Evidence,
): Promise<Graph> {
  if (step.kind === "prune") return (await prune(graph, { ...optionsOf(step.options), evidence })).graph;
  return (await compact(graph, { inputShapes: shapesOf(step.inputShapes) })).graph;
}

type Shapes = RecordedOptions["inputShapes"];

// Null prototypes: names come from a file.
const shapesOf = (shapes: Shapes): Record<string, readonly number[]> | undefined => {
  if (!shapes) return undefined;
  const result: Record<string, readonly number[]> = Object.create(null);
  for (const { input, shape } of shapes) result[input] = shape;
  return result;
};

function optionsOf(options: RecordedOptions): PruneOptions {
  const { sparsity, roundTo, rounding, keepShape, inputShapes, scope, allocation, ...given } = options;
  // What a method does by itself unless told, the record says.
  const rest = { ...given, recover: given.recover ?? ("none" as const) };
  if (fixedSparsity(parseGranularity(options.granularity)) !== undefined) {
    return { ...rest, inputShapes: shapesOf(inputShapes) };
  }
  let shares: PruneOptions["sparsity"];
  if (typeof sparsity === "number") shares = sparsity;
  else {
    const byLayer: Record<string, number> = Object.create(null);
    for (const { layer, sparsity: share } of sparsity) byLayer[layer] = share;
    shares = byLayer;
  }
  const filter = options.granularity === "filter" ? { roundTo, rounding, keepShape } : {};
  const spread = allocation === undefined ? { scope } : { allocation };
  return { ...rest, ...filter, ...spread, sparsity: shares, inputShapes: shapesOf(inputShapes) };
}
