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
}

const blocksPerGroup = (p: ColumnsProblem, r: number): number => Math.ceil(p.rowsPerGroup / r);

const total = (arrays: Packed["arrays"]): number =>
  Object.values(arrays).reduce((sum, a) => sum + a.byteLength, 0);

/** All K entries of every block row; the offsets are the problem's taps, shared by all block rows. */
export function packDense(p: ColumnsProblem, w: WeightMatrix, r: number, unit: number): Packed {
  const perGroup = blocksPerGroup(p, r);
  const blocks = perGroup * p.groups;
  const weights = new Float32Array(blocks * p.k * r);
  for (let b = 0; b < blocks; b++) {
    const { first, count } = blockRows(p, b, r, perGroup);
    for (let i = 0; i < count; i++) {
      const row = (first + i) * p.k;
      for (let k = 0; k < p.k; k++) weights[(b * p.k + k) * r + i] = w.values[row + k]!;
    }
  }
  const arrays = { row_ptr: densePointers(blocks, p.k), offsets: scaled(p.taps, unit), weights };
  return { arrays, bytes: total(arrays), density: 1 };
}

export const densePointers = (blocks: number, k: number): Uint32Array =>
  Uint32Array.from({ length: blocks + 1 }, (_, b) => b * k);

export const scaled = (taps: Uint32Array, unit: number): Uint32Array => taps.map((t) => t / unit);

function blockRows(
  p: ColumnsProblem,
  block: number,
  r: number,
  perGroup: number,
): { first: number; count: number } {
  const group = Math.floor(block / perGroup);
  const within = (block % perGroup) * r;
  return { first: group * p.rowsPerGroup + within, count: Math.min(r, p.rowsPerGroup - within) };
}

/** The entries of each block row in which at least one of its R weights is not zero. */
export function packBlocks(p: ColumnsProblem, w: WeightMatrix, r: number, unit: number): Packed {
  const perGroup = blocksPerGroup(p, r);
  const blocks = perGroup * p.groups;
  const columns: number[][] = [];
  const rowPtr = new Uint32Array(blocks + 1);
  for (let b = 0; b < blocks; b++) {
    const { first, count } = blockRows(p, b, r, perGroup);
    const present: number[] = [];
    for (let k = 0; k < p.k; k++) {
      for (let i = 0; i < count; i++) {
        if (w.values[(first + i) * p.k + k] !== 0) {
          present.push(k);
          break;
        }
      }
    }
    columns.push(present);
    rowPtr[b + 1] = rowPtr[b]! + present.length;
  }
  const entries = rowPtr[blocks]!;
  const offsets = new Uint32Array(entries);
  const weights = new Float32Array(entries * r);
  let e = 0;
  for (let b = 0; b < blocks; b++) {
    const { first, count } = blockRows(p, b, r, perGroup);
    for (const k of columns[b]!) {
      offsets[e] = p.taps[k]! / unit;
      for (let i = 0; i < count; i++) weights[e * r + i] = w.values[(first + i) * p.k + k]!;
      e++;
    }
  }
  const arrays = { row_ptr: rowPtr, offsets, weights };
  return { arrays, bytes: total(arrays), density: (entries * r) / Math.max(1, w.rows * w.k) };
}

/** Non-zeros of each row as pairs of offset and value bits. */
export function packCsr(p: ColumnsProblem, w: WeightMatrix, unit: number): Packed {
  const rowPtr = new Uint32Array(w.rows + 1);
  for (let m = 0; m < w.rows; m++) {
    let count = 0;
    for (let k = 0; k < w.k; k++) if (w.values[m * w.k + k] !== 0) count++;
    rowPtr[m + 1] = rowPtr[m]! + count;
  }
  const nnz = rowPtr[w.rows]!;
  const entries = new Uint32Array(nnz * 2);
  const bits = new Float32Array(entries.buffer);
  let e = 0;
  for (let m = 0; m < w.rows; m++) {
    for (let k = 0; k < w.k; k++) {
      const value = w.values[m * w.k + k]!;
      if (value === 0) continue;
      entries[2 * e] = p.taps[k]! / unit;
      bits[2 * e + 1] = value;
      e++;
    }
  }
  const arrays = { row_ptr: rowPtr, entries };
  return { arrays, bytes: total(arrays), density: nnz / Math.max(1, w.rows * w.k) };
}

/** W transposed, [k, rows], for the dense vector kernel. */
export function packTransposed(p: ColumnsProblem, w: WeightMatrix): Packed {
  const weights = new Float32Array(w.values.length);
  for (let m = 0; m < w.rows; m++) {
    for (let k = 0; k < w.k; k++) weights[k * w.rows + m] = w.values[m * w.k + k]!;
  }
  const arrays = { offsets: p.taps, weights };
  return { arrays, bytes: total(arrays), density: 1 };
}

/** Share of the R x 1 blocks of a weight that hold a value other than zero, for any R, without packing it. */
export function blockDensity(p: ColumnsProblem, w: WeightMatrix, r: number): number {
  const perGroup = blocksPerGroup(p, r);
  let present = 0;
  for (let b = 0; b < perGroup * p.groups; b++) {
    const { first, count } = blockRows(p, b, r, perGroup);
    for (let k = 0; k < p.k; k++) {
      for (let i = 0; i < count; i++) {
        if (w.values[(first + i) * p.k + k] !== 0) {
          present++;
          break;
        }
      }
    }
  }
  return present / Math.max(1, perGroup * p.groups * p.k);
}
