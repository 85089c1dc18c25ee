import { SparseError } from "../errors.ts";
import { getNumber, type HostTensor } from "./host-tensor.ts";
import { matrixSize, type RowStatistics, rowStatistics, validateRows } from "./sparse-rows.ts";

/** Block heights: that many rows share a column. */
export const blockHeights = [2, 4, 8, 16] as const;
export type BlockHeight = (typeof blockHeights)[number];

/**
 * R x 1 blocks of a [rows, cols] matrix: a block is one column of R consecutive rows, stored whole if any of the R values is
 * not zero. Block row i holds blocks rowPtr[i] up to rowPtr[i + 1], columns ascending; block e has its R values at e·R, top
 * row first. Where R does not divide rows the last block row stands for fewer rows and its blocks end in zeros, so that
 * every block has the same size in memory.
 */
export interface Block {
  readonly kind: "block";
  /** R. */
  readonly height: BlockHeight;
  readonly rows: number;
  readonly cols: number;
  /** ceil(rows / R) + 1 block positions, the last one the number of blocks. */
  readonly rowPtr: Uint32Array;
  /** Column of each block. */
  readonly colIdx: Uint32Array;
  /** R values per block. */
  readonly values: Float32Array;
}

function checkHeight(height: number): BlockHeight {
  const known = blockHeights.find((h) => h === height);
  return known ?? fail(`block height ${height} is not supported; use one of ${blockHeights.join(", ")}.`);
}

function fail(message: string): never {
  throw new SparseError(message);
}

/** The blocks with any non-zero (−0 counts as zero, NaN does not). Throws E_SPARSE for a bad height or rank. */
export function blockFromDense(dense: HostTensor, height: number): Block {
  const R = checkHeight(height);
  const { rows, cols } = matrixSize(dense);
  const blockRows = Math.ceil(rows / R);
  const rowPtr = new Uint32Array(blockRows + 1);
  const columns: number[] = [];
  for (let b = 0; b < blockRows; b++) {
    const last = Math.min(rows, (b + 1) * R);
    for (let c = 0; c < cols; c++) {
      for (let r = b * R; r < last; r++) {
        if (getNumber(dense.data, r * cols + c) === 0) continue;
        columns.push(c);
        break;
      }
    }
    rowPtr[b + 1] = columns.length;
  }
  const colIdx = Uint32Array.from(columns);
  const values = new Float32Array(colIdx.length * R);
  for (let b = 0; b < blockRows; b++) {
    const last = Math.min(rows, (b + 1) * R);
    for (let e = rowPtr[b]!; e < rowPtr[b + 1]!; e++) {
      for (let r = b * R; r < last; r++)
        values[e * R + r - b * R] = getNumber(dense.data, r * cols + colIdx[e]!);
    }
  }
  return { kind: "block", height: R, rows, cols, rowPtr, colIdx, values };
}

/** The f32 [rows, cols] tensor with zeros filled in. */
export function blockToDense(block: Block): HostTensor {
  const { height, rows, cols, rowPtr, colIdx, values } = block;
  const data = new Float32Array(rows * cols);
  for (let b = 0; b + 1 < rowPtr.length; b++) {
    const last = Math.min(rows, (b + 1) * height);
    for (let e = rowPtr[b]!; e < rowPtr[b + 1]!; e++) {
      for (let r = b * height; r < last; r++)
        data[r * cols + colIdx[e]!] = values[e * height + r - b * height]!;
    }
  }
  return { dtype: "f32", shape: [rows, cols], data };
}

/**
 * Throws E_SPARSE unless the parts fit together: a known height, ceil(rows / R) + 1 pointers from 0, never decreasing, up to
 * the number of blocks; columns below cols and strictly ascending in each block row; R values per block; zeros below the
 * last row of the matrix.
 */
export function validateBlock(block: Block): void {
  const R = checkHeight(block.height);
  const { rows, colIdx, rowPtr, values } = block;
  const blockRows = Math.ceil(rows / R);
  validateRows(block, blockRows, "block row");
  if (values.length !== colIdx.length * R) {
    fail(`${values.length} values for ${colIdx.length} blocks of ${R}; ${colIdx.length * R} are needed.`);
  }
  const used = rows - (blockRows - 1) * R;
  for (let e = rowPtr[Math.max(0, blockRows - 1)]!; e < colIdx.length && used < R; e++) {
    for (let r = used; r < R; r++) {
      if (values[e * R + r] !== 0) fail(`block ${e} holds a value below row ${rows}, the end of the matrix.`);
    }
  }
}

/** Bytes of the three arrays: 4 (ceil(rows / R) + 1) + 4 (1 + R) per block. */
export const blockBytes = (block: Block): number =>
  block.rowPtr.byteLength + block.colIdx.byteLength + block.values.byteLength;

/** How evenly the blocks lie over the block rows. */
export const blockRowStatistics = (block: Block): RowStatistics => rowStatistics(block.rowPtr);
