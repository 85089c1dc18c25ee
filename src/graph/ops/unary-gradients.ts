import { type GradientContext, type GradientRule, noGradient } from "../gradient-rule.ts";
import { attributesOf } from "../op.ts";
import { formula } from "./support/formula.ts";

interface Unary {
  readonly x: string;
  /** The op's own result: a rule that needs no more than this lets the forward pass forget x. */
  readonly y: string;
  readonly dy: string;
  readonly float: (name: string, fallback: number) => number;
}

type Formula = ReturnType<typeof formula>;

/** The gradient with respect to x. */
type Rule = (f: Formula, u: Unary, g: GradientContext) => string;

/** dy times the derivative. */
const times =
  (slope: (f: Formula, u: Unary, g: GradientContext) => string): Rule =>
  (f, u, g) =>
    f.mul(u.dy, slope(f, u, g));

/** What has the sign of x: y where `keeps` says that the op keeps the sign of negative numbers. */
const signOf = ({ x, y }: Unary, keeps: boolean): string => (keeps ? y : x);

/** Φ(x) + x·φ(x), with the normal distribution's Φ and its density φ, or the derivative of Φ's approximation by tanh. */
const gelu = times(({ add, sub, mul, neg, exp, square }, { x }, g) => {
  if (attributesOf(g.node).string("approximate", "none") === "none") {
    const below = mul(add(g.emit("Erf", [mul(x, Math.SQRT1_2)]), 1), 0.5);
    const density = mul(exp(neg(mul(square(x), 0.5))), 1 / Math.sqrt(2 * Math.PI));
    return add(below, mul(x, density));
  }
  const [k, cubic] = [Math.sqrt(2 / Math.PI), 0.044715];
  const xx = square(x);
  const t = g.emit("Tanh", [mul(x, add(mul(xx, k * cubic), k))]);
  const inner = add(mul(xx, 1.5 * k * cubic), 0.5 * k);
  return add(mul(add(t, 1), 0.5), mul(mul(x, inner), sub(1, square(t))));
});

const table: Readonly<Record<string, Rule>> = {
  Abs: times(({ sign }, { x }) => sign(x)),
  // y/α + 1 is exp(x/α) left of 0; on the right it lies beyond 1, on the side that α's sign says.
  Celu: times(({ add, mul, min, max }, { y, float }) => {
    const alpha = float("alpha", 1);
    const slope = add(mul(y, 1 / alpha), 1);
    return alpha > 0 ? min(slope, 1) : max(slope, 1);
  }),
  Cos: ({ mul, neg }, { x, dy }, g) => neg(mul(dy, g.emit("Sin", [x]))),
  Elu: times(({ add, less, where }, u) => {
    const alpha = u.float("alpha", 1);
    return where(less(signOf(u, alpha > 0), 0), add(u.y, alpha), 1);
  }),
  Erf: times(({ exp, neg, mul, square }, { x }) => mul(exp(neg(square(x))), 2 / Math.sqrt(Math.PI))),
  Exp: times((_, { y }) => y),
  Gelu: gelu,
  HardSigmoid: ({ mul, both, greater, less, where }, { y, dy, float }) =>
    where(both(greater(y, 0), less(y, 1)), mul(dy, float("alpha", 0.2)), 0),
  HardSwish: times(({ add, mul, abs, greater, less, where }, { x }) => {
    const outside = where(greater(x, 0), 1, 0);
    return where(less(abs(x), 3), add(mul(x, 1 / 3), 0.5), outside);
  }),
  LeakyRelu: ({ mul, less, where }, u) => {
    const alpha = u.float("alpha", 0.01);
    return where(less(signOf(u, alpha > 0), 0), mul(u.dy, alpha), u.dy);
  },
  Log: ({ div }, { x, dy }) => div(dy, x),
  // With t = tanh(softplus(x)), whose derivative is (1 - t²)·sigmoid(x).
  Mish: times(({ add, sub, mul, square }, { x }, g) => {
    const t = g.emit("Tanh", [g.emit("Softplus", [x])]);
    return add(t, mul(mul(x, g.emit("Sigmoid", [x])), sub(1, square(t))));
  }),
  Neg: ({ neg }, { dy }) => neg(dy),
  Reciprocal: ({ mul, neg, square }, { y, dy }) => neg(mul(dy, square(y))),
  Relu: (_, { y, dy }, g) => g.emit("ReluGrad", [dy, y]),
  Selu: times(({ add, greater, where }, u) => {
    const alpha = u.float("alpha", 1.6732631921768188);
    const gamma = u.float("gamma", 1.0507010221481323);
    return where(greater(signOf(u, alpha > 0 && gamma > 0), 0), gamma, add(u.y, alpha * gamma));
  }),
  Shrink: ({ abs, greater, where }, { x, dy, float }) => where(greater(abs(x), float("lambd", 0.5)), dy, 0),
  Sigmoid: times(({ mul, sub }, { y }) => mul(y, sub(1, y))),
  Sin: times((_, { x }, g) => g.emit("Cos", [x])),
  Softplus: times((_, { x }, g) => g.emit("Sigmoid", [x])),
  Softsign: ({ div, add, abs, square }, { x, dy }) => div(dy, square(add(abs(x), 1))),
  Sqrt: ({ div, mul }, { y, dy }) => div(dy, mul(y, 2)),
  // With s = sigmoid(αx): s + α·y·(1 - s).
  Swish: times(({ add, sub, mul }, { x, y, float }, g) => {
    const alpha = float("alpha", 1);
    const s = g.emit("Sigmoid", [mul(x, alpha)]);
    return add(s, mul(mul(y, alpha), sub(1, s)));
  }),
  Tan: times(({ add, square }, { y }) => add(square(y), 1)),
  Tanh: times(({ sub, square }, { y }) => sub(1, square(y))),
  ThresholdedRelu: ({ greater, where }, { x, dy, float }) => where(greater(x, float("alpha", 1)), dy, 0),
};

/** The rule of one function in unary.ts. Those that are not in the table are locally constant: they round, or give a sign. */
export function unaryGradient(name: string): GradientRule {
  const rule = table[name];
  if (!rule) return noGradient;
  return (g) => {
    const { float } = attributesOf(g.node);
    return [rule(formula(g), { x: g.in(0), y: g.out(0), dy: g.dy, float }, g)];
  };
}
