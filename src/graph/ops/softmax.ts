import { normaliseAxis, sizeOf } from "../../tensor/shape.ts";
import type { GradientContext, GradientRule } from "../gradient-rule.ts";
import { attributesOf, type OpContext, type OpDefinition } from "../op.ts";
import { sumOver } from "./reduce-gradients.ts";
import { doubles } from "./support/doubles.ts";
import { doubleTensor } from "./support/floats.ts";
import { formula } from "./support/formula.ts";
import { operandOf, typed } from "./support/operands.ts";
import { mixingFlow } from "./support/param-flow.ts";

/** The axis along which a softmax sums to 1, counted from 0. */
export const softmaxAxis = (c: OpContext): number =>
  normaliseAxis(
    attributesOf(c.node).int("axis", -1),
    c.inputs[0]!.shape.length,
    `${c.node.op} "${c.node.name}"`,
  );

/** The sum over the softmax's axis, which stays as 1. */
const sumAlong = (g: GradientContext, name: string): string => sumOver(g, name, [softmaxAxis(g)]);

const softmaxGradient: GradientRule = (g) => {
  const { mul, sub } = formula(g);
  return [mul(g.out(0), sub(g.dy, sumAlong(g, mul(g.dy, g.out(0)))))];
};

const logSoftmaxGradient: GradientRule = (g) => {
  const { mul, sub, exp } = formula(g);
  return [sub(g.dy, mul(exp(g.out(0)), sumAlong(g, g.dy)))];
};

/** exp(x - max) over its sum along one axis, or the logarithm of that. */
const softmaxOp = (
  name: string,
  finish: (x: number, max: number, sum: number) => number,
  gradient: GradientRule,
): OpDefinition => ({
  name,
  inputs: [1, 1],
  outputs: [1, 1],
  attributes: { axis: "int" },
  infer(c) {
    const { dtype, shape } = operandOf(c, 0, "float");
    softmaxAxis(c);
    return [typed(c, dtype, shape)];
  },
  reference(c, inputs, outputs) {
    const { shape } = outputs[0]!;
    const axis = softmaxAxis(c);
    const x = doubles(inputs[0]!);
    const y = new Float64Array(x.length);
    const size = shape[axis]!;
    const step = sizeOf(shape.slice(axis + 1));
    for (let outer = 0; outer < sizeOf(shape.slice(0, axis)); outer++) {
      for (let inner = 0; inner < step; inner++) {
        const from = outer * size * step + inner;
        let max = Number.NEGATIVE_INFINITY;
        for (let i = 0; i < size; i++) max = Math.max(max, x[from + i * step]!);
        let sum = 0;
        for (let i = 0; i < size; i++) sum += Math.exp(x[from + i * step]! - max);
        for (let i = 0; i < size; i++) y[from + i * step] = finish(x[from + i * step]!, max, sum);
      }
    }
    return [doubleTensor(shape, y)];
  },
  channels: mixingFlow((c) => [softmaxAxis(c)]),
  gradient,
});

export const softmax = softmaxOp("Softmax", (x, max, sum) => Math.exp(x - max) / sum, softmaxGradient);
export const logSoftmax = softmaxOp(
  "LogSoftmax",
  (x, max, sum) => x - max - Math.log(sum),
  logSoftmaxGradient,
);
