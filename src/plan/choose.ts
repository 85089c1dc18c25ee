import { GpuError, PlanError } from "../errors.ts";
import {
  blockRowsOf,
  type Format,
  formats,
  isClustered,
  isDense,
  isHalf,
  isNm,
} from "../kernels/columns/formats.ts";
import { halfScale } from "../kernels/columns/half.ts";
import type { Realised } from "../kernels/columns/launch.ts";
import { unitOf } from "../kernels/columns/matrix.ts";
import type { WeightMatrix } from "../kernels/columns/pack.ts";
import {
  type ColumnsWeight,
  cutFor,
  realise,
  storedDensity,
  takesWeight,
  weightBytes,
} from "../kernels/columns/realise.ts";
import { findVariant, roundsX, subgroupOf, type Variant } from "../kernels/columns/variants.ts";
import type { ColumnsPlace } from "./columns-place.ts";
import { type AdapterKind, type Ranked, rank, runsOn } from "./estimate.ts";
import type { Candidate, LayerPlan, Plan } from "./plan.ts";
import type { ColumnsStep, StepWeight } from "./program.ts";

/** The variant that runs a columns step, and what the plan says about it. */
export interface Choice {
  readonly variant: Variant;
  readonly realised: Realised;
  readonly layer: LayerPlan;
}

/** Format families that a plan can be told to use wherever they apply. */
export type Forced = "dense" | "csr" | "block" | "nm";

export const weightOf = (step: ColumnsStep): WeightMatrix | undefined =>
  step.weight.kind === "constant" ? step.weight.matrix : undefined;

/** The variants of a format that can run a step, cheapest first by the cost model. */
export function ranked({ step, problem }: ColumnsPlace, format: Format, kind: AdapterKind): Ranked[] {
  const weight = columnsWeight(step.weight);
  const density = "values" in weight ? storedDensity(problem, format, weight) : 1;
  const { largestBinding = Number.POSITIVE_INFINITY } = kind;
  return rank(problem, format, density, kind).filter(
    ({ variant }) =>
      takesWeight(problem, variant, weight) &&
      (!("values" in weight) || weightBytes(problem, variant, weight) <= largestBinding),
  );
}

/** What a step runs as where nothing else was asked for or is cheaper. Throws E_GPU where no kernel holds the weight. */
function cheapestDense(place: ColumnsPlace, kind: AdapterKind): Ranked {
  return ranked(place, "dense", kind)[0] ?? tooLarge(place, kind);
}

export function tooLarge({ step, problem }: ColumnsPlace, kind: AdapterKind): never {
  const mib = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;
  throw new GpuError(
    "E_GPU",
    `layer "${step.name}": a weight of ${step.rows} x ${problem.k} takes ${mib(4 * step.rows * problem.k)}, but one binding of this adapter holds ` +
      `at most ${mib(kind.largestBinding ?? 0)}. Prune the layer, so that a sparse format holds it, or use an adapter that holds more.`,
  );
}

const columnsWeight = (w: StepWeight): ColumnsWeight => (w.kind === "constant" ? w.matrix : w);

/** Share of weights that are not zero; 1 for a variable weight, whose zeros may move. */
export function densityOf(step: ColumnsStep): number {
  const weight = weightOf(step);
  if (!weight) return 1;
  let nonzero = 0;
  for (const value of weight.values) if (value !== 0) nonzero++;
  return nonzero / Math.max(1, weight.values.length);
}

/** What N:M may store over what blocks of as many rows do, to be worth considering: with more it is no N:M mask. */
const mostPadded = 1.1;

/** Rows times rows times columns whose patterns are compared to cluster rows, at most: some seconds per size of block. */
const mostCompared = 2 ** 35;

/**
 * Formats worth considering for a layer: dense always; a sparse one only where it stores less than it skips; rows are only
 * clustered or sliced where consecutive ones do not share their zeros already, and clustered where that takes seconds, not minutes; N:M
 * only where the weights are so.
 */
export function formatsFor({ step, problem }: ColumnsPlace, density: number): Format[] {
  if (step.weight.kind === "variable" || step.weight.matrix.k === 0) return ["dense"];
  const { matrix } = step.weight;
  const held = (format: Format): boolean => !isHalf(format) || halfScale(matrix) !== undefined;
  if (density > 0.8) return formats.filter((format) => isDense(format) && held(format));
  const regular = (format: Format): boolean => {
    const r = blockRowsOf(format);
    const least = r === 1 ? density : storedDensity(problem, `block${r}x1` as Format, matrix);
    return storedDensity(problem, format, matrix) <= mostPadded * least;
  };
  const unstructured = storedDensity(problem, "block4x1", matrix) > 1.3 * density;
  return formats.filter(
    (format) =>
      (unstructured || !(isClustered(format) || format === "ell")) &&
      (matrix.rows ** 2 * matrix.k <= mostCompared || !isClustered(format)) &&
      held(format) &&
      (!isNm(format) || regular(format)),
  );
}

export function layerPlan(
  place: ColumnsPlace,
  chosen: Ranked,
  density: number,
  candidates: readonly Candidate[],
  reason: string,
): Choice {
  const { step, problem } = place;
  const { variant, cut } = chosen;
  const realised = realise(problem, variant, cut, columnsWeight(step.weight));
  return {
    variant,
    realised,
    layer: {
      layer: step.name,
      op: step.node.op,
      format: variant.format,
      kernel: variant.name,
      density,
      bytes: realised.bytes,
      reason,
      candidates,
    },
  };
}

/**
 * What clustering leaves of the values that blocks of consecutive rows store, at best: on really pruned layers it left 90 to
 * 94 % at 90 and 95 % sparsity (bench/results/dlmc.json).
 */
const leastClustered = 0.85;

/** The best of each format by the cost model, cheapest first. Rows are clustered, which takes longest, only where that could win. */
export function bestPerFormat(place: ColumnsPlace, kind: AdapterKind): Ranked[] {
  const list = formatsFor(place, densityOf(place.step));
  const best = (formats: readonly Format[]): Ranked[] =>
    formats.flatMap((format) => ranked(place, format, kind).slice(0, 1));
  const found = best(list.filter((format) => !isClustered(format)));
  const limit = Math.min(...found.map((r) => r.cost));
  const weight = weightOf(place.step);
  const clustered = list.filter((format) => {
    if (!isClustered(format) || !weight) return false;
    const consecutive = storedDensity(place.problem, `block${blockRowsOf(format)}x1` as Format, weight);
    const [likeliest] = rank(place.problem, format, leastClustered * consecutive, kind);
    return likeliest !== undefined && likeliest.cost < limit;
  });
  return [...found, ...best(clustered)].sort((a, b) => a.cost - b.cost);
}

const asCandidate = (r: Ranked): Candidate => ({
  format: r.variant.format,
  kernel: r.variant.name,
  estimate: Number((r.cost / 1e6).toFixed(3)),
});

/** Cheapest by the cost model; nothing runs. */
export function chooseEstimated(place: ColumnsPlace, kind: AdapterKind): Choice {
  const best = bestPerFormat(place, kind);
  const [first = tooLarge(place, kind)] = best;
  return layerPlan(place, first, densityOf(place.step), best.map(asCandidate), "cheapest by the cost model");
}

/** The best of each format of a family, cheapest first; none where it does not apply to the layer. */
function bestOfFamily(place: ColumnsPlace, forced: Forced, kind: AdapterKind): Ranked[] {
  const wanted = formats.filter((f) =>
    forced === "block" || forced === "nm" ? f.startsWith(forced) : f === forced,
  );
  return (weightOf(place.step) || forced === "dense" ? wanted : [])
    .flatMap((format) => ranked(place, format, kind).slice(0, 1))
    .sort((a, b) => a.cost - b.cost);
}

/** What a layer costs by the cost model: the cheapest kernel of all, or of the family that was asked for. */
export function costOf(place: ColumnsPlace, kind: AdapterKind, forced?: Forced): number {
  const [best] = forced ? bestOfFamily(place, forced, kind) : bestPerFormat(place, kind);
  return (best ?? cheapestDense(place, kind)).cost;
}

/** One format family wherever it applies, dense where it does not: a variable weight is always dense, and few masks are N:M. */
export function chooseForced(place: ColumnsPlace, forced: Forced, kind: AdapterKind): Choice {
  const best = bestOfFamily(place, forced, kind);
  const chosen = best[0] ?? cheapestDense(place, kind);
  const but = weightOf(place.step)
    ? "the weights keep no N of every M columns"
    : "a variable weight is dense";
  const reason = `${forced} was asked for${best.length > 0 ? "" : `, but ${but}`}`;
  return layerPlan(place, chosen, densityOf(place.step), best.map(asCandidate), reason);
}

/** What a stored plan says. Throws E_PLAN when the plan lacks the layer or names what does not apply to it. */
export function chooseStored(place: ColumnsPlace, plan: Plan, kind: AdapterKind): Choice {
  const { step, problem } = place;
  const stored = plan.layers.find((l) => l.layer === step.name);
  if (!stored) {
    throw new PlanError(
      `the plan has no layer "${step.name}". It was made for another model; measure a new one.`,
    );
  }
  const variant = findVariant(stored.format, stored.kernel);
  const cut = variant && cutFor(problem, variant);
  if (!variant || !cut) {
    throw new PlanError(
      `the plan runs "${step.name}" as ${stored.format} by ${stored.kernel}, which does not apply to it at this shape. Measure a new plan.`,
    );
  }
  if (isHalf(variant.format) && weightOf(step) && halfScale(weightOf(step)!) === undefined) {
    throw new PlanError(
      `the plan runs "${step.name}" as ${stored.format}, but its weights are not those that half precision holds. Compile with precision "f16-weights", or measure a new plan.`,
    );
  }
  if (isNm(variant.format) && weightOf(step) && !takesWeight(problem, variant, weightOf(step)!)) {
    throw new PlanError(
      `the plan runs "${step.name}" as ${stored.format} by ${stored.kernel}, but its weights keep no N of every M columns, N at most M/2. Measure a new plan.`,
    );
  }
  if (!takesWeight(problem, variant, columnsWeight(step.weight))) {
    throw new PlanError(
      `the plan runs "${step.name}" as ${stored.format} by ${stored.kernel}, but its weight is variable and needs a dense kernel without a transform.`,
    );
  }
  if (!runsOn(variant, kind)) {
    if (roundsX(variant) && !kind.rounds) {
      throw new PlanError(
        `the plan runs "${step.name}" by ${stored.kernel}, which rounds activations. Compile with precision "f16", or measure a plan here.`,
      );
    }
    if (variant.loop === "matrix") {
      const { m, n, k, subgroup } = unitOf(variant);
      throw new PlanError(
        `the plan runs "${step.name}" by ${stored.kernel}, which this adapter cannot: it needs subgroups of ${subgroup} that multiply matrices of ${m} x ${k} by ${k} x ${n}. Measure a plan here.`,
      );
    }
    throw new PlanError(
      `the plan runs "${step.name}" by ${stored.kernel}, which this adapter cannot: it needs workgroups of ${variant.workgroup} and subgroups of ${subgroupOf(variant.loop)}. Measure a plan here.`,
    );
  }
  const realised = realise(problem, variant, cut, columnsWeight(step.weight));
  return { variant, realised, layer: { ...stored, density: densityOf(step) } };
}
