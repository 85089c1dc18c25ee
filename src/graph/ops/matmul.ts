import { broadcastShapes, broadcastStrides, rowStrides, showShape, sizeOf } from "../../tensor/shape.ts";
import type { ChannelContext, ChannelIds } from "../channels.ts";
import type { OpContext, OpDefinition } from "../op.ts";
import { doubles } from "./support/doubles.ts";
import { doubleTensor, floatOperands } from "./support/floats.ts";
import { frozen } from "./support/flow.ts";
import { transposed } from "./support/gradients.ts";
import { multiplyAdd } from "./support/multiply.ts";
import { refuse, typed } from "./support/operands.ts";
import { forEachOffset } from "./support/strided.ts";

/** A product of stacks of matrices: y[..., rows, columns] = Σ_inner a[..., rows, inner] · b[..., inner, columns]. */
export interface MatMulGeometry {
  readonly rows: number;
  readonly inner: number;
  readonly columns: number;
  /** Broadcast shape of the dimensions in front of the matrices. */
  readonly batch: readonly number[];
  /** Shape of the result; a 1-D operand's own dimension is gone. */
  readonly shape: readonly number[];
}

/** Reads a MatMul's operand shapes; 1-D operands are a row on the left and a column on the right. */
export function matmulGeometry(c: OpContext): MatMulGeometry {
  const a = c.inputs[0]!.shape;
  const b = c.inputs[1]!.shape;
  const left = a.length === 1 ? [1, a[0]!] : a;
  const right = b.length === 1 ? [b[0]!, 1] : b;
  const [rows, inner] = left.slice(-2) as [number, number];
  const columns = right.at(-1)!;
  const batch = broadcastShapes(left.slice(0, -2), right.slice(0, -2));
  const shape = [...batch, ...(a.length === 1 ? [] : [rows]), ...(b.length === 1 ? [] : [columns])];
  return { rows, inner, columns, batch, shape };
}

/** NumPy's matmul. */
export const matmul: OpDefinition = {
  name: "MatMul",
  inputs: [2, 2],
  outputs: [1, 1],
  attributes: {},
  infer(c) {
    const { dtype } = floatOperands(c, 2);
    const a = c.inputs[0]!.shape;
    const b = c.inputs[1]!.shape;
    const inner = b.length === 1 ? b[0] : b.at(-2);
    if (a.length === 0 || b.length === 0 || a.at(-1) !== inner) {
      refuse(
        c,
        "E_SHAPE",
        `${showShape(a)} times ${showShape(b)}: inner sizes differ, or an operand is a scalar.`,
      );
    }
    return [typed(c, dtype, matmulGeometry(c).shape)];
  },
  reference(c, inputs, outputs) {
    const { rows, inner, columns, batch } = matmulGeometry(c);
    const y = new Float64Array(sizeOf(outputs[0]!.shape));
    const [a, b] = inputs.map((t) => doubles(t!)) as [Float64Array, Float64Array];
    const steps = (i: number): number[] => {
      const shape = c.inputs[i]!.shape;
      const own = shape.slice(0, -2);
      return broadcastStrides(own, rowStrides(shape).slice(0, own.length), batch);
    };
    forEachOffset(batch, [0, 0], [steps(0), steps(1)], (i, [fromA, fromB]) => {
      multiplyAdd(
        y,
        i * rows * columns,
        [rows, inner, columns],
        { data: a, offset: fromA!, rowStep: inner, columnStep: 1 },
        { data: b, offset: fromB!, rowStep: columns, columnStep: 1 },
        1,
      );
    });
    return [doubleTensor(outputs[0]!.shape, y)];
  },
  macs(c, [y]) {
    return sizeOf(y!.shape) * matmulGeometry(c).inner;
  },
  gradient(g) {
    const { rows, columns, batch } = matmulGeometry(g);
    const [a, b] = g.inputs.map((t) => t!.shape) as [readonly number[], readonly number[]];
    const as = (name: string, from: readonly number[], to: readonly number[]): string =>
      from.length === to.length ? name : g.emit("Reshape", [name, g.constant(to)]);
    const left = a.length === 1 ? [1, a[0]!] : a;
    const right = b.length === 1 ? [b[0]!, 1] : b;
    const full = [...batch, rows, columns];
    const dy = as(g.dy, g.outputs[0]!.shape, full);
    const da = (): string => {
      const product = g.emit("MatMul", [dy, transposed(g, as(g.in(1), b, right), right.length)]);
      return as(g.sumTo(product, [...batch, ...left.slice(-2)], left), left, a);
    };
    const db = (): string => {
      const product = g.emit("MatMul", [transposed(g, as(g.in(0), a, left), left.length), dy]);
      return as(g.sumTo(product, [...batch, ...right.slice(-2)], right), right, b);
    };
    return [g.wants(0) ? da() : undefined, g.wants(1) ? db() : undefined];
  },
  prunable(c) {
    const matrix = (i: number): boolean => c.value(i) !== undefined && c.inputs[i]!.shape.length === 2;
    if (matrix(1)) return { input: 1, outAxis: 1, inAxis: 0 };
    if (matrix(0)) return { input: 0, outAxis: 0, inAxis: 1 };
    return undefined;
  },
  channels(c) {
    if (c.isWeight(1) && c.shape(1).length === 2 && c.shape(0).length >= 2) return productFlow(c, 1);
    if (c.isWeight(0) && c.shape(0).length === 2 && c.shape(1).length >= 2) return productFlow(c, 0);
    return frozen(c);
  },
};

/** A weight on one side: its inner axis shrinks with the data's channels, its outer axis makes the result's. */
function productFlow(c: ChannelContext, weight: 0 | 1): readonly (ChannelIds | undefined)[] {
  const data = c.in(1 - weight);
  const rank = c.outputs[0]!.shape.length;
  const innerAxis = c.shape(1 - weight).length - (weight === 1 ? 1 : 2);
  if (data && data.axis !== innerAxis) return frozen(c);
  const outAxis = weight === 1 ? 1 : 0;
  const out = c.fresh(c.shape(weight)[outAxis]!);
  c.slices(weight, outAxis, out, "out");
  if (data) c.slices(weight, 1 - outAxis, data.ids, "in");
  return [{ axis: weight === 1 ? rank - 1 : rank - 2, ids: out }];
}
