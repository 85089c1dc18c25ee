import {
  broadcastShapes,
  broadcastStrides,
  rowStrides,
  sameShape,
  showShape,
  sizeOf,
} from "../../tensor/shape.ts";
import type { ChannelContext } from "../channels.ts";
import { attributesOf, type OpDefinition } from "../op.ts";
import { doubles } from "./support/doubles.ts";
import { doubleTensor, floatOperands } from "./support/floats.ts";
import { frozen } from "./support/flow.ts";
import { multiplyAdd } from "./support/multiply.ts";
import { refuse, typed } from "./support/operands.ts";
import type { ShapedNode } from "./support/window.ts";

/** Sizes and scalars of a Gemm: y [rows, columns] = alpha · A' B' + beta · C, with `inner` summed over. */
export interface GemmGeometry {
  readonly rows: number;
  readonly inner: number;
  readonly columns: number;
  readonly transA: boolean;
  readonly transB: boolean;
  readonly alpha: number;
  readonly beta: number;
}

/** Reads a Gemm node whose operand ranks `infer` has checked. */
export function gemmGeometry({ node, inputs }: ShapedNode): GemmGeometry {
  const a = attributesOf(node);
  const transA = a.int("transA", 0) !== 0;
  const transB = a.int("transB", 0) !== 0;
  const [a0, a1] = inputs[0]!.shape as [number, number];
  const [b0, b1] = inputs[1]!.shape as [number, number];
  return {
    rows: transA ? a1 : a0,
    inner: transA ? a0 : a1,
    columns: transB ? b0 : b1,
    transA,
    transB,
    alpha: a.float("alpha", 1),
    beta: a.float("beta", 1),
  };
}

/** y = alpha · A' B' + beta · C, C broadcast to [M, N]. */
export const gemm: OpDefinition = {
  name: "Gemm",
  inputs: [2, 3],
  outputs: [1, 1],
  attributes: { alpha: "float", beta: "float", transA: "int", transB: "int" },
  infer(c) {
    const { dtype } = floatOperands(c, 2);
    const [a, b, bias] = c.inputs.map((type) => type?.shape);
    if (a!.length !== 2 || b!.length !== 2) {
      refuse(
        c,
        "E_SHAPE",
        `operands have shapes ${showShape(a!)} and ${showShape(b!)}; two matrices are needed.`,
      );
    }
    const g = gemmGeometry(c);
    if (g.inner !== (g.transB ? b![1] : b![0])) {
      refuse(
        c,
        "E_SHAPE",
        `${showShape(a!)}${g.transA ? " transposed" : ""} times ${showShape(b!)}${g.transB ? " transposed" : ""}: inner sizes differ.`,
      );
    }
    const shape = [g.rows, g.columns];
    if (bias && (bias.length > 2 || !sameShape(broadcastShapes(bias, shape), shape))) {
      refuse(
        c,
        "E_SHAPE",
        `C has shape ${showShape(bias)}, which does not broadcast to ${showShape(shape)}.`,
      );
    }
    return [typed(c, dtype, shape)];
  },
  reference(c, inputs, outputs) {
    const g = gemmGeometry(c);
    const shape = outputs[0]!.shape;
    const y = new Float64Array(sizeOf(shape));
    const bias = inputs[2];
    if (bias) {
      const data = doubles(bias);
      const [step0, step1] = broadcastStrides(bias.shape, rowStrides(bias.shape), shape) as [number, number];
      for (let m = 0; m < g.rows; m++) {
        for (let n = 0; n < g.columns; n++) y[m * g.columns + n] = g.beta * data[m * step0 + n * step1]!;
      }
    }
    const view = (i: number, transposed: boolean) => {
      const width = inputs[i]!.shape[1]!;
      const data = doubles(inputs[i]!);
      return { data, offset: 0, rowStep: transposed ? 1 : width, columnStep: transposed ? width : 1 };
    };
    multiplyAdd(y, 0, [g.rows, g.inner, g.columns], view(0, g.transA), view(1, g.transB), g.alpha);
    return [doubleTensor(shape, y)];
  },
  macs(c) {
    const g = gemmGeometry(c);
    return g.rows * g.inner * g.columns;
  },
  gradient(g) {
    const { transA, transB, alpha, beta } = gemmGeometry(g);
    const [a, b] = [g.in(0), g.in(1)];
    const flag = (on: boolean): number => (on ? 1 : 0);
    const scaled = (name: string, by: number): string =>
      by === 1 ? name : g.emit("Mul", [name, g.scalar(by)]);
    const product = (p: string, transP: boolean, q: string, transQ: boolean): string =>
      g.emit("Gemm", [p, q], { alpha, transA: flag(transP), transB: flag(transQ) });
    const da = () => (transA ? product(b, transB, g.dy, true) : product(g.dy, false, b, !transB));
    // Sums over the batch: the kernel for weights' gradients, unless A was transposed and its batch is not axis 0.
    const db = () => {
      if (transA) return transB ? product(g.dy, true, a, true) : product(a, false, g.dy, false);
      return scaled(g.emit("WeightGradient", transB ? [a, g.dy] : [g.dy, a]), alpha);
    };
    const dc = () => scaled(g.sumTo(g.dy, g.outputs[0]!.shape, g.inputs[2]!.shape), beta);
    return [g.wants(0) ? da() : undefined, g.wants(1) ? db() : undefined, g.wants(2) ? dc() : undefined];
  },
  prunable(c) {
    if (!c.value(1)) return undefined;
    const outAxis = gemmGeometry(c).transB ? 0 : 1;
    return { input: 1, outAxis, inAxis: 1 - outAxis };
  },
  channels(c) {
    if (!c.isWeight(1)) return frozen(c);
    const g = gemmGeometry(c);
    const x = c.in(0);
    if (x && x.axis !== (g.transA ? 0 : 1)) return frozen(c);
    const out = c.fresh(g.columns);
    const outAxis = g.transB ? 0 : 1;
    c.slices(1, outAxis, out, "out");
    if (x) c.slices(1, 1 - outAxis, x.ids, "in");
    biasFlow(c, out);
    return [{ axis: 1, ids: out }];
  },
};

/** C lies along the output columns (and shrinks with them) unless it is broadcast along them. */
function biasFlow(c: ChannelContext, out: readonly number[]): void {
  if (!c.inputs[2]) return;
  const shape = c.shape(2);
  const axis = shape.length - 1;
  const spans = axis >= 0 && shape[axis] !== 1;
  if (c.isWeight(2)) {
    if (spans) c.slices(2, axis, out, "param");
    return;
  }
  const flow = c.in(2);
  if (flow && flow.axis === axis && spans) {
    for (const [k, id] of flow.ids.entries()) c.unite(out[k]!, id);
    return;
  }
  if (flow) c.freeze(flow.ids);
  if (spans) c.freeze(out);
}
