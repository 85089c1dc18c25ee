import type { DType } from "../../tensor/dtype.ts";
import type { GradientContext, GradientRule } from "../gradient-rule.ts";
import { castCode } from "./cast.ts";
import { formula, toOperand } from "./support/formula.ts";

/** Pow is the one op here whose operands may differ in dtype. */
const converted = (g: GradientContext, name: string, from: DType, to: DType): string =>
  from === to ? name : g.emit("Cast", [name], { to: castCode(to) });

/**
 * b·a^(b-1) and a^b·log(a). Where b is 0 the first is 0 and where a is 0 the second is 0, although a power or a logarithm in
 * it is infinite there.
 */
const power: GradientRule = (g) => {
  const { mul, sub, pow, where, equal } = formula(g);
  const [base, given] = [g.inputs[0]!.dtype, g.inputs[1]!.dtype];
  const exponent = converted(g, g.in(1), given, base);
  return [
    toOperand(g, 0, () => {
      const slope = mul(exponent, pow(g.in(0), sub(exponent, 1)));
      return mul(g.dy, where(equal(exponent, 0), 0, slope));
    }),
    toOperand(g, 1, () => {
      const slope = mul(g.out(0), g.emit("Log", [g.in(0)]));
      return converted(g, mul(g.dy, where(equal(g.in(0), 0), 0, slope)), base, given);
    }),
  ];
};

/** a - b·n, where n is the whole number of times that b fits: locally constant, and recovered from the result exactly. */
const modulo: GradientRule = (g) => {
  const { mul, sub, div, neg } = formula(g);
  return [
    toOperand(g, 0, () => g.dy),
    toOperand(g, 1, () => {
      const times = g.emit("Round", [div(sub(g.in(0), g.out(0)), g.in(1))]);
      return neg(mul(g.dy, times));
    }),
  ];
};

/** Rules of the arithmetic in binary.ts; comparisons and logic are locally constant. */
export const binaryGradients: Readonly<Record<string, GradientRule>> = {
  Add: (g) => [toOperand(g, 0, () => g.dy), toOperand(g, 1, () => g.dy)],
  Div: (g) => {
    const { mul, div, neg } = formula(g);
    return [
      toOperand(g, 0, () => div(g.dy, g.in(1))),
      toOperand(g, 1, () => neg(div(mul(g.dy, g.out(0)), g.in(1)))),
    ];
  },
  Mod: modulo,
  Mul: (g) => {
    const { mul } = formula(g);
    return [toOperand(g, 0, () => mul(g.dy, g.in(1))), toOperand(g, 1, () => mul(g.dy, g.in(0)))];
  },
  Pow: power,
  Sub: (g) => {
    const { neg } = formula(g);
    return [toOperand(g, 0, () => g.dy), toOperand(g, 1, () => neg(g.dy))];
  },
};
