import { oncePerMatrix } from "./known.ts";
import {
  blocksPerGroup,
  type Packed,
  packed,
  presentColumns,
  rowsOfBlock,
  type WeightMatrix,
} from "./pack.ts";
import type { ColumnsProblem } from "./problem.ts";
import { lanes, noPick, noRow, type Schedule } from "./slices.ts";

/**
 * At most `n` of every `m` consecutive columns of W, the last of which may be fewer, hold a value in some of R consecutive rows
 * (vector-wise N:M; Zhou et al. 2021, arXiv 2102.04010, for R = 1; NM-SpMM, arXiv 2503.01253, for more).
 */
export interface Pattern {
  readonly n: number;
  readonly m: number;
}

const groupSizes = [4, 8, 16] as const;

/** Bits of a position within its group. */
const bitsOf = ({ m }: Pattern): number => (m === 4 ? 2 : 4);

/** Entries whose positions share a word: those of as many whole groups as fit. */
const entriesPerWord = (pattern: Pattern): number =>
  Math.floor(32 / (pattern.n * bitsOf(pattern))) * pattern.n;

const patterns = oncePerMatrix((p, w, key: string) => {
  const [r, most] = key.split(" ").map(Number) as [number, number];
  return findPattern(p, w, r, most);
});

/**
 * The pattern that stores least of the matrix cut into blocks of `r` rows, of groups of up to `most` columns; of equal ones that of
 * the smallest groups. Undefined where none stores at most half: dense kernels win there, and ones that write so many weights of
 * a group out take long to compile.
 */
export const patternOf = (p: ColumnsProblem, w: WeightMatrix, r: number, most = 16): Pattern | undefined =>
  patterns(p, w, `${r} ${most}`);

/** The pattern of single rows that chunks of lib/slices hold whole groups of. */
export const slicePatternOf = (p: ColumnsProblem, w: WeightMatrix): Pattern | undefined =>
  patternOf(p, w, 1, lanes);

function findPattern(p: ColumnsProblem, w: WeightMatrix, r: number, most: number): Pattern | undefined {
  const sizes = groupSizes.filter((m) => m <= most);
  const fullest = sizes.map(() => 1);
  for (let b = 0; b < blocksPerGroup(p, r) * p.groups; b++) {
    const present = presentColumns(w, rowsOfBlock(p, b, r));
    for (const [i, m] of sizes.entries()) {
      let group = -1;
      let count = 0;
      for (const k of present) {
        const own = Math.floor(k / m);
        count = own === group ? count + 1 : 1;
        group = own;
        fullest[i] = Math.max(fullest[i]!, count);
      }
    }
  }
  return sizes
    .map((m, i): Pattern => ({ n: fullest[i]!, m }))
    .filter(({ n, m }) => 2 * n <= Math.min(m, p.k))
    .sort((a, b) => a.n / a.m - b.n / b.m || a.m - b.m)[0];
}

const groupsPerRow = (k: number, m: number): number => Math.ceil(k / m);

/** Share of values that the pattern stores, rows that fill up the last block apart; 1 where there is none. */
export function nmDensity(p: ColumnsProblem, w: WeightMatrix, r: number): number {
  const pattern = patternOf(p, w, r);
  return pattern ? (groupsPerRow(p.k, pattern.m) * pattern.n) / p.k : 1;
}

/** Columns of the entries of some rows, N per group; -1 where a group holds fewer. */
function entryColumns(w: WeightMatrix, rows: readonly number[], { n, m }: Pattern): Int32Array {
  const columns = new Int32Array(groupsPerRow(w.k, m) * n).fill(-1);
  const counts = new Uint8Array(groupsPerRow(w.k, m));
  for (const k of presentColumns(w, rows)) {
    const group = Math.floor(k / m);
    columns[group * n + counts[group]!++] = k;
  }
  return columns;
}

/** What a kernel must know of a pattern; `step` is that from tap to tap where all lie evenly. */
function knowing(pattern: Pattern, step: number | undefined): Packed["launch"] {
  return {
    spec: { N: pattern.n, M: pattern.m, BITS: bitsOf(pattern) },
    constants: { EVEN: step === undefined ? 0 : 1 },
    params: { x_tap: step ?? 0 },
    bindings: step === undefined ? {} : { offsets: "positions" },
  };
}

/** The step from each offset to the next, where it is always the same. */
function evenStep(offsets: Uint32Array): number | undefined {
  const step = offsets[1] ?? 0;
  return offsets.every((o, k) => o === k * step) ? step : undefined;
}

/** N weights per group of M columns for each block of `r` rows, for lib/nm-entries: positions in words, weights entry by entry. */
export function packNm(p: ColumnsProblem, w: WeightMatrix, r: number, offsets: Uint32Array): Packed {
  const pattern = patternOf(p, w, r)!;
  const blocks = blocksPerGroup(p, r) * p.groups;
  const entries = groupsPerRow(p.k, pattern.m) * pattern.n;
  const words = Math.ceil(entries / entriesPerWord(pattern));
  const positions = new Uint32Array(blocks * words);
  const weights = new Float32Array(blocks * entries * r);
  forEntries(p, w, r, pattern, (b, e, rows, column) => {
    positions[b * words + wordOf(e, pattern)]! |= fieldOf(e, column, pattern);
    for (const [i, row] of rows.entries()) weights[(b * entries + e) * r + i] = w.values[row * w.k + column]!;
  });
  return finished(w, pattern, positions, weights, offsets);
}

/** The same for lib/nm-vector: word by word and entry by entry, blocks side by side; whole words of entries. */
export function packNmVector(p: ColumnsProblem, w: WeightMatrix, r: number, offsets: Uint32Array): Packed {
  const pattern = patternOf(p, w, r)!;
  const blocks = blocksPerGroup(p, r);
  const words = Math.ceil((groupsPerRow(p.k, pattern.m) * pattern.n) / entriesPerWord(pattern));
  const positions = new Uint32Array(words * blocks);
  const weights = new Float32Array(words * entriesPerWord(pattern) * blocks * r);
  /** Rows of a load. */
  const per = Math.min(r, 4);
  forEntries(p, w, r, pattern, (b, e, rows, column) => {
    positions[wordOf(e, pattern) * blocks + b]! |= fieldOf(e, column, pattern);
    for (const [i, row] of rows.entries()) {
      const load = e * (r / per) + Math.floor(i / per);
      weights[(load * blocks + b) * per + (i % per)] = w.values[row * w.k + column]!;
    }
  });
  const packing = finished(w, pattern, positions, weights, offsets);
  return {
    ...packing,
    launch: { ...packing.launch, params: { ...packing.launch?.params, blocks_per_group: blocks } },
  };
}

const wordOf = (e: number, pattern: Pattern): number => Math.floor(e / entriesPerWord(pattern));

const fieldOf = (e: number, column: number, pattern: Pattern): number =>
  (column % pattern.m) << ((e % entriesPerWord(pattern)) * bitsOf(pattern));

/** Calls `store` for every entry of every block that holds weights. */
function forEntries(
  p: ColumnsProblem,
  w: WeightMatrix,
  r: number,
  pattern: Pattern,
  store: (block: number, entry: number, rows: readonly number[], column: number) => void,
): void {
  for (let b = 0; b < blocksPerGroup(p, r) * p.groups; b++) {
    const rows = rowsOfBlock(p, b, r);
    for (const [e, column] of entryColumns(w, rows, pattern).entries())
      if (column >= 0) store(b, e, rows, column);
  }
}

function finished(
  w: WeightMatrix,
  pattern: Pattern,
  positions: Uint32Array,
  weights: Float32Array,
  offsets: Uint32Array,
): Packed {
  const step = evenStep(offsets);
  return {
    ...packed(
      { positions, weights, ...(step === undefined && { offsets }) },
      weights.length / Math.max(1, w.rows * w.k),
    ),
    launch: knowing(pattern, step),
  };
}

/**
 * N:M of single rows in groups of `slices` slices: chunks of consecutive columns, of which every row takes as many as of any other;
 * two loads to a chunk where a row takes one of each.
 */
export function scheduleNm(p: ColumnsProblem, w: WeightMatrix, slices: number): Schedule {
  const pattern = slicePatternOf(p, w)!;
  const perLoad = (pattern.n * lanes) / pattern.m;
  const loads = perLoad === 1 ? 2 : 1;
  const steps = loads * perLoad;
  const perChunk = loads * lanes;
  const perRow = Math.ceil(p.k / perChunk);
  const rowsPerGroup = lanes * slices;
  const perGroup = blocksPerGroup(p, rowsPerGroup);
  const groups = p.groups * perGroup;
  const picks = new Uint8Array(groups * perRow * rowsPerGroup * steps).fill(noPick);
  const rows = new Uint32Array(groups * rowsPerGroup).fill(noRow);
  for (let row = 0; row < w.rows; row++) {
    const within = row % p.rowsPerGroup;
    const group = Math.floor(row / p.rowsPerGroup) * perGroup + Math.floor(within / rowsPerGroup);
    const place = within % rowsPerGroup;
    rows[group * rowsPerGroup + place] = row;
    const counts = new Uint8Array(perRow * loads);
    for (const column of presentColumns(w, [row])) {
      const load = Math.floor(column / lanes);
      const chunk = Math.floor(load / loads);
      const first = ((group * perRow + chunk) * rowsPerGroup + place) * steps + (load % loads) * perLoad;
      picks[first + counts[load]!++] = column % perChunk;
    }
  }
  return {
    rowsPerGroup,
    steps,
    loads,
    starts: Uint32Array.from({ length: groups + 1 }, (_, group) => group * perRow),
    rows,
    // Lanes past the last column load what another does; no weight asks for it.
    columns: Uint32Array.from({ length: groups * perRow * perChunk }, (_, i) =>
      Math.min(i % (perRow * perChunk), p.k - 1),
    ),
    picks,
  };
}
