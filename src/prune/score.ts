import { InputError } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { seeded } from "../tensor/random.ts";
import type { Granularity } from "./granularity.ts";
import type { PrunableLayer } from "./layers.ts";
import type { Evidence, Method } from "./methods/method.ts";
import type { RecordedOptions } from "./record.ts";

/** One score per unit of the layer, higher is kept. */
export function scoreLayer(
  graph: Graph,
  layer: PrunableLayer,
  method: Method,
  granularity: Granularity,
  options: RecordedOptions,
  evidence: Evidence,
): Float64Array {
  return method.score({
    graph,
    layer,
    weight: graph.weights.get(layer.weight)!,
    granularity,
    norm: options.norm,
    random: seeded(layerSeed(options.seed, layer.weight)),
    evidence,
  });
}

/** Throws E_INPUT when evidence that the method needs is missing. */
export function checkEvidence(method: Method, evidence: Evidence): void {
  const missing = method.needs.filter((kind) => evidence[kind] === undefined);
  if (missing.length === 0) return;
  throw new InputError(
    `method ${method.name} needs ${missing.join(" and ")}. Gather them with collectEvidence and pass them as evidence.`,
  );
}

/** Every layer draws from a stream of its own: the seed mixed with its weight's name by FNV-1a. */
function layerSeed(seed: number, name: string): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash;
}
