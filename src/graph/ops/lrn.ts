import { zeros } from "../../tensor/host-tensor.ts";
import { showShape, sizeOf } from "../../tensor/shape.ts";
import type { GradientContext, GradientRule } from "../gradient-rule.ts";
import { attributesOf, type OpContext, type OpDefinition } from "../op.ts";
import { doubles } from "./support/doubles.ts";
import { doubleTensor } from "./support/floats.ts";
import { formula } from "./support/formula.ts";
import { operandOf, refuse, typed } from "./support/operands.ts";
import { mixingFlow } from "./support/param-flow.ts";
import { alongAxis } from "./support/reshaping.ts";

/** What a node says, and how many channels before and after its own each channel is normalised with. */
function responseOf(c: OpContext) {
  const a = attributesOf(c.node);
  const size = a.int("size");
  return {
    alpha: a.float("alpha", 1e-4),
    beta: a.float("beta", 0.75),
    bias: a.float("bias", 1),
    size,
    before: Math.floor((size - 1) / 2),
    after: Math.ceil((size - 1) / 2),
  };
}

/** [C, C] with ones where the column is among the `before` channels before the row, the row itself and `after` behind it. */
function band(g: GradientContext, before: number, after: number): string {
  const channels = g.inputs[0]!.shape[1]!;
  const matrix = zeros([channels, channels], g.inputs[0]!.dtype);
  for (let k = 0; k < channels; k++) {
    for (let j = Math.max(0, k - before); j <= Math.min(channels - 1, k + after); j++)
      matrix.data[k * channels + j] = 1;
  }
  return g.constant(matrix);
}

/**
 * With S the divisor before its power: dy / S^beta - 2·alpha·beta / size · x · Σ dy·y / S, the sum over the channels that
 * count this one among their neighbours.
 */
const gradient: GradientRule = (g) => {
  const { add, sub, mul, div, pow, square } = formula(g);
  const { alpha, beta, bias, size, before, after } = responseOf(g);
  const { shape } = g.inputs[0]!;
  const sums = (name: string, p: number, q: number): string =>
    alongAxis(g, band(g, p, q), shape[1]!, name, shape, 1);
  const divisor = add(mul(sums(square(g.in(0)), before, after), alpha / size), bias);
  const others = sums(div(mul(g.dy, g.out(0)), divisor), after, before);
  const through = mul(mul(g.in(0), others), (2 * alpha * beta) / size);
  return [sub(mul(g.dy, pow(divisor, -beta)), through)];
};

/**
 * Local response normalisation: x / (bias + alpha / size · Σ squares of the neighbouring channels)^beta
 * (Krizhevsky et al. 2012, section 3.3), over channels c - floor((size-1)/2) to c + ceil((size-1)/2).
 */
export const lrn: OpDefinition = {
  name: "LRN",
  inputs: [1, 1],
  outputs: [1, 1],
  attributes: { alpha: "float", beta: "float", bias: "float", size: "int" },
  infer(c) {
    const { dtype, shape } = operandOf(c, 0, "float");
    const a = attributesOf(c.node);
    if (shape.length < 2)
      refuse(c, "E_SHAPE", `the input has shape ${showShape(shape)}; [N, C, ...] is needed.`);
    if (a.int("size") < 1) a.fail(`attribute size is ${a.int("size")}; a number from 1 is needed.`);
    return [typed(c, dtype, shape)];
  },
  reference(c, [x], outputs) {
    const { alpha, beta, bias, size, before, after } = responseOf(c);
    const { shape } = outputs[0]!;
    const channels = shape[1]!;
    const plane = sizeOf(shape.slice(2));
    const data = doubles(x!);
    const y = new Float64Array(data.length);
    for (let n = 0; n < shape[0]!; n++) {
      for (let k = 0; k < channels; k++) {
        for (let p = 0; p < plane; p++) {
          let sum = 0;
          for (let j = Math.max(0, k - before); j <= Math.min(channels - 1, k + after); j++) {
            sum += data[(n * channels + j) * plane + p]! ** 2;
          }
          const at = (n * channels + k) * plane + p;
          y[at] = data[at]! / (bias + (alpha / size) * sum) ** beta;
        }
      }
    }
    return [doubleTensor(shape, y)];
  },
  channels: mixingFlow(() => [1]),
  gradient,
};
