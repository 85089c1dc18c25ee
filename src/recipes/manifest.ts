import * as v from "valibot";
import type { Dataset } from "../data/dataset.ts";
import { InputError, PruneError, printable } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Graph } from "../graph/graph.ts";
import { graphHash } from "../prune/hash.ts";
import { dataFacts, modelFacts } from "../train/manifest.ts";
import { version } from "../version.ts";
import { type PruningOutcome, type PruningRequest, runPruning } from "./run.ts";

const text = v.string();
const hash = v.pipe(text, v.regex(/^[0-9a-f]{64}$/, "a SHA-256 in hex is needed"));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const manifestSchema = v.object({
  version: text,
  /** `seed`: that of its weights, where a built-in net was made with one. */
  model: v.object({ name: text, hash, seed: v.optional(count) }),
  data: v.optional(v.object({ name: text, images: count, hash })),
  /** Of the device; the same request gives the same bits on the same adapter and driver. */
  adapter: v.optional(text),
  /** What was asked for, seed included. */
  request: v.record(text, v.unknown()),
  /** How the shares of the request were found, where a target was asked for; repeating takes them as they are. */
  target: v.optional(v.record(text, v.unknown())),
  /** Hash of the pruned graph: weights, masks and structure. */
  result: hash,
});

/** Everything that decides what a pruning gives, and what it gave: plain JSON from which it can be repeated. */
export type PruningManifest = v.InferOutput<typeof manifestSchema>;

/** The manifest of a pruning that was done. Callbacks, checkpoints and other data sets of the request are not part of it. */
export async function pruningManifest(
  gpu: Gpu | undefined,
  graph: Graph,
  data: Dataset | undefined,
  request: PruningRequest,
  outcome: PruningOutcome,
  modelSeed?: number,
): Promise<PruningManifest> {
  return {
    version,
    model: { ...(await modelFacts(graph)), ...(modelSeed !== undefined && { seed: modelSeed }) },
    ...(data && { data: await dataFacts(data) }),
    ...(gpu && { adapter: gpu.adapter.key }),
    request: plainOf(request) as Record<string, unknown>,
    result: await graphHash(outcome.graph),
  };
}

/** What of a value JSON can hold: functions go, and so does what only belongs to one run. */
function plainOf(value: unknown): unknown {
  if (typeof value === "function") return undefined;
  if (Array.isArray(value)) return value.map(plainOf);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value)
    .filter(([key, part]) => !runOnly.has(key) && typeof part !== "function" && part !== undefined)
    .map(([key, part]) => [key, plainOf(part)] as const);
  return Object.fromEntries(entries);
}

const runOnly = new Set(["signal", "resume", "test", "checkpointSeconds"]);

/** Parses a manifest's JSON. Throws E_INPUT with the place where it goes wrong. */
export function parsePruningManifest(json: string): PruningManifest {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new InputError(
      `the manifest is not JSON (${printable(String((cause as Error).message))}). Use it as it was written.`,
    );
  }
  const result = v.safeParse(manifestSchema, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = issue.path?.map((p) => String(p.key)).join(".") ?? "";
  throw new InputError(
    `the manifest is not valid at "${printable(path)}": ${printable(issue.message)}. Use it as it was written.`,
  );
}

/**
 * Does a pruning again from its manifest. Throws E_PRUNE where model or data are others, or where the result differs: then
 * adapter, driver or version are others, which the message names.
 */
export async function repeatPruning(
  gpu: Gpu | undefined,
  graph: Graph,
  data: Dataset | undefined,
  manifest: PruningManifest,
): Promise<PruningOutcome> {
  const model = await modelFacts(graph);
  const differs = (what: string, now: string, then: string): never => {
    throw new PruneError(
      `the ${what} has hash ${now.slice(0, 12)}…, but the manifest was made with ${then.slice(0, 12)}…. Use the same ${what}.`,
    );
  };
  if (model.hash !== manifest.model.hash) differs("model", model.hash, manifest.model.hash);
  if (manifest.data) {
    if (!data)
      throw new InputError(`the manifest was made with data ${manifest.data.name}, and none were given.`);
    const facts = await dataFacts(data);
    if (facts.hash !== manifest.data.hash) differs("data", facts.hash, manifest.data.hash);
  }
  const outcome = await runPruning(gpu, graph, data, manifest.request as unknown as PruningRequest);
  const result = await graphHash(outcome.graph);
  if (result === manifest.result) return outcome;
  const here = `version ${version} on ${gpu?.adapter.key ?? "the host"}`;
  const there = `version ${manifest.version} on ${manifest.adapter ?? "the host"}`;
  throw new PruneError(
    `the pruning gave hash ${result.slice(0, 12)}… where its manifest says ${manifest.result.slice(0, 12)}…. It was made by ${there}; this is ${here}.`,
  );
}
