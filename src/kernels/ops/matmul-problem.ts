import { gemmGeometry } from "../../graph/ops/gemm.ts";
import { broadcastShapes, broadcastStrides, rowStrides, type Shape } from "../../tensor/shape.ts";
import type { Activation } from "../activation.ts";
import type { LowerContext, Operand, View } from "../lowering.ts";
import { type Loop, loopsOf, simplifyLoops } from "./movement-loops.ts";

/** A matrix operand: words from row to row and from column to column. */
export interface MatrixOperand {
  readonly operand: Operand;
  readonly rowStep: number;
  readonly columnStep: number;
}

/** y[b] = act(alpha · A[b] B[b] + beta · C), y row-major [batch, rows, columns]; transposition and broadcasting are steps. */
export interface MatmulProblem {
  readonly rows: number;
  readonly columns: number;
  readonly inner: number;
  /** Steps in A and in B of every batch loop, outermost first. */
  readonly batch: readonly Loop[];
  readonly a: MatrixOperand;
  readonly b: MatrixOperand;
  readonly c: MatrixOperand | undefined;
  readonly y: Operand;
  readonly alpha: number;
  readonly beta: number;
  readonly activation: Activation;
}

/** MatMul of NumPy: 1-D operands count as a row or a column, leading axes broadcast. */
export function matmulProblem(context: LowerContext): MatmulProblem {
  const [a, b] = context.inputs as readonly [View, View];
  const left: Shape = a.shape.length === 1 ? [1, a.shape[0]!] : a.shape;
  const right: Shape = b.shape.length === 1 ? [b.shape[0]!, 1] : b.shape;
  const batch = broadcastShapes(left.slice(0, -2), right.slice(0, -2));
  const steps = (shape: Shape): number[] =>
    broadcastStrides(shape.slice(0, -2), rowStrides(shape).slice(0, -2), batch);
  // Loops are sorted by what they write, which is y: row-major over the batch.
  const written = rowStrides(batch);
  const loops = simplifyLoops(loopsOf(batch, steps(left), steps(right), written));
  return {
    rows: left.at(-2)!,
    columns: right.at(-1)!,
    inner: left.at(-1)!,
    batch: loops,
    a: { operand: a.operand, rowStep: left.at(-1)!, columnStep: 1 },
    b: { operand: b.operand, rowStep: right.at(-1)!, columnStep: 1 },
    c: undefined,
    y: context.outputs[0]!.operand,
    alpha: 1,
    beta: 0,
    activation: context.activation,
  };
}

/** Gemm: two matrices, either transposed, C broadcast to the result. */
export function gemmProblem(context: LowerContext): MatmulProblem {
  const [a, b, c] = context.inputs as readonly [View, View, View | undefined];
  const g = gemmGeometry(context);
  const matrix = (view: View, transposed: boolean): MatrixOperand => {
    const width = view.shape[1]!;
    const [rowStep, columnStep] = transposed ? [1, width] : [width, 1];
    return { operand: view.operand, rowStep, columnStep };
  };
  const added = c && broadcastStrides(c.shape, rowStrides(c.shape), [g.rows, g.columns]);
  return {
    rows: g.rows,
    columns: g.columns,
    inner: g.inner,
    batch: [],
    a: matrix(a, g.transA),
    b: matrix(b, g.transB),
    c: c && added && { operand: c.operand, rowStep: added[0]!, columnStep: added[1]! },
    y: context.outputs[0]!.operand,
    alpha: g.alpha,
    beta: g.beta,
    activation: context.activation,
  };
}
