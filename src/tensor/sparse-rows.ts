import { SparseError } from "../errors.ts";
import type { HostTensor } from "./host-tensor.ts";
import { showShape } from "./shape.ts";

/** What the row-wise sparse formats share: pointers into a list of columns. */
export interface SparseRows {
  readonly rows: number;
  readonly cols: number;
  readonly rowPtr: Uint32Array;
  readonly colIdx: Uint32Array;
}

/** Entries per row (of a block format: blocks per block row). */
export interface RowStatistics {
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  /** Standard deviation over mean; 0 where there are no entries. */
  readonly variation: number;
  readonly empty: number;
}

/** Rows and columns of a 2-D tensor; E_SPARSE for any other rank. */
export function matrixSize(dense: HostTensor): { readonly rows: number; readonly cols: number } {
  const [rows, cols] = dense.shape;
  if (dense.shape.length !== 2 || rows === undefined || cols === undefined) {
    throw new SparseError(
      `sparse formats hold matrices; this tensor is ${showShape(dense.shape)}. Reshape it to [rows, cols].`,
    );
  }
  return { rows, cols };
}

/** Throws E_SPARSE unless pointers and columns are those of `lines` rows (or block rows, as `what` says). */
export function validateRows(sparse: SparseRows, lines: number, what: string): void {
  const { rowPtr, colIdx, rows, cols } = sparse;
  if (!Number.isSafeInteger(rows) || !Number.isSafeInteger(cols) || rows < 0 || cols < 0) {
    throw new SparseError(`a sparse matrix of ${rows} x ${cols} cannot be; both are whole numbers from 0.`);
  }
  if (rowPtr.length !== lines + 1) {
    throw new SparseError(
      `${rowPtr.length} ${what} pointers for ${lines} ${what}s; ${lines + 1} are needed.`,
    );
  }
  if (rowPtr[0] !== 0) throw new SparseError(`the first ${what} pointer is ${rowPtr[0]}; it must be 0.`);
  if (rowPtr[lines] !== colIdx.length) {
    throw new SparseError(
      `the last ${what} pointer is ${rowPtr[lines]}, but there are ${colIdx.length} entries.`,
    );
  }
  for (let r = 0; r < lines; r++) {
    const start = rowPtr[r]!;
    const end = rowPtr[r + 1]!;
    if (end < start) throw new SparseError(`the pointers of ${what} ${r} decrease from ${start} to ${end}.`);
    if (end > colIdx.length)
      throw new SparseError(`${what} ${r} ends at ${end}, but there are ${colIdx.length} entries.`);
    for (let e = start; e < end; e++) {
      const column = colIdx[e]!;
      if (column >= cols)
        throw new SparseError(`column ${column} in ${what} ${r} is outside the ${cols} columns.`);
      if (e > start && column <= colIdx[e - 1]!) {
        throw new SparseError(
          `column ${column} in ${what} ${r} follows ${colIdx[e - 1]}; columns must ascend.`,
        );
      }
    }
  }
}

export function rowStatistics(rowPtr: Uint32Array): RowStatistics {
  const lines = rowPtr.length - 1;
  if (lines <= 0) return { min: 0, max: 0, mean: 0, variation: 0, empty: 0 };
  const counts = Array.from({ length: lines }, (_, r) => rowPtr[r + 1]! - rowPtr[r]!);
  const mean = rowPtr[lines]! / lines;
  const variance = counts.reduce((sum, n) => sum + (n - mean) ** 2, 0) / lines;
  return {
    min: counts.reduce((a, b) => Math.min(a, b)),
    max: counts.reduce((a, b) => Math.max(a, b)),
    mean,
    variation: mean === 0 ? 0 : Math.sqrt(variance) / mean,
    empty: counts.filter((n) => n === 0).length,
  };
}
