import { Matrix, SingularValueDecomposition } from "ml-matrix";
import { sizeOf } from "../../tensor/shape.ts";
import type { OpDefinition } from "../op.ts";
import { doubles } from "./support/doubles.ts";
import { doubleTensor, floatOperands } from "./support/floats.ts";
import { frozen } from "./support/flow.ts";
import { refuse, typed } from "./support/operands.ts";

/** Distance from 1 to the next f32: what singular values are compared with. */
const epsilon = 2 ** -23;

/**
 * The numeric rank of every matrix [..., H, W], as a float: how many singular values are above max(H, W) · 2^-23 times the largest
 * (the rule of NumPy and PyTorch for f32; Golub and Van Loan 2013, section 5.5.8). NaN where the matrix is not finite.
 */
export const matrixRank: OpDefinition = {
  name: "MatrixRank",
  internal: true,
  inputs: [1, 1],
  outputs: [1, 1],
  attributes: {},
  infer(c) {
    const { dtype, shape } = floatOperands(c, 1);
    if (shape.length < 2) refuse(c, "E_SHAPE", `the input has ${shape.length} axes; a matrix has 2.`);
    return [typed(c, dtype, shape.slice(0, -2))];
  },
  reference(_, [x], [type]) {
    const [rows, columns] = x!.shape.slice(-2) as [number, number];
    const size = rows * columns;
    const data = doubles(x!);
    const ranks = new Float64Array(sizeOf(type!.shape)).map((_, i) =>
      rankOf(data.subarray(i * size, (i + 1) * size), rows, columns),
    );
    return [doubleTensor(type!.shape, ranks)];
  },
  channels: frozen,
};

/** The rank of one row-major matrix by singular values in double precision. */
export function rankOf(data: Float64Array, rows: number, columns: number): number {
  if (rows * columns === 0) return 0;
  if (!data.every(Number.isFinite)) return Number.NaN;
  const matrix = Matrix.from1DArray(rows, columns, data);
  const { diagonal } = new SingularValueDecomposition(matrix, {
    computeLeftSingularVectors: false,
    computeRightSingularVectors: false,
    autoTranspose: true,
  });
  const largest = Math.max(...diagonal);
  return diagonal.filter((s) => s > Math.max(rows, columns) * epsilon * largest).length;
}
