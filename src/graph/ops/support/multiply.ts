/** A matrix inside an array: element (i, j) at `offset + i·rowStep + j·columnStep`. */
export interface MatrixView {
  readonly data: Float64Array;
  readonly offset: number;
  readonly rowStep: number;
  readonly columnStep: number;
}

/** y[m, n] += alpha · Σ_k a[m, k]·b[k, n], y row-major at `at`. */
export function multiplyAdd(
  y: Float64Array,
  at: number,
  [rows, inner, columns]: readonly [number, number, number],
  a: MatrixView,
  b: MatrixView,
  alpha: number,
): void {
  const alongColumns = b.columnStep === 1;
  for (let m = 0; m < rows; m++) {
    const row = at + m * columns;
    const fromA = a.offset + m * a.rowStep;
    if (alongColumns) {
      for (let k = 0; k < inner; k++) {
        const factor = alpha * a.data[fromA + k * a.columnStep]!;
        const fromB = b.offset + k * b.rowStep;
        for (let n = 0; n < columns; n++) y[row + n]! += factor * b.data[fromB + n]!;
      }
      continue;
    }
    for (let n = 0; n < columns; n++) {
      const fromB = b.offset + n * b.columnStep;
      let sum = 0;
      for (let k = 0; k < inner; k++)
        sum += a.data[fromA + k * a.columnStep]! * b.data[fromB + k * b.rowStep]!;
      y[row + n]! += alpha * sum;
    }
  }
}
