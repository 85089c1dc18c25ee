import { getNumber } from "../../tensor/host-tensor.ts";
import { rowStrides } from "../../tensor/shape.ts";
import { attributesOf, type OpContext, type OpDefinition } from "../op.ts";
import { reduceGradient } from "./reduce-gradients.ts";
import { allAxes, resolveAxes } from "./support/axes.ts";
import { frozen } from "./support/flow.ts";
import {
  type Kind,
  operandOf,
  optionalInts,
  resultArray,
  resultTensor,
  store,
  typed,
} from "./support/operands.ts";
import { forEachOffset } from "./support/strided.ts";

/** What is left of one group of elements. Empty groups give what the mathematics says: 0, 1, or an infinity. */
type Reduction = (values: Float64Array) => number;

const sum: Reduction = (values) => values.reduce((a, b) => a + b, 0);
const max: Reduction = (values) => values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
const min: Reduction = (values) => values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
const sumOf = (values: Float64Array, f: (x: number) => number): number =>
  values.reduce((a, b) => a + f(b), 0);

function logSumExp(values: Float64Array): number {
  const top = max(values);
  return Number.isFinite(top) ? top + Math.log(sumOf(values, (x) => Math.exp(x - top))) : top;
}

const table: Readonly<Record<string, readonly [Kind, Reduction]>> = {
  ReduceL1: ["number", (values) => sumOf(values, Math.abs)],
  ReduceL2: ["number", (values) => Math.sqrt(sumOf(values, (x) => x * x))],
  ReduceLogSum: ["number", (values) => Math.log(sum(values))],
  ReduceLogSumExp: ["number", logSumExp],
  ReduceMax: ["any", max],
  ReduceMean: ["number", (values) => sum(values) / values.length],
  ReduceMin: ["any", min],
  ReduceProd: ["number", (values) => values.reduce((a, b) => a * b, 1)],
  ReduceSum: ["number", sum],
  ReduceSumSquare: ["number", (values) => sumOf(values, (x) => x * x)],
};

/** Axes a Reduce node folds away (counted from 0, ascending) and whether they stay as 1. */
export function reducedAxes(c: OpContext): { readonly axes: readonly number[]; readonly keep: boolean } {
  const rank = c.inputs[0]!.shape.length;
  const a = attributesOf(c.node);
  const named = optionalInts(c, 1, "axes") ?? [];
  const noop = a.int("noop_with_empty_axes", 0) !== 0;
  const axes = named.length > 0 ? resolveAxes(c, named, rank) : noop ? [] : allAxes(rank);
  return { axes: axes.sort((p, q) => p - q), keep: a.int("keepdims", 1) !== 0 };
}

/**
 * One op per line of the table. `axes` is an optional input; empty or missing means all axes, or with
 * noop_with_empty_axes none: every element is then a group of its own.
 */
export const reduceOps: readonly OpDefinition[] = Object.entries(table).map(([name, [kind, f]]) => ({
  name,
  inputs: [1, 2],
  outputs: [1, 1],
  attributes: { keepdims: "int", noop_with_empty_axes: "int" },
  hostInputs: [1],
  infer(c) {
    const x = operandOf(c, 0, kind);
    const { axes, keep } = reducedAxes(c);
    const shape = x.shape.flatMap((d, i) => (axes.includes(i) ? (keep ? [1] : []) : [d]));
    return [typed(c, x.dtype, shape)];
  },
  reference(c, [x], [type]) {
    const { axes } = reducedAxes(c);
    const strides = rowStrides(x!.shape);
    const pick = <T>(list: readonly T[], reduced: boolean): T[] =>
      list.filter((_, i) => axes.includes(i) === reduced);
    const inside: number[] = [];
    forEachOffset(pick(x!.shape, true), [0], [pick(strides, true)], (_, [o]) => inside.push(o!));
    const values = new Float64Array(inside.length);
    const out = resultArray(type!);
    forEachOffset(pick(x!.shape, false), [0], [pick(strides, false)], (i, [start]) => {
      for (const [k, o] of inside.entries()) values[k] = getNumber(x!.data, start! + o);
      store(type!.dtype, out, i, f(values));
    });
    return [resultTensor(type!, out)];
  },
  channels(c) {
    const flow = c.in(0);
    const { axes, keep } = reducedAxes(c);
    if (!flow || axes.includes(flow.axis)) return frozen(c);
    const gone = keep ? 0 : axes.filter((axis) => axis < flow.axis).length;
    return [{ axis: flow.axis - gone, ids: flow.ids }];
  },
  gradient: reduceGradient(name, (g) => reducedAxes(g).axes),
}));
