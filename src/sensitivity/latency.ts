import { InputError, PruneError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Graph } from "../graph/graph.ts";
import { type Budget, budgetOf } from "../plan/budget.ts";
import type { Choice } from "../plan/choose.ts";
import { chooseMeasured } from "../plan/choose-measured.ts";
import { type ColumnsPlace, columnsPlaces } from "../plan/columns-place.ts";
import { assignLayouts } from "../plan/layouts.ts";
import type { Step } from "../plan/program.ts";
import { simplify } from "../plan/simplify.ts";
import { type TuningStore, tuningOf } from "../plan/tuning.ts";
import { fixedSparsity, type Granularity, granularityName, parseGranularity } from "../prune/granularity.ts";
import { prune } from "../prune/prune.ts";
import type { PruneStep } from "../prune/record.ts";
import { staticTypes } from "../prune/types.ts";
import { adapterKind } from "../run/adapter-kind.ts";
import { wholeNumber } from "../tensor/shape.ts";
import type { LayerLatencies } from "./curve.ts";
import { usualShares } from "./scan.ts";
import { type PruningUnit, pruningUnits, sharesOfUnit } from "./units.ts";

export interface LatencyOptions {
  readonly granularity?: string;
  readonly shares?: readonly number[];
  /** Images of one run; 32 unless said. */
  readonly batch?: number;
  readonly skip?: readonly string[];
  /** Filters: kept counts become multiples of this (default 1). */
  readonly roundTo?: number;
  /** Seconds for measuring; layers that it does not reach have no milliseconds. */
  readonly budget?: number;
  /** Where measurements are kept and looked for, as in `compile`. */
  readonly tuning?: TuningStore;
  readonly onProgress?: (done: number, total: number, layer: string) => void;
}

/** What a unit's share makes of the milliseconds of one layer. */
export interface Effect {
  /** Index among the layers. */
  readonly layer: number;
  /** Milliseconds over those of the unpruned layer. */
  readonly factor: number;
}

/** A share of one unit: what it does to the layers that it touches. */
export interface MeasuredShare {
  readonly share: number;
  readonly removed: number;
  readonly effects: readonly Effect[];
  /** Of the unit's first layer. */
  readonly format: string;
  readonly kernel: string;
}

/** Measured milliseconds of a net's layers, and what pruning each unit does to them. */
export interface LatencyTable {
  readonly adapter: string;
  readonly batch: number;
  /** Layers that a plan chooses kernels for, with the milliseconds of the dense one; the rest of the net is not among them. */
  readonly layers: readonly { readonly layer: string; readonly ms: number }[];
  readonly units: readonly {
    readonly unit: PruningUnit;
    readonly points: readonly MeasuredShare[];
    /** Why shares have no point, where some could not be pruned. */
    readonly note?: string;
  }[];
}

/** What a layer takes with the kernel that was chosen, and with the best dense one in the same race. */
interface LayerTime {
  readonly ms: number;
  readonly denseMs: number;
  readonly format: string;
  readonly kernel: string;
}

/**
 * Measures every layer at every share on this adapter: its fastest kernel, dense ones among the candidates, on the layer's own
 * geometry with random values and a random mask of that share; for filters, on the geometry that is left when the unit's channels
 * have gone, of the layers that make them and of those that read them. What is measured once, for an equal layer or in another run,
 * is not measured again: all goes through the tuning cache.
 */
export async function layerLatency(
  gpu: Gpu,
  graph: Graph,
  options: LatencyOptions = {},
): Promise<LatencyTable> {
  const granularity = parseGranularity(options.granularity ?? "element");
  if (fixedSparsity(granularity) !== undefined)
    throw new InputError(`granularity ${granularityName(granularity)} has one share for every layer.`);
  const shares = options.shares ?? usualShares(granularity);
  const batch = wholeNumber(options.batch ?? 32, "batch", 1);
  const units = pruningUnits(graph, staticTypes(graph), granularity, options.skip);
  const budget = budgetOf(options.budget);
  const variants = await prunedVariants(graph, units, granularity, shares, options);
  const base = placesOf(graph, batch);
  // One race of all: equal layers share what is measured, and the dearest come first.
  const all = new Map<Step, ColumnsPlace>(base);
  const ofVariant = variants.map(({ pruned, touched }) => {
    const own = [...placesOf(pruned, batch)].filter(([step]) => touched(step.node.name));
    for (const [step, place] of own) all.set(step, place);
    return own.map(([step]) => step);
  });
  const choices = await measured(gpu, all, budget, options);
  const before = timesOf([...base.keys()], choices);
  const layers = [...before].map(([layer, { ms }]) => ({ layer, ms }));
  const index = new Map(layers.map(({ layer }, i) => [layer, i]));
  return {
    adapter: gpu.adapter.key,
    batch,
    layers,
    units: units.map((unit) => {
      const points: MeasuredShare[] = [];
      const notes: string[] = [];
      for (const [i, variant] of variants.entries()) {
        const { share } = variant;
        const of = variant.units.find((u) => u.unit === unit);
        if (!of) continue;
        if (of.note !== undefined) notes.push(of.note);
        if (of.removed <= (points.at(-1)?.removed ?? 0)) continue;
        const steps = ofVariant[i]!.filter((step) => of.touches.has(step.node.name));
        const after = timesOf(steps, choices);
        const first = after.get(unit.name);
        const effects = [...after].flatMap(([layer, { ms, denseMs }]) => {
          // Filters change the geometry; else dense ran beside the chosen kernel, in turn, which no drift can spoil.
          const dense = granularity.kind === "filter" ? before.get(layer)?.ms : denseMs;
          return dense && index.has(layer) ? [{ layer: index.get(layer)!, factor: ms / dense }] : [];
        });
        if (effects.length === 0) continue;
        points.push({
          share,
          removed: of.removed,
          effects,
          format: first?.format ?? "dense",
          kernel: first?.kernel ?? "",
        });
      }
      return { unit, points, ...(notes[0] !== undefined && { note: notes[0] }) };
    }),
  };
}

/** A pruned net, and which units' share it stands for. */
interface Variant {
  readonly share: number;
  readonly pruned: Graph;
  readonly units: readonly {
    readonly unit: PruningUnit;
    readonly removed: number;
    readonly touches: ReadonlySet<string>;
    readonly note?: string;
  }[];
  readonly touched: (node: string) => boolean;
}

/** Single weights and blocks leave all geometry alone, so one net per share serves every layer; filters take one per unit. */
async function prunedVariants(
  graph: Graph,
  units: readonly PruningUnit[],
  granularity: Granularity,
  shares: readonly number[],
  options: LatencyOptions,
): Promise<Variant[]> {
  const filter = granularity.kind === "filter";
  const asked = {
    method: "random",
    granularity: granularityName(granularity),
    seed: 1,
    skip: options.skip ?? [],
    ...(filter && { roundTo: options.roundTo ?? 1 }),
  };
  const variants: Variant[] = [];
  for (const share of shares) {
    for (const together of filter ? units.map((unit) => [unit]) : [units]) {
      const sparsity = Object.assign({}, ...together.map((unit) => sharesOfUnit(unit, share)));
      try {
        const { graph: pruned, record } = await prune(graph, { ...asked, sparsity });
        const step = record.steps.at(-1) as PruneStep;
        const sliced = new Set(step.structure.weights.map((w) => w.weight));
        const own = together.map((unit) => {
          const weights = filter ? sliced : new Set(unit.layers.map((l) => l.weight));
          const nodes = graph.nodes.filter((n) => n.inputs.some((name) => weights.has(name)));
          const made = new Set(unit.layers.map((l) => l.weight));
          return {
            unit,
            removed: step.layers.reduce((n, l) => n + (made.has(l.weight) ? l.removed : 0), 0),
            touches: new Set(nodes.map((n) => n.name)),
          };
        });
        const touches = new Set(own.flatMap((u) => [...u.touches]));
        variants.push({ share, pruned, units: own, touched: (node) => touches.has(node) });
      } catch (error) {
        if (!(error instanceof PruneError)) throw error;
        const note = error.message;
        const none = together.map((unit) => ({ unit, removed: 0, touches: new Set<string>(), note }));
        variants.push({ share, pruned: graph, units: none, touched: () => false });
      }
    }
  }
  return variants;
}

function placesOf(graph: Graph, batch: number): Map<Step, ColumnsPlace> {
  const shapes = new Map(
    graph.inputs.map(({ name, shape }) => {
      if (shape.slice(1).some((d) => d === null))
        throw new InputError(
          `input "${name}" has open dimensions [${shape}]; latency is measured for known ones.`,
        );
      return [name, shape.map((d) => d ?? batch)] as const;
    }),
  );
  const program = simplify(graph, shapes, new Map(), new Set());
  return columnsPlaces(program, assignLayouts(program));
}

async function measured(
  gpu: Gpu,
  places: ReadonlyMap<Step, ColumnsPlace>,
  budget: Budget | undefined,
  options: LatencyOptions,
): Promise<ReadonlyMap<Step, Choice>> {
  const tuning = await tuningOf(gpu, options.tuning);
  const { choices } = await chooseMeasured(gpu, places, adapterKind(gpu), tuning, budget, options.onProgress);
  return choices;
}

/** Milliseconds of the kernels chosen, by layer; a layer of several steps adds them up. Without what was not measured. */
function timesOf(steps: readonly Step[], choices: ReadonlyMap<Step, Choice>): Map<string, LayerTime> {
  const times = new Map<string, LayerTime>();
  const unknown = new Set<string>();
  for (const step of steps) {
    const { format, kernel, candidates } = choices.get(step)!.layer;
    const ms = candidates.find((c) => c.format === format && c.kernel === kernel)?.ms;
    // The dense winner comes first among the dense ones, as it ran in the race with the sparse ones.
    const denseMs = format === "dense" ? ms : candidates.find((c) => c.format === "dense")?.ms;
    const name = step.node.name;
    if (ms === undefined || denseMs === undefined) unknown.add(name);
    else {
      const sum = times.get(name) ?? { ms: 0, denseMs: 0 };
      times.set(name, { ms: sum.ms + ms, denseMs: sum.denseMs + denseMs, format, kernel });
    }
  }
  for (const name of unknown) times.delete(name);
  return times;
}

/** The table as plain data for a report: of each unit, the milliseconds of all layers that it touches. */
export function latenciesOf(table: LatencyTable): LayerLatencies {
  return {
    adapter: table.adapter,
    batch: table.batch,
    layers: table.units.map(({ unit, points }) => {
      const touched = [...new Set(points.flatMap((p) => p.effects.map((e) => e.layer)))];
      const dense = touched.reduce((sum, i) => sum + table.layers[i]!.ms, 0);
      return {
        layer: unit.name,
        ms: dense,
        points: points.map(({ share, removed, effects, format, kernel }) => ({
          share,
          removed,
          ms: dense + effects.reduce((sum, e) => sum + table.layers[e.layer]!.ms * (e.factor - 1), 0),
          format,
          kernel,
        })),
      };
    }),
  };
}
