import type { Attribute } from "../../src/graph/graph.ts";
import { type HostTensor, scalar, tensor } from "../../src/tensor/host-tensor.ts";
import { type GradientCase, operands } from "./gradient-check.ts";

const v = operands(22);

type Attributes = Readonly<Record<string, Attribute>>;

const one = (op: string, x: HostTensor, attributes: Attributes = {}): GradientCase => ({
  op,
  name: [...Object.entries(attributes).map(([k, value]) => `${k} ${value}`), `[${x.shape}]`].join(", "),
  inputs: { x },
  build: (g) => g.node(op, ["x"], attributes),
});

/** Functions that are smooth everywhere, those with a kink at 0, and those that live right of 0. */
const smooth = [
  "Cos",
  "Erf",
  "Exp",
  "Gelu",
  "Mish",
  "Neg",
  "Sigmoid",
  "Sin",
  "Softplus",
  "Swish",
  "Tan",
  "Tanh",
];
const kinked = ["Abs", "Celu", "Elu", "LeakyRelu", "Reciprocal", "Relu", "Selu", "Softsign"];
const positive = ["Log", "Sqrt"];

/** On either side of the kinks that the names of the tests say. */
const around = (...points: number[]): HostTensor =>
  tensor(Float64Array.from(points.flatMap((p) => [p - 0.7, p - 0.1, p + 0.1, p + 0.7])), [
    2,
    2 * points.length,
  ]);

const unary: readonly GradientCase[] = [
  ...smooth.flatMap((op) => [one(op, v.between(-1.4, 1.4, [3, 5, 7])), one(op, v.between(-1.4, 1.4, []))]),
  ...kinked.map((op) => one(op, v.apart(0.1, 2, [3, 5, 7]))),
  ...positive.map((op) => one(op, v.between(0.2, 3, [3, 5, 7]))),
  one("Celu", around(0), { alpha: 0.6 }),
  one("Celu", around(0), { alpha: -0.6 }),
  one("Elu", around(0), { alpha: 1.7 }),
  one("Elu", around(0), { alpha: -0.5 }),
  one("Gelu", v.between(-3, 3, [3, 5, 7]), { approximate: "tanh" }),
  one("HardSigmoid", around(-2.5, 2.5)),
  one("HardSigmoid", around(-0.4, 0.6), { alpha: 1, beta: 0.4 }),
  one("HardSwish", around(-3, 3)),
  one("LeakyRelu", around(0), { alpha: 0.3 }),
  one("LeakyRelu", around(0), { alpha: -0.3 }),
  one("LeakyRelu", around(0), { alpha: 0 }),
  one("Selu", around(0), { alpha: 0.7, gamma: 1.5 }),
  one("Selu", around(0), { alpha: -0.7, gamma: 1.5 }),
  one("Shrink", around(-0.5, 0.5)),
  one("Shrink", around(-1.5, 1.5), { lambd: 1.5, bias: 0.4 }),
  one("Swish", v.between(-3, 3, [3, 5, 7]), { alpha: 1.7 }),
  one("ThresholdedRelu", around(1)),
  one("ThresholdedRelu", around(-0.5), { alpha: -0.5 }),
];

const clip = (low: number | undefined, high: number | undefined, x: HostTensor): GradientCase => ({
  op: "Clip",
  name: `${low} to ${high}`,
  inputs: { x },
  build(g) {
    const bound = (value: number | undefined): string =>
      value === undefined ? "" : g.constant(scalar(value));
    return g.node("Clip", ["x", bound(low), bound(high)]);
  },
});

const others: readonly GradientCase[] = [
  clip(-1, 1.5, around(-1, 1.5)),
  clip(0, undefined, around(0)),
  clip(undefined, 6, around(6)),
  clip(undefined, undefined, around(0)),
  {
    op: "Cast",
    name: "to f64 and back",
    inputs: { x: v.between(-2, 2, [3, 5]) },
    build: (g) => g.node("Cast", [g.node("Cast", ["x"], { to: 11 })], { to: 1 }),
  },
  one("Identity", v.between(-2, 2, [3, 5])),
  {
    op: "Dropout",
    name: "with its mask",
    inputs: { x: v.between(-2, 2, [3, 5]) },
    build: (g) => g.node("Dropout", ["x"], {}, { outputs: ["kept", "mask"] }),
  },
];

/** Constants that a rule brings along must be of the node's dtype. */
const inDouble: readonly GradientCase[] = ["Sigmoid", "Gelu", "Celu", "Sqrt"].map((op) => ({
  op,
  name: "in f64",
  inputs: { x: v.between(0.2, 2, [3, 5]) },
  build: (g) => g.node("Cast", [g.node(op, [g.node("Cast", ["x"], { to: 11 })])], { to: 1 }),
}));

/** Functions of one element. */
export const unaryCases: readonly GradientCase[] = [...unary, ...others, ...inDouble];
