import { internal, PruneError } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import type { HostArray } from "../tensor/dtype.ts";
import { getNumber, type HostTensor, setNumber } from "../tensor/host-tensor.ts";
import { findAllocation } from "./allocations/index.ts";
import { chooseGroups, chooseRows, chooseUnits, removedUnits, type UnitPool, unitState } from "./budget.ts";
import type { GraphTypes } from "./context.ts";
import type { Evidence } from "./evidence.ts";
import type { Granularity } from "./granularity.ts";
import { forEachElement, type PrunableLayer, unitCount } from "./layers.ts";
import { fullMask } from "./mask-filters.ts";
import type { Method, Solution, Solved } from "./methods/method.ts";
import { shareOf } from "./options.ts";
import type { LayerResult, RecordedOptions } from "./record.ts";
import { scoreLayer } from "./score.ts";

interface Asked {
  readonly graph: Graph;
  readonly types: GraphTypes;
  /** Without those that are skipped or not on the list. */
  readonly layers: readonly PrunableLayer[];
  readonly granularity: Granularity;
  readonly method: Method;
  readonly options: RecordedOptions;
  readonly evidence: Evidence;
}

/** Elements, blocks or groups N:M: weights get zeros, the graph gets masks. */
export function pruneUnits(
  graph: Graph,
  types: GraphTypes,
  layers: readonly PrunableLayer[],
  granularity: Granularity,
  method: Method,
  options: RecordedOptions,
  evidence: Evidence,
): { readonly graph: Graph; readonly layers: readonly LayerResult[] } {
  const asked = layers.filter((layer) => shareOf(options, layer) !== undefined);
  const job = { graph, types, layers: asked, granularity, method, options, evidence };
  const skipped = layers.filter((layer) => !asked.includes(layer)).map((layer) => layer.weight);
  const { layers: solutions, others }: Solved = method.solve ? solved(job, skipped) : { layers: chosen(job) };
  const weights = new Map(graph.weights);
  for (const [name, value] of others ?? []) weights.set(name, value);
  const masks = new Map(graph.masks);
  for (const [i, layer] of asked.entries()) {
    const { removed, weight: repaired } = solutions[i]!;
    if (!removed.includes(1)) {
      weights.set(layer.weight, repaired);
      continue;
    }
    const weight = copyOf(repaired);
    const mask = masks.has(layer.weight) ? copyOf(masks.get(layer.weight)!) : fullMask(weight);
    forEachElement(layer, granularity, (element, unit) => {
      if (removed[unit] === 0 && mask.data[element] !== 0) return;
      mask.data[element] = 0;
      setNumber(weight.data, element, 0);
    });
    weights.set(layer.weight, weight);
    masks.set(layer.weight, mask);
  }
  const results = layers.map((layer) => {
    const i = asked.indexOf(layer);
    const removed = i < 0 ? 0 : solutions[i]!.removed.reduce((n, f) => n + f, 0);
    return { layer: layer.name, weight: layer.weight, units: unitCount(layer, granularity), removed };
  });
  return { graph: { ...graph, weights, masks }, layers: results };
}

/** Scores, then a budget: the weights that stay keep their values. */
function chosen({ graph, types, layers, granularity, method, options, evidence }: Asked): Solution[] {
  const allocation = findAllocation(
    options.allocation ?? (options.scope === "global" ? "global" : "uniform"),
  );
  const pools = layers.map((layer): UnitPool => {
    const scores = scoreLayer(graph, types, layer, method, granularity, options, evidence);
    const states = unitStates(graph, layer, granularity);
    const live = (unit: number): boolean => states[unit] === unitState.live;
    return { layer: layer.name, scores: allocation.normalise?.(scores, live) ?? scores, states };
  });
  const flags = choose(pools, layers, granularity, options);
  return layers.map((layer, i) => ({ removed: flags[i]!, weight: graph.weights.get(layer.weight)! }));
}

function choose(
  pools: readonly UnitPool[],
  layers: readonly PrunableLayer[],
  granularity: Granularity,
  options: RecordedOptions,
): Uint8Array[] {
  if (granularity.kind === "n:m") {
    return pools.map((pool, i) => chooseGroups(pool, layers[i]!.cols, granularity));
  }
  if (options.scope === "global") return chooseUnits(pools, totalOf(layers, granularity, options));
  if (options.scope === "row") {
    return pools.map((pool, i) => {
      const layer = layers[i]!;
      return chooseRows(pool, rowsOfUnits(layer, granularity), shareOf(options, layer)!);
    });
  }
  const counts = countsOf(layers, granularity, options);
  return pools.map((pool, i) => chooseUnits([pool], counts[i]!)[0]!);
}

/** The method chooses and repairs by itself, within the same budgets. */
function solved(
  { graph, layers, granularity, method, options, evidence }: Asked,
  skipped: readonly string[],
): Solved {
  for (const { name, weight } of layers) {
    const { data } = graph.weights.get(weight)!;
    const wrong = data.findIndex((v: number | bigint) => Number.isNaN(Number(v)));
    if (wrong < 0) continue;
    throw new PruneError(
      `element ${wrong} of the weight of layer "${name}" is not a number. Repair the model, or leave the layer out with skip.`,
    );
  }
  const counts = options.scope === "global" ? undefined : countsOf(layers, granularity, options);
  return (method.solve ?? internal("no solve"))({
    graph,
    layers: layers.map((layer, i) => ({
      layer,
      weight: graph.weights.get(layer.weight)!,
      mask: graph.masks.get(layer.weight),
      remove: counts?.[i],
    })),
    granularity,
    scope: options.scope,
    remove: totalOf(layers, granularity, options),
    evidence,
    skipped,
  });
}

/** Units to remove from all layers together. */
function totalOf(layers: readonly PrunableLayer[], g: Granularity, options: RecordedOptions): number {
  if (typeof options.sparsity !== "number") {
    return countsOf(layers, g, options).reduce((a, b) => a + b, 0);
  }
  return removedUnits(
    layers.reduce((n, layer) => n + unitCount(layer, g), 0),
    options.sparsity,
  );
}

/** Units to remove from each layer. */
function countsOf(layers: readonly PrunableLayer[], g: Granularity, options: RecordedOptions): number[] {
  const { counts } = findAllocation(options.allocation ?? "uniform");
  if (typeof options.sparsity !== "number" || options.allocation === undefined || !counts) {
    return layers.map((layer) => removedUnits(unitCount(layer, g), shareOf(options, layer)!));
  }
  return counts(
    layers.map((layer) => ({ layer, units: unitCount(layer, g) })),
    totalOf(layers, g, options),
  );
}

/** The row of the weight matrix (or of its row blocks) that each unit lies in. */
function rowsOfUnits(layer: PrunableLayer, g: Granularity): Uint32Array {
  const rows = new Uint32Array(unitCount(layer, g));
  if (g.kind !== "element") return rows.map((_, unit) => Math.floor(unit / layer.cols));
  forEachElement(layer, { kind: "filter" }, (element, row) => {
    rows[element] = row;
  });
  return rows;
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
