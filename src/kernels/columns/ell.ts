import { type ColumnMasks, type Combination, combineColumns, mostRows } from "./combine.ts";
import { oncePerMatrix } from "./known.ts";
import type { WeightMatrix } from "./pack.ts";
import type { ColumnsProblem } from "./problem.ts";
import { lanes, noPick, noRow, type Schedule } from "./slices.ts";

/** Weights of a row that one load of 8 columns may serve. */
const stepCounts = [1, 2, 3, 4] as const;

/** Loads to a chunk; more steps than two make code that an instruction cache does not hold. */
const loadsFor = (steps: number): 1 | 2 => (steps === 1 ? 2 : 1);

/**
 * What a load costs a thread of so many slices, in cycles of lavapipe (fitted): itself, and of every slice its share of
 * carrying the sums from chunk to chunk, and its steps.
 */
const costOf = (steps: number, slices: number): number => 35 + slices * (6 / loadsFor(steps) + 20 * steps);

/** Unstructured weights in groups of so many slices, columns combined; worked out once per matrix. */
export const scheduleEll = oncePerMatrix(combined);

/** Groups whose columns are combined to tell what a whole matrix will take. */
const sampled = 4;

/** Steps over those that full rows would need, in groups as large as there are rows for; of a large matrix by some of its groups. */
export function ellDensity(p: ColumnsProblem, w: WeightMatrix): number {
  const slices = [8, 4, 2].find((n) => n * lanes <= p.rowsPerGroup) ?? 2;
  const groups = groupsOf(p, w, slices * lanes);
  const some = groups.filter((_, i) => i % Math.ceil(groups.length / sampled) === 0);
  const steps = stepsFor(w, some, slices);
  const loads = some.reduce((sum, rows) => sum + combineColumns(masksOf(w, rows), steps).length, 0);
  const all = (loads / Math.max(1, some.length)) * groups.length;
  return (all * steps * slices * lanes) / Math.max(1, w.rows * w.k);
}

function combined(p: ColumnsProblem, w: WeightMatrix, slices: number): Schedule {
  const groups = groupsOf(p, w, slices * lanes);
  const steps = stepsFor(w, groups, slices);
  return laidOut(
    groups.map((rows) => combineColumns(masksOf(w, rows), steps)),
    steps,
    groups,
  );
}

/** The number of steps per load that costs the first of the groups, that of the longest rows, least. */
function stepsFor(w: WeightMatrix, [first]: readonly Uint32Array[], slices: number): number {
  const masks = masksOf(w, first ?? new Uint32Array());
  const costs = stepCounts.map((n) => combineColumns(masks, n).length * costOf(n, slices));
  return stepCounts[costs.indexOf(Math.min(...costs))]!;
}

function laidOut(
  combinations: readonly Combination[][],
  perLoad: number,
  groups: readonly Uint32Array[],
): Schedule {
  const rowsPerGroup = groups[0]?.length ?? lanes;
  const loads = loadsFor(perLoad);
  const steps = loads * perLoad;
  const starts = new Uint32Array(groups.length + 1);
  for (const [group, list] of combinations.entries())
    starts[group + 1] = starts[group]! + Math.ceil(list.length / loads);
  const columns = new Uint32Array(starts.at(-1)! * loads * lanes);
  const picks = new Uint8Array(starts.at(-1)! * rowsPerGroup * steps).fill(noPick);
  for (const [group, list] of combinations.entries()) {
    for (let i = 0; i < (starts[group + 1]! - starts[group]!) * loads; i++) {
      const load = starts[group]! * loads + i;
      const combination = list[i];
      // Lanes without a column load what another does.
      const any = combination?.columns[0] ?? columns[(load - 1) * lanes]!;
      for (let lane = 0; lane < lanes; lane++)
        columns[load * lanes + lane] = combination?.columns[lane] ?? any;
      if (combination) pick(combination, picks, load, rowsPerGroup, perLoad, loads);
    }
  }
  const rows = new Uint32Array(groups.length * rowsPerGroup);
  for (const [group, own] of groups.entries()) rows.set(own, group * rowsPerGroup);
  return { rowsPerGroup, steps, loads, starts, rows, columns, picks };
}

/** Notes which rows take which columns of a load. */
function pick(
  { columns, low, high }: Combination,
  picks: Uint8Array,
  load: number,
  rowsPerGroup: number,
  perLoad: number,
  loads: number,
): void {
  const chunk = Math.floor(load / loads);
  const within = load % loads;
  const counts = new Uint8Array(rowsPerGroup);
  for (let c = 0; c < columns.length; c++) {
    for (let place = 0; place < rowsPerGroup; place++) {
      const takes = place < mostRows / 2 ? low[c]! : high[c]!;
      if (((takes >>> (place % (mostRows / 2))) & 1) === 0) continue;
      picks[((chunk * rowsPerGroup + place) * loads + within) * perLoad + counts[place]!++] =
        within * lanes + c;
    }
  }
}

/** Rows of each group: those of like length together, so that few steps are zeros. */
function groupsOf(p: ColumnsProblem, w: WeightMatrix, rowsPerGroup: number): Uint32Array[] {
  const counts = new Uint32Array(w.rows);
  for (let i = 0; i < w.values.length; i++) if (w.values[i] !== 0) counts[Math.floor(i / w.k)]!++;
  const groups: Uint32Array[] = [];
  for (let g = 0; g < p.groups; g++) {
    const own = Array.from({ length: p.rowsPerGroup }, (_, i) => g * p.rowsPerGroup + i);
    own.sort((a, b) => counts[b]! - counts[a]! || a - b);
    for (let first = 0; first < own.length; first += rowsPerGroup) {
      const rows = new Uint32Array(rowsPerGroup).fill(noRow);
      rows.set(own.slice(first, first + rowsPerGroup));
      groups.push(rows);
    }
  }
  return groups;
}

function masksOf(w: WeightMatrix, rows: Uint32Array): ColumnMasks {
  const masks = { low: new Uint32Array(w.k), high: new Uint32Array(w.k) };
  for (const [place, row] of rows.entries()) {
    if (row === noRow) continue;
    const words = place < mostRows / 2 ? masks.low : masks.high;
    const bit = 1 << (place % (mostRows / 2));
    for (let k = 0; k < w.k; k++) if (w.values[row * w.k + k] !== 0) words[k]! |= bit;
  }
  return masks;
}
