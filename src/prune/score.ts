import type { Graph } from "../graph/graph.ts";
import { seeded } from "../tensor/random.ts";
import type { GraphTypes } from "./context.ts";
import type { Evidence } from "./evidence.ts";
import type { Granularity } from "./granularity.ts";
import type { PrunableLayer } from "./layers.ts";
import type { LayerChannels, Method } from "./methods/method.ts";
import type { RecordedOptions } from "./record.ts";

/** One score per unit of the layer, higher is kept. */
export function scoreLayer(
  graph: Graph,
  types: GraphTypes,
  layer: PrunableLayer,
  method: Method,
  granularity: Granularity,
  options: RecordedOptions,
  evidence: Evidence,
  channels?: LayerChannels,
): Float64Array {
  return method.score({
    graph,
    types,
    layer,
    weight: graph.weights.get(layer.weight)!,
    granularity,
    norm: options.norm,
    random: seeded(layerSeed(options.seed, layer.weight)),
    evidence,
    ...(channels && { channels }),
  });
}

/** Every layer draws from a stream of its own: the seed mixed with its weight's name by FNV-1a. */
function layerSeed(seed: number, name: string): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash;
}
