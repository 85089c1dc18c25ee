import type { Dataset } from "../data/dataset.ts";
import { subset } from "../data/split.ts";
import { InputError, PruneError, SecateurError } from "../errors.ts";
import { type CollectOptions, collectEvidence } from "../evidence/collect.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Graph } from "../graph/graph.ts";
import type { Preprocessing } from "../graph/metadata.ts";
import { inspectGraph } from "../graph/statistics.ts";
import { fixedSparsity, type Granularity, granularityName, parseGranularity } from "../prune/granularity.ts";
import { type PrunableLayer, prunableLayers } from "../prune/layers.ts";
import { findMethod } from "../prune/methods/index.ts";
import type { Norm } from "../prune/methods/method.ts";
import { neededEvidence, type PruneOptions, prune } from "../prune/prune.ts";
import type { PruneStep } from "../prune/record.ts";
import { staticTypes } from "../prune/types.ts";
import { preprocessingOf } from "../run/preprocessing.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import { wholeNumber } from "../tensor/shape.ts";
import { dataFacts, modelFacts } from "../train/manifest.ts";
import { changedWeights } from "./changes.ts";
import { type Curve, type CurvePoint, checkSame, type Sensitivity } from "./curve.ts";
import { makeSuffixRunner, type SuffixRunner } from "./suffix.ts";
import { type PruningUnit, pruningUnits, sharesOfUnit } from "./units.ts";

export interface SensitivityOptions {
  /** "magnitude" unless said; any method that only scores. */
  readonly method?: string;
  /** "element", "block2x1" …, "filter"; the method's unless said. */
  readonly granularity?: string;
  /** Shares that each layer is tried at; five unless said. */
  readonly shares?: readonly number[];
  /** Images at most, the last ones of the data; 256 unless said. */
  readonly images?: number;
  /** Images per run; 64 unless said. */
  readonly batch?: number;
  readonly seed?: number;
  readonly norm?: Norm;
  readonly skip?: readonly string[];
  /** Filters: kept counts become multiples of this (default 1). */
  readonly roundTo?: number;
  readonly preprocessing?: Preprocessing;
  /** How evidence is gathered, for methods that need some. */
  readonly collect?: CollectOptions;
  /** A scan to go on with. */
  readonly resume?: Sensitivity;
  /** Told of every layer's end: what there is to resume from. */
  readonly onLayer?: (soFar: Sensitivity) => void | Promise<void>;
  readonly onProgress?: (done: number, total: number, layer: string) => void;
  /** Stops before the next point; the scan then throws E_ABORTED. */
  readonly signal?: AbortSignal;
}

/** Shares tried unless said: filters bear less than weights. */
export const usualShares = (g: Granularity): readonly number[] =>
  g.kind === "filter" ? [0.125, 0.25, 0.375, 0.5, 0.75] : [0.5, 0.7, 0.8, 0.9, 0.95];

/** Images that a scan looks at unless said. */
export const usualImages = 256;
const usualBatch = 64;
/** The prefix is cut off anew when this share of the net's MACs lies in front of the next layer. */
const worthACut = 1 / 10;

/**
 * Prunes each layer alone, at several shares, and measures what is left of the accuracy: the scan of Han et al. 2015 (arXiv
 * 1506.02626, section 3) and Li et al. 2017 (arXiv 1608.08710, section 3.2). Filters whose channels hang together are pruned
 * together. Nothing is compiled per point: weights are written into a running session, of which the part in front of the layer is
 * run once and kept. Throws E_INPUT and E_PRUNE for what cannot be scanned, E_ABORTED when stopped.
 */
export async function sensitivity(
  gpu: Gpu,
  graph: Graph,
  data: Dataset,
  options: SensitivityOptions = {},
): Promise<Sensitivity> {
  const method = findMethod(options.method ?? "magnitude");
  const granularity = parseGranularity(options.granularity ?? method.defaults?.granularity ?? "element");
  if (fixedSparsity(granularity) !== undefined) {
    throw new InputError(
      `granularity ${granularityName(granularity)} has one share for every layer, so there is no curve to scan. Use element, a block or filter.`,
    );
  }
  if (graph.inputs.length !== 1)
    throw new InputError(`the model has ${graph.inputs.length} inputs; a scan needs one image input.`);
  const shares = checkShares(options.shares ?? usualShares(granularity));
  const images = Math.min(wholeNumber(options.images ?? usualImages, "images", 1), data.length);
  const shown = subset(data, { from: data.length - images, to: data.length });
  const preprocessing = options.preprocessing ?? preprocessingOf(graph, data);
  const types = staticTypes(graph);
  const layers = prunableLayers(graph, types);
  const units = pruningUnits(graph, types, granularity, options.skip);
  const asked: Omit<PruneOptions, "sparsity"> = {
    method: method.name,
    granularity: granularityName(granularity),
    norm: options.norm ?? "l1",
    seed: wholeNumber(options.seed ?? 0, "seed", 0, 2 ** 32 - 1),
    skip: options.skip ?? [],
    recover: "none",
    ...(granularity.kind === "filter" && { roundTo: options.roundTo ?? 1 }),
  };
  const start: Sensitivity = {
    kind: "secateur sensitivity",
    version: 1,
    model: await modelFacts(graph),
    data: await dataFacts(shown),
    settings: {
      method: method.name,
      granularity: granularityName(granularity),
      shares: [...shares],
      roundTo: asked.roundTo ?? 1,
      norm: asked.norm!,
      seed: asked.seed!,
      skip: [...asked.skip!],
      preprocessing: {
        scale: preprocessing.scale,
        mean: [...preprocessing.mean],
        std: [...preprocessing.std],
      },
    },
    dense: { top1: 0, loss: 0 },
    layers: [],
  };
  if (options.resume) checkSame(start, options.resume);
  const known = new Map(options.resume?.layers.map((curve) => [curve.layer, curve]));
  const needs = neededEvidence(method, "none", asked.granularity);
  const evidence =
    needs.length === 0
      ? {}
      : await collectEvidence(gpu, graph, data, needs, {
          ...(method.defaults?.images !== undefined && { images: method.defaults.images }),
          ...(options.skip && { skip: options.skip }),
          ...(options.seed !== undefined && { seed: options.seed }),
          ...options.collect,
          preprocessing,
        });
  const variables = layers.map((layer) => layer.weight);
  const runner = makeSuffixRunner(gpu, graph, shown, preprocessing, variables, options.batch ?? usualBatch);
  const macsBefore = macsInFront(graph);
  const stop = (): void => {
    if (options.signal?.aborted)
      throw new SecateurError("E_ABORTED", "the sensitivity scan was stopped. Resume it from its file.");
  };
  try {
    stop();
    const { top1, loss } = options.resume?.dense ?? (await runner.measure(new Map()));
    const done = new Map(known);
    const current = (): Sensitivity => ({
      ...start,
      dense: { top1, loss },
      layers: units.flatMap((unit) => done.get(unit.name) ?? []),
      ...(options.resume?.latency && { latency: options.resume.latency }),
    });
    const order = units
      .map((unit) => ({ unit, at: firstChange(graph, layers, unit, granularity) }))
      .sort((a, b) => a.at - b.at);
    let measured = done.size;
    for (const { unit, at } of order) {
      if (done.has(unit.name)) continue;
      options.onProgress?.(measured, units.length, unit.name);
      if (macsBefore[at]! - macsBefore[runner.cut]! > worthACut * macsBefore.at(-1)!)
        await runner.advance(at);
      done.set(unit.name, await curveOf(unit, runner));
      measured++;
      await options.onLayer?.(current());
    }
    return current();
  } finally {
    runner.dispose();
  }

  async function curveOf(unit: PruningUnit, on: SuffixRunner): Promise<Curve> {
    const points: CurvePoint[] = [];
    let note: string | undefined;
    for (const share of shares) {
      stop();
      let alone: { readonly changed: Map<string, HostTensor>; readonly removed: number };
      try {
        alone = await prunedAlone(unit, share);
      } catch (error) {
        if (!(error instanceof PruneError)) throw error;
        note ??= error.message;
        continue;
      }
      const { changed, removed } = alone;
      if (removed <= (points.at(-1)?.removed ?? 0)) continue;
      const { top1, loss } = await on.measure(changed);
      points.push({ share, removed, top1, loss: Number.isFinite(loss) ? loss : Number.MAX_VALUE });
    }
    return {
      layer: unit.name,
      layers: unit.layers.map((layer) => layer.name),
      size: unit.size,
      points,
      ...(note !== undefined && { note }),
    };
  }

  async function prunedAlone(unit: PruningUnit, share: number) {
    const pruned = await prune(graph, { ...asked, sparsity: sharesOfUnit(unit, share), evidence });
    const step = pruned.record.steps.at(-1) as PruneStep;
    const own = new Set(unit.layers.map((layer) => layer.weight));
    return {
      changed: changedWeights(graph, pruned.graph, step, layers),
      removed: step.layers.reduce((n, l) => n + (own.has(l.weight) ? l.removed : 0), 0),
    };
  }
}

function checkShares(shares: readonly number[]): readonly number[] {
  const sorted = [...new Set(shares)].sort((a, b) => a - b);
  if (sorted.length === 0 || !sorted.every((s) => s > 0 && s < 1)) {
    throw new InputError(
      `the shares to try are ${shares.join(", ") || "none"}; numbers above 0 and below 1 are needed (0.9 removes 90 %).`,
    );
  }
  return sorted;
}

/** The first node that pruning this unit changes a weight of. */
function firstChange(
  graph: Graph,
  layers: readonly PrunableLayer[],
  unit: PruningUnit,
  granularity: Granularity,
): number {
  const own = new Set(unit.layers.map((layer) => layer.weight));
  const at = graph.nodes.findIndex((node) => node.inputs.some((name) => own.has(name)));
  if (granularity.kind !== "filter") return at;
  // Of filters the readers change: they come later than the first layer that makes them.
  const weights = new Set(layers.map((layer) => layer.weight));
  const next = graph.nodes.findIndex((node, i) => i > at && node.inputs.some((name) => weights.has(name)));
  return next < 0 ? at : next;
}

/** MACs of all nodes in front of each node, and of all nodes last. */
function macsInFront(graph: Graph): number[] {
  const macs = new Map(inspectGraph(graph).layers.map((layer) => [layer.name, layer.macs]));
  const sums = [0];
  for (const node of graph.nodes) sums.push(sums.at(-1)! + (macs.get(node.name) ?? 0));
  return sums;
}
