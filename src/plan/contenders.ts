import { type Format, isDense } from "../kernels/columns/formats.ts";
import type { WeightMatrix } from "../kernels/columns/pack.ts";
import { roundsX } from "../kernels/columns/variants.ts";
import { densityOf, formatsFor, ranked, tooLarge, weightOf } from "./choose.ts";
import type { ColumnsPlace } from "./columns-place.ts";
import type { AdapterKind, Ranked } from "./estimate.ts";
import { raceKey } from "./tuning-key.ts";

/** Dense variants tried once per geometry, and variants tried per sparse format. */
const denseTries = 6;
/** Of each dense algorithm: the cost model tells kernels of one apart better than it tells algorithms apart. */
const algorithmTries = 2;
const sparseTries = 2;
/** A sparse format that stores more than this cannot win; no measurement is spent on it. */
const mostStored = 0.85;

/** What measuring a layer means: the contenders that the cost model lets through, and under which keys their races are known. */
export interface Field {
  readonly place: ColumnsPlace;
  /** Share of the weights that are not zero. */
  readonly density: number;
  /**
   * Cheapest first by the cost model, as is `sparse`: those of every other format, dense in half precision too. None where only a sparse
   * format holds the weight.
   */
  readonly dense: readonly Ranked[];
  readonly sparse: readonly Ranked[];
  /** Of the race of the dense variants among themselves. */
  readonly denseKey: string;
  /** Of the race of the fastest of them with the sparse ones; equal layers have equal keys. */
  readonly key: string;
  /** By the cost model, of the cheapest contender. */
  readonly cost: number;
}

export function fieldOf(place: ColumnsPlace, kind: AdapterKind): Field {
  const { problem, step } = place;
  const density = densityOf(step);
  const how = { variable: step.weight.kind === "variable", ...(kind.rounds && { rounds: true }) };
  const dense = likeliest(ranked(place, "dense", kind));
  const densities = new Map<Format, number>();
  const sparse: Ranked[] = [];
  for (const format of formatsFor(place, density)) {
    const list = format === "dense" ? [] : ranked(place, format, kind);
    if (list.length === 0) continue;
    densities.set(format, list[0]!.density);
    if (isDense(format) || list[0]!.density <= mostStored) sparse.push(...tried(list, sparseTries));
  }
  if (dense.length + sparse.length === 0) tooLarge(place, kind);
  return {
    place,
    density,
    dense,
    sparse: sparse.sort((a, b) => a.cost - b.cost),
    denseKey: raceKey(problem, how),
    key: raceKey(problem, how, sparse.length > 0 ? densities : undefined),
    cost: Math.min(...[...dense, ...sparse].map((r) => r.cost)),
  };
}

/**
 * In which the cost model errs most, so that both sides of each are tried: rounding of activations, textures, the order of
 * workgroups, and slices of many rows or of many columns.
 */
const contrasts: readonly ((r: Ranked) => boolean)[] = [
  (r) => roundsX(r.variant),
  (r) => r.variant.texels ?? false,
  (r) => r.variant.rowsFirst ?? false,
  (r) => r.variant.loop === "slices" && r.variant.rows > 32,
];

/** The cheapest, with the cheapest of either side of every contrast among them. */
export function tried(list: readonly Ranked[], most: number): Ranked[] {
  const [first] = list;
  if (!first) return [];
  const others = contrasts.flatMap((side) => list.find((r) => side(r) !== side(first)) ?? []);
  return [...new Set([first, ...others, ...list])].slice(0, Math.max(most, 1 + others.length));
}

/**
 * The cheapest of all, and the cheapest of each dense algorithm: direct, with K split, and Winograd by the side of its tiles; direct in
 * half precision, out of textures, and rows first, count as ones too.
 */
function likeliest(dense: readonly Ranked[]): Ranked[] {
  const before = new Map<string, number>();
  return dense.filter(({ variant }, i) => {
    const algorithm = `${variant.winograd} ${variant.parts > 1} ${roundsX(variant)} ${variant.texels} ${variant.rowsFirst}`;
    const rank = before.get(algorithm) ?? 0;
    before.set(algorithm, rank + 1);
    return i < denseTries || rank < algorithmTries;
  });
}

/** What a layer is measured with: its own weights, or some where they may change. */
export const weightFor = ({ step, problem }: ColumnsPlace): WeightMatrix =>
  weightOf(step) ?? {
    rows: step.rows,
    k: problem.k,
    values: new Float32Array(step.rows * problem.k).fill(0.5),
  };

/** Position of a contender among all of its field in the cost model's order, from 1. */
export const rankIn = ({ dense, sparse }: Field, chosen: Ranked): number =>
  1 + [...dense, ...sparse].filter((r) => r.cost < chosen.cost).length;
