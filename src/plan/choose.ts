import { PlanError } from "../errors.ts";
import type { WeightMatrix } from "../kernels/columns/pack.ts";
import type { ColumnCut } from "../kernels/columns/problem.ts";
import {
  cutFor,
  type Format,
  findVariant,
  formats,
  packFor,
  type Variant,
} from "../kernels/columns/variants.ts";
import type { ColumnsPlace } from "./columns-place.ts";
import { type AdapterKind, type Ranked, rank } from "./estimate.ts";
import type { Candidate, LayerPlan, Plan } from "./plan.ts";
import type { ColumnsStep } from "./program.ts";

/** The variant that runs a columns step, and what the plan says about it. */
export interface Choice {
  readonly variant: Variant;
  readonly cut: ColumnCut;
  readonly layer: LayerPlan;
}

/** Format families that a plan can be told to use wherever they apply. */
export type Forced = "dense" | "csr" | "block";

export const weightOf = (step: ColumnsStep): WeightMatrix | undefined =>
  step.weight.kind === "constant" ? step.weight.matrix : undefined;

/** Share of weights that are not zero; 1 for a variable weight, whose zeros may move. */
export function densityOf(step: ColumnsStep): number {
  const weight = weightOf(step);
  if (!weight) return 1;
  let nonzero = 0;
  for (const value of weight.values) if (value !== 0) nonzero++;
  return nonzero / Math.max(1, weight.values.length);
}

/** Formats worth considering for a layer: dense always; a sparse one only where it stores less than it skips. */
export function formatsFor(step: ColumnsStep, density: number): Format[] {
  if (step.weight.kind === "variable" || density > 0.8 || step.weight.matrix.k === 0) return ["dense"];
  return [...formats];
}

export function layerPlan(
  place: ColumnsPlace,
  chosen: Ranked,
  density: number,
  candidates: readonly Candidate[],
  reason: string,
): Choice {
  const { step, problem } = place;
  const weight = weightOf(step);
  const bytes = weight ? packFor(problem, chosen.variant, weight).bytes : step.rows * problem.k * 4;
  return {
    variant: chosen.variant,
    cut: chosen.cut,
    layer: {
      layer: step.name,
      op: step.node.op,
      format: chosen.variant.format,
      kernel: chosen.variant.name,
      density,
      bytes,
      reason,
      candidates,
    },
  };
}

/** The best of each format by the cost model, cheapest first. */
export function bestPerFormat(place: ColumnsPlace, kind: AdapterKind): Ranked[] {
  const weight = weightOf(place.step);
  return formatsFor(place.step, densityOf(place.step))
    .flatMap((format) => rank(place.problem, format, weight, kind).slice(0, 1))
    .sort((a, b) => a.cost - b.cost);
}

const asCandidate = (r: Ranked): Candidate => ({
  format: r.variant.format,
  kernel: r.variant.name,
  estimate: Number((r.cost / 1e6).toFixed(3)),
});

/** Cheapest by the cost model; nothing runs. */
export function chooseEstimated(place: ColumnsPlace, kind: AdapterKind): Choice {
  const ranked = bestPerFormat(place, kind);
  const density = densityOf(place.step);
  return layerPlan(place, ranked[0]!, density, ranked.map(asCandidate), "cheapest by the cost model");
}

/** One format family wherever it applies, dense where it does not (a variable weight is always dense). */
export function chooseForced(place: ColumnsPlace, forced: Forced, kind: AdapterKind): Choice {
  const weight = weightOf(place.step);
  const wanted = formats.filter((f) => (forced === "block" ? f.startsWith("block") : f === forced));
  const ranked = (weight || forced === "dense" ? wanted : [])
    .flatMap((format) => rank(place.problem, format, weight, kind).slice(0, 1))
    .sort((a, b) => a.cost - b.cost);
  const chosen = ranked[0] ?? rank(place.problem, "dense", weight, kind)[0]!;
  const reason =
    ranked.length > 0 ? `${forced} was asked for` : `${forced} was asked for, but a variable weight is dense`;
  return layerPlan(place, chosen, densityOf(place.step), ranked.map(asCandidate), reason);
}

/** What a stored plan says. Throws E_PLAN when the plan lacks the layer or names what does not apply to it. */
export function chooseStored(place: ColumnsPlace, plan: Plan): Choice {
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
  if (step.weight.kind === "variable" && variant.format !== "dense") {
    throw new PlanError(
      `the plan runs "${step.name}" as ${stored.format}, but its weight is variable and needs dense.`,
    );
  }
  return { variant, cut, layer: { ...stored, density: densityOf(step) } };
}
