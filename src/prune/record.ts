import * as v from "valibot";
import { PruneError, printable } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { maxNodes, withMetadata } from "../graph/graph.ts";
import { metadataKeys } from "../graph/metadata.ts";
import { applyStructure, type Structure } from "./structure.ts";

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const text = v.string();
const finite = v.pipe(v.number(), v.finite());
const hash = v.pipe(text, v.regex(/^[0-9a-f]{64}$/, "a SHA-256 in hex is needed"));
const share = v.pipe(v.number(), v.minValue(0), v.maxValue(1));
const list = <const S extends v.GenericSchema>(item: S) => v.pipe(v.array(item), v.maxLength(maxNodes));

const structureSchema = v.object({
  weights: list(
    v.object({ weight: text, axis: count, of: count, kept: v.pipe(v.array(count), v.maxLength(1 << 24)) }),
  ),
  attributes: list(
    v.object({
      node: text,
      name: text,
      value: v.union([finite, text, v.array(finite), v.array(text)]),
    }),
  ),
  constants: list(
    v.object({ node: text, input: count, values: v.array(v.pipe(v.number(), v.safeInteger())) }),
  ),
  biases: list(v.object({ node: text, input: count, weight: text, length: count })),
  gathers: v.optional(
    list(v.object({ node: text, axis: count, kept: v.pipe(v.array(count), v.maxLength(1 << 24)) })),
  ),
});

const layerSchema = v.object({ layer: text, weight: text, units: count, removed: count });

const optionsSchema = v.object({
  method: text,
  granularity: text,
  sparsity: v.union([share, list(v.object({ layer: text, sparsity: share }))]),
  scope: v.picklist(["global", "layer", "row"]),
  /** Where it says more than the scope does. */
  allocation: v.optional(text),
  seed: count,
  norm: v.picklist(["l1", "l2"]),
  skip: list(text),
  roundTo: count,
  rounding: v.picklist(["kept", "removed"]),
  keepShape: v.boolean(),
  recover: v.optional(v.picklist(["bias", "least-squares"])),
  inputShapes: v.optional(list(v.object({ input: text, shape: v.array(count) }))),
});

const evidenceSchema = v.object({
  data: v.optional(v.object({ name: text, images: count, hash })),
  images: count,
  batch: count,
  seed: count,
  norms: v.picklist(["batch", "running"]),
  sparsity: v.optional(share),
  rounds: v.optional(count),
  adapter: text,
});

const pruneSchema = v.object({
  kind: v.literal("prune"),
  options: optionsSchema,
  /** Where the method's evidence came from. */
  evidence: v.optional(evidenceSchema),
  before: hash,
  after: hash,
  layers: list(layerSchema),
  structure: structureSchema,
  notes: list(text),
});

const compactSchema = v.object({
  kind: v.literal("compact"),
  before: hash,
  after: hash,
  layers: list(layerSchema),
  structure: structureSchema,
  inputShapes: v.optional(list(v.object({ input: text, shape: v.array(count) }))),
});

/** Values changed, structure did not; what was done stands in `options`, in the words of whoever trained. */
const trainSchema = v.object({
  kind: v.literal("train"),
  options: v.record(text, v.unknown()),
  before: hash,
  after: hash,
});

const recordSchema = v.object({
  version: v.literal(1),
  steps: list(v.variant("kind", [pruneSchema, compactSchema, trainSchema])),
});

/** What was done to a model, oldest step first: plain JSON, replayable. */
export type PruneRecord = v.InferOutput<typeof recordSchema>;
export type RecordStep = PruneRecord["steps"][number];
export type PruneStep = v.InferOutput<typeof pruneSchema>;
export type CompactStep = v.InferOutput<typeof compactSchema>;
export type TrainStep = v.InferOutput<typeof trainSchema>;
/** Options of a prune step with every default filled in. */
export type RecordedOptions = PruneStep["options"];
/** What a step did to one layer: how many units of its granularity there were, and how many of them are gone or masked. */
export type LayerResult = v.InferOutput<typeof layerSchema>;

export const emptyRecord: PruneRecord = { version: 1, steps: [] };

/** Parses a record's JSON. Throws E_PRUNE with the place where it goes wrong. */
export function parseRecord(json: string): PruneRecord {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new PruneError(
      `the record is not JSON (${printable(String((cause as Error).message))}). Use the record as it was written.`,
    );
  }
  const result = v.safeParse(recordSchema, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = issue.path?.map((p) => String(p.key)).join(".") ?? "";
  throw new PruneError(
    `the record is not valid at "${printable(path)}": ${printable(issue.message)}. Use the record as it was written.`,
  );
}

export const formatRecord = (record: PruneRecord): string => JSON.stringify(record);

/** The record a graph carries, or an empty one. */
export function recordOf(graph: Graph): PruneRecord {
  const json = graph.metadata.get(metadataKeys.record);
  return json === undefined ? emptyRecord : parseRecord(json);
}

/** The graph with one more step on its record. */
export function withStep(
  graph: Graph,
  step: RecordStep,
): { readonly graph: Graph; readonly record: PruneRecord } {
  const record: PruneRecord = { version: 1, steps: [...recordOf(graph).steps, step] };
  return { graph: withMetadata(graph, { [metadataKeys.record]: formatRecord(record) }), record };
}

/**
 * The structural part of a record on another copy of the net: weights sliced, attributes and constants rewritten, whatever
 * the weights are. A file of pruned weights is read into the result. Throws E_PRUNE when the record does not fit.
 */
export function applyRecord(graph: Graph, record: PruneRecord): Graph {
  const result = structuresOf(record).reduce(applyStructure, graph);
  return withMetadata(result, { [metadataKeys.record]: formatRecord(record) });
}

const structuresOf = (record: PruneRecord): Structure[] =>
  record.steps.flatMap((step) => (step.kind === "train" ? [] : [step.structure]));
