import { SparseError } from "../errors.ts";
import { getNumber, type HostTensor } from "./host-tensor.ts";
import { matrixSize, type RowStatistics, rowStatistics, validateRows } from "./sparse-rows.ts";

/**
 * Compressed sparse rows of a [rows, cols] matrix: row i holds entries rowPtr[i] up to rowPtr[i + 1], columns ascending. Values
 * are never stored zeros when made by {@link csrFromDense}, though stored zeros are legal.
 */
export interface Csr {
  readonly kind: "csr";
  readonly rows: number;
  readonly cols: number;
  /** rows + 1 entry positions, the last one the number of entries. */
  readonly rowPtr: Uint32Array;
  readonly colIdx: Uint32Array;
  readonly values: Float32Array;
}

/** The non-zeros of a 2-D tensor (a −0 counts as zero, a NaN does not). Throws E_SPARSE unless it is 2-D. */
export function csrFromDense(dense: HostTensor): Csr {
  const { rows, cols } = matrixSize(dense);
  const rowPtr = new Uint32Array(rows + 1);
  for (let r = 0; r < rows; r++) {
    let count = 0;
    for (let c = 0; c < cols; c++) if (getNumber(dense.data, r * cols + c) !== 0) count++;
    rowPtr[r + 1] = rowPtr[r]! + count;
  }
  const colIdx = new Uint32Array(rowPtr[rows]!);
  const values = new Float32Array(rowPtr[rows]!);
  let at = 0;
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) {
      const value = getNumber(dense.data, r * cols + c);
      if (value === 0) continue;
      colIdx[at] = c;
      values[at++] = value;
    }
  }
  return { kind: "csr", rows, cols, rowPtr, colIdx, values };
}

/** The f32 [rows, cols] tensor with zeros filled in. */
export function csrToDense(csr: Csr): HostTensor {
  const { rows, cols, rowPtr, colIdx, values } = csr;
  const data = new Float32Array(rows * cols);
  for (let r = 0; r < rows; r++) {
    for (let e = rowPtr[r]!; e < rowPtr[r + 1]!; e++) data[r * cols + colIdx[e]!] = values[e]!;
  }
  return { dtype: "f32", shape: [rows, cols], data };
}

/**
 * Throws E_SPARSE unless the parts fit together: rows + 1 pointers from 0, never decreasing, up to the number of entries;
 * columns below cols and strictly ascending in each row; one value per column.
 */
export function validateCsr(csr: Csr): void {
  validateRows(csr, csr.rows, "row");
  if (csr.values.length !== csr.colIdx.length) {
    throw new SparseError(
      `CSR has ${csr.values.length} values for ${csr.colIdx.length} columns; they must agree.`,
    );
  }
}

/** Bytes of the three arrays: 4 (rows + 1) + 8 per entry. */
export const csrBytes = (csr: Csr): number =>
  csr.rowPtr.byteLength + csr.colIdx.byteLength + csr.values.byteLength;

/** How evenly the entries lie over the rows. */
export const csrRowStatistics = (csr: Csr): RowStatistics => rowStatistics(csr.rowPtr);
