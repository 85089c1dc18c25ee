import { broadcastShapes } from "../../tensor/shape.ts";
import { elementwiseFlow } from "../channels.ts";
import type { GradientContext, GradientRule } from "../gradient-rule.ts";
import type { OpDefinition } from "../op.ts";
import { mapMany } from "./support/elementwise.ts";
import { formula, toOperand } from "./support/formula.ts";
import { operandsOf, typed } from "./support/operands.ts";

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** Functions of one or more elements with NumPy broadcasting. */
const table: Readonly<Record<string, (values: readonly number[]) => number>> = {
  Max: (values) => Math.max(...values),
  Mean: (values) => sum(values) / values.length,
  Min: (values) => Math.min(...values),
  Sum: sum,
};

const toEach = (g: GradientContext, part: (i: number) => string): (string | undefined)[] =>
  g.inputs.map((_, i) => toOperand(g, i, () => part(i)));

/** The operands that are the extremum share its gradient evenly. */
const extremum: GradientRule = (g) => {
  if (g.inputs.length === 1) return [g.dy];
  const { equal, indicator, sum, div, mul } = formula(g);
  const chosen = g.inputs.map((_, i) => indicator(equal(g.in(i), g.out(0))));
  const share = div(g.dy, sum(...chosen));
  return toEach(g, (i) => mul(chosen[i]!, share));
};

const gradients: Readonly<Record<string, GradientRule>> = {
  Max: extremum,
  Mean(g) {
    const share = formula(g).div(g.dy, g.inputs.length);
    return toEach(g, () => share);
  },
  Min: extremum,
  Sum: (g) => toEach(g, () => g.dy),
};

/** One op per line of the table. */
export const variadicOps: readonly OpDefinition[] = Object.entries(table).map(([name, f]) => ({
  name,
  inputs: [1, 1024],
  outputs: [1, 1],
  attributes: {},
  infer(c) {
    const types = operandsOf(c, "number");
    return [typed(c, types[0]!.dtype, broadcastShapes(...types.map((t) => t.shape)))];
  },
  reference: (_c, inputs, [type]) => [
    mapMany(
      inputs.map((t) => t!),
      type!,
      f,
    ),
  ],
  channels: elementwiseFlow,
  gradient: gradients[name]!,
}));
