import { popcount } from "./bits.ts";
import { lanes } from "./slices.ts";

/** Most rows of a group: bits of two words. */
export const mostRows = 64;

/** Which of up to 64 rows hold a weight in each column: rows 0 to 31 in `low`, the others in `high`. */
export interface ColumnMasks {
  readonly low: Uint32Array;
  readonly high: Uint32Array;
}

/** What lanes load at once: up to 8 columns, and of each the rows that take it. */
export interface Combination {
  readonly columns: number[];
  readonly low: number[];
  readonly high: number[];
}

/** Columns that may join a load: so many of those left, the first ones. More gain little, and cost time and what is near in x. */
const window = 256;

/**
 * Loads of 8 columns such that every weight is in one and no row has more than `steps` in any: column combining (Kung, McDanel and
 * Zhang, ASPLOS 2019, arXiv 1811.04770) without its pruning of conflicts; a column whose rows do not all find room comes again in a later load.
 * Greedy: the first column left, then whichever fills the most steps, less the rows it would leave behind and what loading it again
 * for them costs. Deterministic.
 */
export function combineColumns(masks: ColumnMasks, steps: number): Combination[] {
  const low = masks.low.slice();
  const high = masks.high.slice();
  const loads: Combination[] = [];
  const open: number[] = [];
  let next = 0;
  for (;;) {
    for (; open.length < window && next < low.length; next++) if (low[next] || high[next]) open.push(next);
    if (open.length === 0) return loads;
    const load: Combination = { columns: [], low: [], high: [] };
    // Row r has taken more than l columns: bit r of level l.
    const takenLow = new Uint32Array(steps);
    const takenHigh = new Uint32Array(steps);
    while (load.columns.length < lanes) {
      const freeLow = ~takenLow[steps - 1]!;
      const freeHigh = ~takenHigh[steps - 1]!;
      const at = load.columns.length === 0 ? 0 : fullest(open, low, high, freeLow, freeHigh);
      if (at < 0) break;
      const column = open[at]!;
      const takesLow = low[column]! & freeLow;
      const takesHigh = high[column]! & freeHigh;
      load.columns.push(column);
      load.low.push(takesLow >>> 0);
      load.high.push(takesHigh >>> 0);
      low[column]! &= ~takesLow;
      high[column]! &= ~takesHigh;
      count(takenLow, takesLow);
      count(takenHigh, takesHigh);
      if (low[column] === 0 && high[column] === 0) open.splice(at, 1);
    }
    loads.push(load);
  }
}

/** Steps that a column must fill more than another to be loaded once more for the rows left behind. */
const reloaded = 2;

/** Where in `open` the column is that gains most; -1 where none has a row that is free. */
function fullest(
  open: readonly number[],
  low: Uint32Array,
  high: Uint32Array,
  freeLow: number,
  freeHigh: number,
): number {
  let best = -1;
  let most = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < open.length; i++) {
    const l = low[open[i]!]!;
    const h = high[open[i]!]!;
    const takes = popcount(l & freeLow) + popcount(h & freeHigh);
    if (takes === 0) continue;
    const left = popcount(l & ~freeLow) + popcount(h & ~freeHigh);
    const gain = takes - left - (left > 0 ? reloaded : 0);
    if (gain > most) {
      most = gain;
      best = i;
    }
  }
  return best;
}

/** One more for each of the rows. */
function count(taken: Uint32Array, rows: number): void {
  let carried = rows;
  for (let level = 0; level < taken.length && carried !== 0; level++) {
    const before = taken[level]!;
    taken[level] = before | carried;
    carried &= before;
  }
}
