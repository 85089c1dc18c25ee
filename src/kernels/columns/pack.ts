import { halfBits } from "./half.ts";
import type { ColumnsProblem } from "./problem.ts";

/** A weight matrix [groups * rowsPerGroup, k] of f32 in the order of its taps, zeros included. */
export interface WeightMatrix {
  readonly rows: number;
  readonly k: number;
  readonly values: Float32Array;
}

/** Arrays to upload, by the name of the kernel variable they are bound to. */
export interface Packed {
  readonly arrays: Readonly<Record<string, Float32Array | Uint32Array>>;
  /** Bytes of the weights in this format: values, indices and pointers; padding to whole blocks included. */
  readonly bytes: number;
  /** Stored values over all values: what the kernel really multiplies. */
  readonly density: number;
  /** Factor of the kernel's sums, where the weights do not lie as they are. */
  readonly scale?: number;
  /** What the kernel must know of them besides. */
  readonly launch?: {
    readonly spec?: Readonly<Record<string, number>>;
    readonly constants?: Readonly<Record<string, number>>;
    readonly params?: Readonly<Record<string, number>>;
    readonly bindings?: Readonly<Record<string, string>>;
    readonly texels?: Readonly<Record<string, number>>;
  };
}

/** Row of W at each position of the rows that blocks are cut from; consecutive where there is none. */
export type RowOrder = Uint32Array | undefined;

export const blocksPerGroup = (p: ColumnsProblem, r: number): number => Math.ceil(p.rowsPerGroup / r);

export const packed = (arrays: Packed["arrays"], density: number, scale?: number): Packed => ({
  arrays,
  bytes: Object.values(arrays).reduce((sum, a) => sum + a.byteLength, 0),
  density,
  ...(scale !== undefined && { scale }),
});

/** All K entries of every block row; the offsets are the problem's taps, shared by all block rows. */
export function packDense(p: ColumnsProblem, w: WeightMatrix, r: number, offsets: Uint32Array): Packed {
  const perGroup = blocksPerGroup(p, r);
  const blocks = perGroup * p.groups;
  const weights = new Float32Array(blocks * p.k * r);
  for (let b = 0; b < blocks; b++) {
    for (const [i, row] of rowsOfBlock(p, b, r).entries()) {
      for (let k = 0; k < p.k; k++) weights[(b * p.k + k) * r + i] = w.values[row * p.k + k]!;
    }
  }
  return packed({ row_ptr: densePointers(blocks, p.k), offsets, weights }, 1);
}

export const densePointers = (blocks: number, k: number): Uint32Array =>
  Uint32Array.from({ length: blocks + 1 }, (_, b) => b * k);

/** Rows of W in block `b`, fewer than `r` at the end of a group. */
export function rowsOfBlock(p: ColumnsProblem, b: number, r: number, order?: RowOrder): number[] {
  const perGroup = blocksPerGroup(p, r);
  const group = Math.floor(b / perGroup);
  const within = (b - group * perGroup) * r;
  const first = group * p.rowsPerGroup + within;
  const count = Math.min(r, p.rowsPerGroup - within);
  return Array.from({ length: count }, (_, i) => (order ? order[first + i]! : first + i));
}

/** Columns in which at least one of the rows holds a value other than zero. */
export function presentColumns(w: WeightMatrix, rows: readonly number[]): number[] {
  const present: number[] = [];
  for (let k = 0; k < w.k; k++) {
    for (const row of rows) {
      if (w.values[row * w.k + k] !== 0) {
        present.push(k);
        break;
      }
    }
  }
  return present;
}

/** The entries of each block row in which at least one of its R weights is not zero. */
export function packBlocks(
  p: ColumnsProblem,
  w: WeightMatrix,
  r: number,
  taps: Uint32Array,
  order: RowOrder,
): Packed {
  const blocks = blocksPerGroup(p, r) * p.groups;
  const rowPtr = new Uint32Array(blocks + 1);
  const columns: number[][] = [];
  for (let b = 0; b < blocks; b++) {
    columns.push(presentColumns(w, rowsOfBlock(p, b, r, order)));
    rowPtr[b + 1] = rowPtr[b]! + columns[b]!.length;
  }
  const entries = rowPtr[blocks]!;
  const offsets = new Uint32Array(entries);
  const weights = new Float32Array(entries * r);
  let e = 0;
  for (let b = 0; b < blocks; b++) {
    const rows = rowsOfBlock(p, b, r, order);
    for (const k of columns[b]!) {
      offsets[e] = taps[k]!;
      for (const [i, row] of rows.entries()) weights[e * r + i] = w.values[row * p.k + k]!;
      e++;
    }
  }
  const density = (entries * r) / Math.max(1, w.rows * w.k);
  return packed({ row_ptr: rowPtr, offsets, weights, ...(order && { rows: order }) }, density);
}

/** Rows of W by how many non-zeros they hold, longest first, and those numbers by row. */
function longestFirst(w: WeightMatrix): { readonly rows: Uint32Array; readonly counts: Uint32Array } {
  const counts = new Uint32Array(w.rows);
  for (let m = 0; m < w.rows; m++) {
    for (let k = 0; k < w.k; k++) if (w.values[m * w.k + k] !== 0) counts[m]!++;
  }
  const rows = Uint32Array.from(counts.keys()).sort((a, b) => counts[b]! - counts[a]! || a - b);
  return { rows, counts };
}

/**
 * Non-zeros of each row as pairs of offset and value bits, longest rows first within each group. Of a kernel that reads `per` at a time,
 * rows end with zeros where it would read another row's.
 */
export function packCsr(w: WeightMatrix, taps: Uint32Array, per: 1 | 2): Packed {
  const { rows, counts } = longestFirst(w);
  const rowPtr = new Uint32Array(w.rows + 1);
  for (const [i, m] of rows.entries()) rowPtr[i + 1] = rowPtr[i]! + Math.ceil(counts[m]! / per);
  const nnz = counts.reduce((sum, n) => sum + n, 0);
  const entries = new Uint32Array(rowPtr[w.rows]! * per * 2);
  const bits = new Float32Array(entries.buffer);
  for (const [i, m] of rows.entries()) {
    let e = rowPtr[i]! * per;
    for (let k = 0; k < w.k; k++) {
      const value = w.values[m * w.k + k]!;
      if (value === 0) continue;
      entries[2 * e] = taps[k]!;
      bits[2 * e + 1] = value;
      e++;
    }
    // What follows the last keeps its offset, so that nothing else is read.
    if (e < rowPtr[i + 1]! * per) entries[2 * e] = entries[2 * e - 2]!;
  }
  return packed({ row_ptr: rowPtr, entries, rows }, nnz / Math.max(1, w.rows * w.k));
}

const mostStep = 0xffff;

/**
 * Non-zeros as 16-bit steps from offset to offset, for lib/csr-u16 and, where `scale` says by what factor half precision holds
 * the values, lib/csr-f16. Each row begins at offset 0, has its entries in the order of their offsets, and zeros where a step
 * is longer than 16 bits say and where the kernel, which reads `per` entries at a time, would read another row's.
 */
export function packCsrSteps(w: WeightMatrix, taps: Uint32Array, per: 1 | 2 | 4, scale?: number): Packed {
  const { rows } = longestFirst(w);
  const order = Uint32Array.from(taps.keys()).sort((a, b) => taps[a]! - taps[b]!);
  const rowPtr = new Uint32Array(w.rows + 1);
  const steps: number[] = [];
  const values: number[] = [];
  for (const [i, m] of rows.entries()) {
    let at = 0;
    for (const k of order) {
      const value = w.values[m * w.k + k]!;
      if (value === 0) continue;
      for (; taps[k]! - at > mostStep; at += mostStep) {
        steps.push(mostStep);
        values.push(0);
      }
      steps.push(taps[k]! - at);
      values.push(value);
      at = taps[k]!;
    }
    while (steps.length % per !== 0) {
      steps.push(0);
      values.push(0);
    }
    rowPtr[i + 1] = steps.length / per;
  }
  const density = steps.length / Math.max(1, w.rows * w.k);
  if (scale !== undefined) {
    const entries = Uint32Array.from(steps, (step, e) => ((step << 16) | halfBits(values[e]!, scale)) >>> 0);
    return packed({ row_ptr: rowPtr, entries, rows }, density, 1 / scale);
  }
  const pairs = Uint32Array.from(
    { length: steps.length / 2 },
    (_, e) => ((steps[2 * e + 1]! << 16) | steps[2 * e]!) >>> 0,
  );
  return packed({ row_ptr: rowPtr, steps: pairs, weights: Float32Array.from(values), rows }, density);
}

/** W transposed, [groups, k, rows per group], for the dense vector kernels: rows rounded up to a multiple of `per`, with zeros. */
export function packTransposed(p: ColumnsProblem, w: WeightMatrix, per: number): Packed {
  const rows = Math.ceil(p.rowsPerGroup / per) * per;
  const weights = new Float32Array(p.groups * w.k * rows);
  for (let m = 0; m < w.rows; m++) {
    const group = Math.floor(m / p.rowsPerGroup);
    const at = group * w.k * rows + (m - group * p.rowsPerGroup);
    for (let k = 0; k < w.k; k++) weights[at + k * rows] = w.values[m * w.k + k]!;
  }
  return packed({ offsets: p.taps, weights }, 1);
}

/** Share of values that blocks of R rows store, without packing them. */
export function blockDensity(p: ColumnsProblem, w: WeightMatrix, r: number, order?: RowOrder): number {
  const blocks = blocksPerGroup(p, r) * p.groups;
  let present = 0;
  for (let b = 0; b < blocks; b++) present += presentColumns(w, rowsOfBlock(p, b, r, order)).length;
  return present / Math.max(1, blocks * p.k);
}

/** Packed weights, an even number, in half precision, two to a word; `scale` is their `halfScale`. */
export function halved({ arrays, density }: Packed, scale: number): Packed {
  const { weights, ...rest } = arrays;
  const pairs = Uint32Array.from(
    { length: weights!.length / 2 },
    (_, i) => ((halfBits(weights![2 * i + 1]!, scale) << 16) | halfBits(weights![2 * i]!, scale)) >>> 0,
  );
  return packed({ ...rest, weights: pairs }, density, 1 / scale);
}
