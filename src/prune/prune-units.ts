import type { Graph } from "../graph/graph.ts";
import type { HostArray } from "../tensor/dtype.ts";
import { getNumber, type HostTensor, setNumber } from "../tensor/host-tensor.ts";
import { chooseUnits, removedUnits, type UnitPool, unitState } from "./budget.ts";
import type { Granularity } from "./granularity.ts";
import { forEachElement, type PrunableLayer, unitCount } from "./layers.ts";
import { fullMask } from "./mask-filters.ts";
import type { Evidence, Method } from "./methods/method.ts";
import { shareOf } from "./options.ts";
import type { LayerResult, RecordedOptions } from "./record.ts";
import { scoreLayer } from "./score.ts";

/** Elements or blocks: weights get zeros, the graph gets masks. */
export function pruneUnits(
  graph: Graph,
  layers: readonly PrunableLayer[],
  granularity: Granularity,
  method: Method,
  options: RecordedOptions,
  evidence: Evidence,
): { readonly graph: Graph; readonly layers: readonly LayerResult[] } {
  const asked = layers.filter((layer) => shareOf(options, layer) !== undefined);
  const pools = asked.map(
    (layer): UnitPool => ({
      layer: layer.name,
      scores: scoreLayer(graph, layer, method, granularity, options, evidence),
      states: unitStates(graph, layer, granularity),
    }),
  );
  const total = pools.reduce((n, pool) => n + pool.scores.length, 0);
  const flags =
    options.scope === "global"
      ? chooseUnits(pools, removedUnits(total, options.sparsity as number))
      : pools.map((pool, i) => {
          return chooseUnits([pool], removedUnits(pool.scores.length, shareOf(options, asked[i]!)!))[0]!;
        });
  const weights = new Map(graph.weights);
  const masks = new Map(graph.masks);
  for (const [i, layer] of asked.entries()) {
    if (!flags[i]!.includes(1)) continue;
    const weight = copyOf(weights.get(layer.weight)!);
    const mask = masks.has(layer.weight) ? copyOf(masks.get(layer.weight)!) : fullMask(weight);
    forEachElement(layer, granularity, (element, unit) => {
      if (flags[i]![unit] === 0 && mask.data[element] !== 0) return;
      mask.data[element] = 0;
      setNumber(weight.data, element, 0);
    });
    weights.set(layer.weight, weight);
    masks.set(layer.weight, mask);
  }
  const results = layers.map((layer) => {
    const i = asked.indexOf(layer);
    const removed = i < 0 ? 0 : flags[i]!.reduce((n, f) => n + f, 0);
    return { layer: layer.name, weight: layer.weight, units: unitCount(layer, granularity), removed };
  });
  return { graph: { ...graph, weights, masks }, layers: results };
}

const copyOf = (t: HostTensor): HostTensor => ({ ...t, data: t.data.slice() as HostArray });

/** Which units are masked or hold nothing but zeros already. */
function unitStates(graph: Graph, layer: PrunableLayer, granularity: Granularity): Uint8Array {
  const { data } = graph.weights.get(layer.weight)!;
  const mask = graph.masks.get(layer.weight)?.data;
  const states = new Uint8Array(unitCount(layer, granularity)).fill(unitState.masked);
  forEachElement(layer, granularity, (i, unit) => {
    if (mask && mask[i] === 0) return;
    if (getNumber(data, i) !== 0) states[unit] = unitState.live;
    else if (states[unit] === unitState.masked) states[unit] = unitState.zero;
  });
  return states;
}
