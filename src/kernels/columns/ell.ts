import { type ColumnMasks, combineColumns, mostRows } from "./combine.ts";
import type { WeightMatrix } from "./pack.ts";
import type { ColumnsProblem } from "./problem.ts";
import { lanes, noPick, noRow, type Schedule, scheduledDensity } from "./slices.ts";

/** Weights per row and chunk that a schedule may have. */
const stepCounts = [1, 2, 3, 4] as const;

/**
 * What a chunk costs a thread of so many slices, in cycles of a step of one slice (fitted to N:M on lavapipe): its loads of x,
 * and of every slice its sums, which are carried to the next chunk, and its steps.
 */
const chunkCost = (slices: number, steps: number): number => 35 + slices * (6 + 20 * steps);

const known = new WeakMap<WeightMatrix, Map<number, Schedule>>();

/** Unstructured weights in groups of `slices` slices, columns combined; worked out once per matrix. */
export function scheduleEll(p: ColumnsProblem, w: WeightMatrix, slices: number): Schedule {
  let schedules = known.get(w);
  if (!schedules) {
    schedules = new Map();
    known.set(w, schedules);
  }
  let schedule = schedules.get(slices);
  if (!schedule) {
    schedule = combined(p, w, slices);
    schedules.set(slices, schedule);
  }
  return schedule;
}

/** Steps over those that full rows would need, in groups as large as there are rows for. */
export function ellDensity(p: ColumnsProblem, w: WeightMatrix): number {
  const fitting = [8, 4, 2].find((slices) => slices * lanes <= p.rowsPerGroup) ?? 2;
  return scheduledDensity(scheduleEll(p, w, fitting), w);
}

function combined(p: ColumnsProblem, w: WeightMatrix, slices: number): Schedule {
  const rowsPerGroup = lanes * slices;
  const rows = rowsOfGroups(p, w, rowsPerGroup);
  const masks = Array.from({ length: rows.length / rowsPerGroup }, (_, group) =>
    masksOf(w, rows.subarray(group * rowsPerGroup, (group + 1) * rowsPerGroup)),
  );
  const [sample] = masks;
  const costs = stepCounts.map((n) => (sample ? combineColumns(sample, n).length : 0) * chunkCost(slices, n));
  const steps = stepCounts[costs.indexOf(Math.min(...costs))]!;
  const groups = masks.map((mask) => combineColumns(mask, steps));
  const starts = new Uint32Array(groups.length + 1);
  for (const [group, chunks] of groups.entries()) starts[group + 1] = starts[group]! + chunks.length;
  const columns = new Uint32Array(starts.at(-1)! * lanes);
  const picks = new Uint8Array(starts.at(-1)! * rowsPerGroup * steps).fill(noPick);
  for (const [at, chunk] of groups.flat().entries()) {
    // Lanes without a column load what the first does.
    for (let lane = 0; lane < lanes; lane++)
      columns[at * lanes + lane] = chunk.columns[lane] ?? chunk.columns[0]!;
    const counts = new Uint8Array(rowsPerGroup);
    for (let i = 0; i < chunk.columns.length; i++) {
      for (let place = 0; place < rowsPerGroup; place++) {
        const takes = place < mostRows / 2 ? chunk.low[i]! : chunk.high[i]!;
        if (((takes >>> (place % (mostRows / 2))) & 1) === 0) continue;
        picks[(at * rowsPerGroup + place) * steps + counts[place]!++] = i;
      }
    }
  }
  return { rowsPerGroup, steps, starts, rows, columns, picks };
}

/** Rows of each group: those of like length together, so that few steps are zeros. */
function rowsOfGroups(p: ColumnsProblem, w: WeightMatrix, rowsPerGroup: number): Uint32Array {
  const counts = new Uint32Array(w.rows);
  for (let i = 0; i < w.values.length; i++) if (w.values[i] !== 0) counts[Math.floor(i / w.k)]!++;
  const each = Math.ceil(p.rowsPerGroup / rowsPerGroup) * rowsPerGroup;
  const rows = new Uint32Array(each * p.groups).fill(noRow);
  for (let group = 0; group < p.groups; group++) {
    const first = group * p.rowsPerGroup;
    const own = Array.from({ length: p.rowsPerGroup }, (_, i) => first + i);
    rows.set(
      own.sort((a, b) => counts[b]! - counts[a]! || a - b),
      group * each,
    );
  }
  return rows;
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
