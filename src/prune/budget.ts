import { PruneError } from "../errors.ts";
import { nthSmallest } from "./nth-smallest.ts";

/** State of a unit before this step. */
export const unitState = { live: 0, zero: 1, masked: 2 } as const;

/** The units of one layer that compete for a budget. */
export interface UnitPool {
  readonly layer: string;
  /** Higher is kept. */
  readonly scores: Float64Array;
  /** A `unitState` per unit. */
  readonly states: Uint8Array;
}

/**
 * Units to remove out of `count` for sparsity `s`: the nearest whole number (halves up), so the share reached is within
 * half a unit of what was asked.
 */
export const removedUnits = (count: number, s: number): number => Math.min(count, Math.round(s * count));

/** How a number of filters comes from a rate, in IEEE double, exactly in this order (both are published rules). */
export type FilterRounding = "kept" | "removed";

/**
 * Filters that stay of `count` at sparsity `s`. "kept" (default) cuts the kept count, trunc(count·(1 − s)), the rule of
 * HRankPlus; "removed" cuts the removed count, trunc(count·s), the rule of HRank. They differ: 16 at 0.4 keeps 9 or 10.
 * With `roundTo` the count becomes the nearest multiple (halves up) that is not above `count`; a layer narrower than one
 * multiple is left alone. At least one filter, or one multiple, always stays.
 */
export function keptFilters(
  count: number,
  s: number,
  rounding: FilterRounding = "kept",
  roundTo = 1,
): number {
  const kept = rounding === "kept" ? Math.trunc(count * (1 - s)) : count - Math.trunc(count * s);
  return roundFilters(count, kept, roundTo);
}

/** `kept` of `count` filters brought to a multiple of `roundTo`, at least one and never above `count`. */
export function roundFilters(count: number, kept: number, roundTo: number): number {
  if (kept >= count || count < roundTo) return count;
  const nearest = Math.floor(kept / roundTo + 0.5) * roundTo;
  const most = Math.floor(count / roundTo) * roundTo;
  return Math.max(roundTo, Math.min(nearest, most));
}

/**
 * Chooses exactly `target` units over all pools: masked ones first (all of them, even beyond the target: what is masked
 * stays masked), then stored zeros, then live ones by rising score. Ties go by pool and index, lowest first, so the choice
 * depends on nothing but the numbers. Returns one flag per unit and pool. Throws E_PRUNE on a score that is not a number.
 */
export function chooseUnits(pools: readonly UnitPool[], target: number): Uint8Array[] {
  const total = pools.reduce((n, pool) => n + pool.scores.length, 0);
  const keys = new Float64Array(total);
  let at = 0;
  let masked = 0;
  for (const pool of pools) {
    for (let i = 0; i < pool.scores.length; i++) {
      const key = keyOf(pool, i);
      if (key === Number.NEGATIVE_INFINITY) masked++;
      keys[at++] = key;
    }
  }
  const wanted = Math.min(total, Math.max(target, masked));
  const flags = pools.map((pool) => new Uint8Array(pool.scores.length));
  if (wanted === 0) return flags;
  const { value: threshold, ties: allowed } = nthSmallest(keys, wanted - 1);
  let ties = allowed;
  at = 0;
  for (const flag of flags) {
    for (let i = 0; i < flag.length; i++) {
      const key = keys[at++]!;
      // Of the units that tie with the threshold, only as many go as are still missing.
      if (key < threshold) flag[i] = 1;
      else if (key === threshold && ties > 0) {
        flag[i] = 1;
        ties--;
      }
    }
  }
  return flags;
}

/**
 * Chooses the nearest whole number to `share` of every row's units, lowest first as in `chooseUnits`; `rows` says which row
 * each unit lies in.
 */
export function chooseRows(pool: UnitPool, rows: Uint32Array, share: number): Uint8Array {
  const removed = new Uint8Array(pool.scores.length);
  const count = rows.reduce((most, row) => Math.max(most, row + 1), 0);
  // Units row by row: where each row begins, then its units in order.
  const starts = new Uint32Array(count + 1);
  for (let unit = 0; unit < rows.length; unit++) starts[rows[unit]! + 1]!++;
  for (let row = 0; row < count; row++) starts[row + 1]! += starts[row]!;
  const units = new Uint32Array(rows.length);
  const next = starts.slice();
  for (let unit = 0; unit < rows.length; unit++) units[next[rows[unit]!]!++] = unit;
  for (let row = 0; row < count; row++) {
    const own = units.subarray(starts[row], starts[row + 1]);
    takeLowest(pool, own, removedUnits(own.length, share), removed);
  }
  return removed;
}

/**
 * N:M: of every `of` consecutive units in a row of `columns`, all but the `keep` best go; the last group of a row may be
 * shorter and keeps at most as many. What is masked goes in any case.
 */
export function chooseGroups(
  pool: UnitPool,
  columns: number,
  { keep, of }: { readonly keep: number; readonly of: number },
): Uint8Array {
  const removed = new Uint8Array(pool.scores.length);
  for (let row = 0; row < removed.length; row += columns) {
    for (let from = 0; from < columns; from += of) {
      takeFew(pool, row + from, row + Math.min(columns, from + of), keep, removed);
    }
  }
  return removed;
}

/**
 * Marks all but the `keep` best of the units from `first` to before `end`, and all that are masked; of equal ones the first
 * goes. Looks through the group once per removal: millions of groups of a few units cost no memory.
 */
function takeFew(pool: UnitPool, first: number, end: number, keep: number, removed: Uint8Array): void {
  let left = end - first - keep;
  for (let unit = first; unit < end; unit++) {
    if (pool.states[unit] !== unitState.masked) continue;
    removed[unit] = 1;
    left--;
  }
  for (; left > 0; left--) {
    let lowest = -1;
    let least = 0;
    for (let unit = first; unit < end; unit++) {
      if (removed[unit] !== 0) continue;
      const key = keyOf(pool, unit);
      if (lowest >= 0 && key >= least) continue;
      lowest = unit;
      least = key;
    }
    removed[lowest] = 1;
  }
}

/** Marks the `count` lowest of some units, and all that are masked; ties go by place in the list. */
function takeLowest(pool: UnitPool, units: Uint32Array, count: number, removed: Uint8Array): void {
  const keys = new Float64Array(units.length);
  for (let i = 0; i < keys.length; i++) keys[i] = keyOf(pool, units[i]!);
  const sorted = keys.slice().sort();
  const threshold = count > 0 ? sorted[count - 1]! : Number.NEGATIVE_INFINITY;
  let ties = Math.max(0, count);
  for (let i = 0; i < sorted.length && sorted[i]! < threshold; i++) ties--;
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    if (key < threshold || key === Number.NEGATIVE_INFINITY) removed[units[i]!] = 1;
    else if (key === threshold && ties > 0) {
      removed[units[i]!] = 1;
      ties--;
    }
  }
}

/** Sort key of a unit: masked below zero-valued below everything alive. */
function keyOf(pool: UnitPool, i: number): number {
  if (pool.states[i] === unitState.masked) return Number.NEGATIVE_INFINITY;
  if (pool.states[i] === unitState.zero) return -Number.MAX_VALUE;
  const score = pool.scores[i]!;
  if (!Number.isNaN(score)) return score;
  throw new PruneError(
    `the score of unit ${i} of layer "${pool.layer}" is not a number; its weights or evidence contain NaN. ` +
      "Repair the model, or leave the layer out with skip.",
  );
}
