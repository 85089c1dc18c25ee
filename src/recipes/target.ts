import type { Dataset } from "../data/dataset.ts";
import { subset } from "../data/split.ts";
import { InputError, PruneError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Graph } from "../graph/graph.ts";
import type { Preprocessing } from "../graph/metadata.ts";
import type { Plan } from "../plan/plan.ts";
import { type Spread, spread } from "../plan/stats.ts";
import { parseGranularity } from "../prune/granularity.ts";
import { findMethod } from "../prune/methods/index.ts";
import { compile } from "../run/compile.ts";
import { evaluate } from "../run/evaluate.ts";
import { preprocessingOf } from "../run/preprocessing.ts";
import type { Session } from "../run/session.ts";
import { checkBatch, firstBatch, timeInTurn } from "../run/timing.ts";
import type { Sensitivity } from "../sensitivity/curve.ts";
import { layerLatency } from "../sensitivity/latency.ts";
import { problemFrom } from "../sensitivity/problem.ts";
import { type SensitivityOptions, sensitivity } from "../sensitivity/scan.ts";
import {
  type AllocationProblem,
  type AllocationResult,
  allocate,
  fastest,
  priceOf,
} from "../sensitivity/solve.ts";
import { wholeNumber } from "../tensor/shape.ts";
import { type PruningOutcome, type PruningRequest, runPruning } from "./run.ts";

export interface TargetOptions {
  /** Most milliseconds of one run, measured. */
  readonly targetMs?: number;
  /** Most loss of top-1 on the validation images before any retraining, as a fraction: 0.01 is one point. */
  readonly maxDrop?: number;
  /** Images of one run; 32 unless said. */
  readonly batch?: number;
  /** How the net is pruned: everything but the sparsity, which is what is looked for. */
  readonly request: Omit<PruningRequest, "sparsity">;
  /** Shares, images and the scan to go on with. */
  readonly scan?: Pick<SensitivityOptions, "shares" | "images" | "resume" | "onLayer" | "signal">;
  readonly preprocessing?: Preprocessing;
  /** Seconds for measuring the layers; plans of whole nets are measured in full. */
  readonly budget?: number;
  /** Nets that are compiled and measured, at most; 5 unless said. */
  readonly attempts?: number;
  readonly onProgress?: (message: string, done?: number, total?: number) => void;
  readonly onAttempt?: (attempt: Attempt) => void;
}

/** A choice of shares that was compiled and measured. */
export interface Attempt {
  /** Milliseconds by the layers' latencies, corrected by what was measured before. */
  readonly predicted: number;
  /** Milliseconds of one run. */
  readonly measured: Spread;
  /** The unpruned net, run in turn with it. */
  readonly dense: Spread;
  /** On the validation images, before any retraining. */
  readonly top1: number;
}

/** What was asked, what was found, and what it measured. */
export interface TargetReport {
  readonly targetMs?: number;
  readonly maxDrop?: number;
  readonly adapter: string;
  readonly batch: number;
  readonly predicted: number;
  readonly measured: Spread;
  /** The unpruned net, compiled with as much effort and run in turn with the pruned one. */
  readonly dense: Spread;
  /** On the validation images: before pruning, after it, and after retraining where there was some. */
  readonly top1: { readonly before: number; readonly after: number; readonly retrained?: number };
  readonly images: number;
  readonly shares: Readonly<Record<string, number>>;
  readonly attempts: readonly Attempt[];
  /** Of the net that was measured last. */
  readonly plan: Plan;
}

export interface TargetResult {
  readonly outcome: PruningOutcome;
  /** The request with the shares that were found: asked again it gives the same net, and needs no measuring. */
  readonly request: PruningRequest;
  readonly report: TargetReport;
  readonly scan: Sensitivity;
}

const usualAttempts = 5;
const rounds = 9;
/** Measurements of one choice while something else slows the machine. */
const calmTries = 3;
/** A net that takes no less than this share of the target is close enough; a looser one would hardly keep more. */
const closeEnough = 0.95;
/** What is asked for instead where the same choice would come out that has just missed. */
const less = 0.97;
/** Filters stay multiples of this: the rows that dense kernels compute together. */
export const alignedFilters = 4;

/**
 * Finds a share for every layer such that the compiled net takes no more than so many milliseconds on this adapter and loses as little
 * accuracy as it can; or, given only how much may be lost, such that it is as fast as that allows. From the curves of `sensitivity` (what a
 * layer loses counts as the rise of the cross-entropy: it adds up over layers to second order, LeCun et al. 1989, and 256 images
 * resolve it where top-1 stands still) and the latencies of `layerLatency`, `allocate` chooses; the result is compiled with
 * a measured plan, checked against the double-precision reference, timed in turn with the unpruned net, and the estimate is corrected
 * by what was measured, a few times at most. Throws E_PRUNE for a target that cannot be met, naming the fastest that can.
 */
export async function pruneToTarget(
  gpu: Gpu,
  graph: Graph,
  data: Dataset,
  options: TargetOptions,
): Promise<TargetResult> {
  const { targetMs, maxDrop } = options;
  if (targetMs === undefined && maxDrop === undefined)
    throw new InputError("there is nothing to aim at: give targetMs, maxDrop or both.");
  if (targetMs !== undefined && !(targetMs > 0 && Number.isFinite(targetMs)))
    throw new InputError(`targetMs is ${targetMs}; milliseconds above 0 are needed.`);
  if (maxDrop !== undefined && !(maxDrop >= 0 && maxDrop < 1))
    throw new InputError(
      `maxDrop is ${maxDrop}; a fraction from 0 to below 1 is needed (0.01 is one point).`,
    );
  const method = findMethod(options.request.method);
  const granularity = options.request.granularity ?? method.defaults?.granularity ?? "element";
  const filter = parseGranularity(granularity).kind === "filter";
  const request = {
    ...options.request,
    granularity,
    ...(filter && { roundTo: options.request.roundTo ?? alignedFilters }),
  };
  if (request.scope !== undefined || request.allocation !== undefined)
    throw new InputError("a target decides the share of every layer: leave scope and allocation out.");
  const batch = wholeNumber(options.batch ?? 32, "batch", 1);
  const attempts = wholeNumber(options.attempts ?? usualAttempts, "attempts", 1);
  const progress = options.onProgress ?? (() => undefined);
  const preprocessing = options.preprocessing ?? preprocessingOf(graph, data);
  const common = {
    granularity,
    skip: request.skip ?? [],
    ...(request.roundTo !== undefined && { roundTo: request.roundTo }),
    ...(options.scan?.shares && { shares: options.scan.shares }),
  };
  const scan = await sensitivity(gpu, graph, data, {
    ...options.scan,
    ...common,
    method: method.name,
    ...(request.norm && { norm: request.norm }),
    ...(request.seed !== undefined && { seed: request.seed }),
    ...(request.collect && { collect: request.collect }),
    preprocessing,
    onProgress: (done, total, layer) => progress(`accuracy of ${layer}`, done, total),
  });
  const table = await layerLatency(gpu, graph, {
    ...common,
    shares: scan.settings.shares,
    batch,
    ...(options.budget !== undefined && { budget: options.budget }),
    onProgress: (done, total, layer) => progress(`timing ${layer}`, done, total),
  });
  const judged = subset(data, { from: data.length - scan.data.images, to: data.length });
  const before = scan.dense.top1;
  progress("measuring the unpruned net");
  const dense = await compile(gpu, graph, { plan: "measured", batch });
  const input = firstBatch(judged, batch, preprocessing, dense);
  const done: Attempt[] = [];
  const { train: _, scratch: __, recalibrate: ___, rounds: ____, ...once } = request;
  const shapes = new Map<string, PruningOutcome>();

  try {
    await checkBatch(dense, graph, input, 2);
    const whole = spread((await timeInTurn([dense], rounds))[0]!);
    const problem = problemFrom(scan, table, whole.median);
    const found =
      targetMs === undefined
        ? await mostWithin(problem, maxDrop!, whole)
        : await within(problem, targetMs, whole);
    return await finished(found);
  } finally {
    dense.dispose();
  }

  interface Found {
    readonly choice: AllocationResult;
    readonly attempt: Attempt;
    readonly plan: Plan;
  }

  function sharesOf({ chosen }: AllocationResult, { units }: AllocationProblem): Record<string, number> {
    const shares: Record<string, number> = {};
    for (const [u, { unit }] of table.units.entries()) {
      const option = units[u]![chosen[u]!];
      if (option) for (const layer of unit.layers) shares[layer.name] = option.share;
    }
    return shares;
  }

  /** The net of a choice, pruned once. */
  async function netOf(choice: AllocationResult, problem: AllocationProblem): Promise<PruningOutcome> {
    const key = choice.chosen.join();
    const known = shapes.get(key);
    if (known) return known;
    const outcome = await runPruning(gpu, graph, data, { ...once, sparsity: sharesOf(choice, problem) });
    shapes.set(key, outcome);
    return outcome;
  }

  async function top1Of(session: Session): Promise<number> {
    return (await evaluate(session, judged, preprocessing, { batch })).top1;
  }

  async function accuracyOf(net: Graph): Promise<number> {
    const session = await compile(gpu, net, { batch: Math.min(batch, judged.length) });
    try {
      return await top1Of(session);
    } finally {
      session.dispose();
    }
  }

  /** Compiles, checks and times a net in turn with the unpruned one. */
  async function measure(net: Graph, predicted: number): Promise<{ attempt: Attempt; plan: Plan }> {
    progress(`measuring a net of ${predicted.toFixed(2)} ms by its layers`);
    const session = await compile(gpu, net, { plan: "measured", batch });
    try {
      await checkBatch(session, net, input, 2);
      const top1 = await top1Of(session);
      // Few images may have compiled a smaller batch.
      const name = session.inputs[0]!.name;
      await session.run({ [name]: input });
      await dense.run({ [name]: input });
      const [own, beside] = await timeInTurn([session, dense], rounds);
      const attempt = { predicted, measured: spread(own!), dense: spread(beside!), top1 };
      return { attempt, plan: { ...session.plan } };
    } finally {
      session.dispose();
    }
  }

  async function tried(choice: AllocationResult, problem: AllocationProblem, scale: number): Promise<Found> {
    const { graph: net } = await netOf(choice, problem);
    const { attempt, plan } = await measure(net, choice.ms * scale);
    done.push(attempt);
    options.onAttempt?.(attempt);
    return { choice, attempt, plan };
  }

  /** No more than `target` milliseconds, measured, at the least damage. */
  async function within(problem: AllocationProblem, target: number, whole: Spread): Promise<Found> {
    const nothing = priceOf(
      problem,
      problem.units.map(() => -1),
    );
    if (whole.median <= target) {
      throw new PruneError(
        `the unpruned net takes ${ms(whole)} at batch ${batch} on ${gpu.adapter.description}, which is within ${target} ms already. Ask for less.`,
      );
    }
    let scale = whole.median / nothing.ms;
    let best: Found | undefined;
    const seen = new Set<string>();
    for (let k = 0; k < attempts; k++) {
      let choice = allocate(problem, target / scale);
      // The same choice once more would measure the same: where it has missed, ask for a little less.
      if (choice && seen.has(choice.chosen.join())) {
        if (best) break;
        choice = allocate(problem, choice.ms * less);
      }
      if (!choice || seen.has(choice.chosen.join())) break;
      seen.add(choice.chosen.join());
      const found = await calmly(choice, problem, scale, target, whole);
      const { median } = found.attempt.measured;
      scale = atRest(found.attempt, whole) / choice.ms;
      if (median > target) continue;
      if (!best || choice.damage < best.choice.damage) best = found;
      if (median >= closeEnough * target) break;
    }
    best ??= await lastResort(problem, target, scale);
    const drop = before - best.attempt.top1;
    if (maxDrop === undefined || drop <= maxDrop + rounding) return best;
    throw new PruneError(
      `at ${ms(best.attempt.measured)} the net loses ${points(drop)} of top-1 on ${judged.length} validation images, more than ${points(maxDrop)}. Allow more milliseconds or a greater loss.`,
    );
  }

  /** Tried again where it missed while the machine was slower than at first, but would not have missed then. */
  async function calmly(
    choice: AllocationResult,
    problem: AllocationProblem,
    scale: number,
    target: number,
    whole: Spread,
  ): Promise<Found> {
    let found = await tried(choice, problem, scale);
    for (let k = 1; k < calmTries; k++) {
      if (found.attempt.measured.median <= target || atRest(found.attempt, whole) > target) break;
      found = await tried(choice, problem, scale);
    }
    return found;
  }

  /** The fastest net there is; E_PRUNE where even that is too slow. */
  async function lastResort(problem: AllocationProblem, target: number, scale: number): Promise<Found> {
    const found = await tried(fastest(problem), problem, scale);
    const { measured } = found.attempt;
    if (measured.median <= target) return found;
    throw new PruneError(
      `${target} ms cannot be met: with every layer at its fastest share the net takes ${ms(measured)} at batch ${batch} on ${gpu.adapter.description} (unpruned: ${ms(found.attempt.dense)}). Ask for no less, try other shares or another granularity.`,
    );
  }

  /** As fast as may be while top-1 on the validation images loses no more than `drop`. */
  async function mostWithin(problem: AllocationProblem, drop: number, whole: Spread): Promise<Found> {
    const slow = priceOf(
      problem,
      problem.units.map(() => -1),
    );
    let [low, high] = [fastest(problem).ms, slow.ms];
    let best: AllocationResult | undefined;
    // Which limit is the lowest that loses no more? Accuracy is measured on the net pruned as a whole, not added up.
    for (let k = 0; k < halvings && high - low > 0.005 * slow.ms; k++) {
      const limit = k === 0 ? low : (low + high) / 2;
      const choice = allocate(problem, limit);
      if (!choice) break;
      progress(`accuracy at ${choice.ms.toFixed(2)} ms`, k, halvings);
      const top1 = await accuracyOf((await netOf(choice, problem)).graph);
      if (before - top1 <= drop + rounding) {
        if (choice.ms < slow.ms && (!best || choice.ms < best.ms)) best = choice;
        if (k === 0) break;
        high = limit;
      } else low = limit;
    }
    if (best) return tried(best, problem, whole.median / slow.ms);
    throw new PruneError(
      `no choice of shares that is faster loses ${points(drop)} of top-1 or less on ${judged.length} validation images. Allow a greater loss, or try smaller shares.`,
    );
  }

  async function finished({ choice, attempt, plan }: Found): Promise<TargetResult> {
    const problem = problemFrom(scan, table, 0);
    const sparsity = sharesOf(choice, problem);
    const asked: PruningRequest = { ...request, sparsity };
    const report = {
      ...(targetMs !== undefined && { targetMs }),
      ...(maxDrop !== undefined && { maxDrop }),
      adapter: gpu.adapter.key,
      batch,
      predicted: attempt.predicted,
      measured: attempt.measured,
      dense: attempt.dense,
      top1: { before, after: attempt.top1 },
      images: judged.length,
      shares: sparsity,
      attempts: done,
      plan,
    };
    const more = request.train || request.scratch || request.recalibrate || (request.rounds ?? 1) > 1;
    if (!more) return { outcome: await netOf(choice, problem), request: asked, report, scan };
    progress("pruning and training with the shares that were found");
    const outcome = await runPruning(gpu, graph, data, asked);
    const again = await measure(outcome.graph, attempt.predicted);
    return {
      outcome,
      request: asked,
      scan,
      report: {
        ...report,
        measured: again.attempt.measured,
        dense: again.attempt.dense,
        top1: { ...report.top1, retrained: again.attempt.top1 },
        plan: again.plan,
      },
    };
  }
}

/** What a net would have taken at the pace at which the unpruned one was first timed: both were timed in turn. */
export const atRest = ({ measured, dense }: Pick<Attempt, "measured" | "dense">, whole: Spread): number =>
  measured.median * Math.min(1, whole.median / dense.median);

const halvings = 8;
/** Accuracies are whole images over their number: a loss of exactly what is allowed must not fail for its last bit. */
const rounding = 1e-9;
const ms = (s: Spread): string => `${s.median.toFixed(2)} ms (${s.p10.toFixed(2)}-${s.p90.toFixed(2)})`;
const points = (fraction: number): string => `${+(100 * fraction).toFixed(2)} points`;
