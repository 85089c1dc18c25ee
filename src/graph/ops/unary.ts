import { elementwiseFlow } from "../channels.ts";
import { type AttributeKind, type Attributes, attributesOf, type OpDefinition } from "../op.ts";
import { mapOne } from "./support/elementwise.ts";
import { erf } from "./support/erf.ts";
import { type Kind, operandOf, typed } from "./support/operands.ts";
import { unaryGradient } from "./unary-gradients.ts";

interface Unary {
  readonly kind: Kind;
  readonly attributes?: Readonly<Record<string, AttributeKind>>;
  /** The function for one node, in double precision. */
  readonly of: (a: Attributes) => (x: number) => number;
}

const float = (f: (x: number) => number): Unary => ({ kind: "float", of: () => f });
const numeric = (f: (x: number) => number): Unary => ({ kind: "number", of: () => f });

const sigmoid = (x: number): number => {
  const e = Math.exp(-Math.abs(x));
  return x >= 0 ? 1 / (1 + e) : e / (1 + e);
};
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const clamp01 = (x: number): number => Math.max(0, Math.min(1, x));

function roundHalfToEven(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}

function gelu(a: Attributes): (x: number) => number {
  const approximate = a.string("approximate", "none");
  if (approximate === "none") return (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2));
  if (approximate === "tanh") {
    const k = Math.sqrt(2 / Math.PI);
    return (x) => 0.5 * x * (1 + Math.tanh(k * (x + 0.044715 * x * x * x)));
  }
  return a.fail(`approximate is "${approximate}"; it is "none" or "tanh".`);
}

const alpha = { alpha: "float" } as const;

/** Functions of one element, as ONNX defines them. */
const table: Readonly<Record<string, Unary>> = {
  Abs: numeric(Math.abs),
  Ceil: float(Math.ceil),
  Celu: {
    kind: "float",
    attributes: alpha,
    of: (a) => {
      const k = a.float("alpha", 1);
      return (x) => Math.max(0, x) + Math.min(0, k * Math.expm1(x / k));
    },
  },
  Cos: float(Math.cos),
  Elu: {
    kind: "float",
    attributes: alpha,
    of: (a) => {
      const k = a.float("alpha", 1);
      return (x) => (x < 0 ? k * Math.expm1(x) : x);
    },
  },
  Erf: float(erf),
  Exp: float(Math.exp),
  Floor: float(Math.floor),
  Gelu: { kind: "float", attributes: { approximate: "string" }, of: gelu },
  HardSigmoid: {
    kind: "float",
    attributes: { alpha: "float", beta: "float" },
    of: (a) => {
      const k = a.float("alpha", 0.2);
      const b = a.float("beta", 0.5);
      return (x) => clamp01(k * x + b);
    },
  },
  HardSwish: float((x) => x * clamp01(x / 6 + 0.5)),
  LeakyRelu: {
    kind: "float",
    attributes: alpha,
    of: (a) => {
      const k = a.float("alpha", 0.01);
      return (x) => (x < 0 ? k * x : x);
    },
  },
  Log: float(Math.log),
  Mish: float((x) => x * Math.tanh(softplus(x))),
  Neg: numeric((x) => -x),
  Not: { kind: "bool", of: () => (x) => (x === 0 ? 1 : 0) },
  Reciprocal: float((x) => 1 / x),
  Relu: numeric((x) => Math.max(0, x)),
  Round: float(roundHalfToEven),
  Selu: {
    kind: "float",
    attributes: { alpha: "float", gamma: "float" },
    of: (a) => {
      const k = a.float("alpha", 1.6732631921768188);
      const g = a.float("gamma", 1.0507010221481323);
      return (x) => (x > 0 ? g * x : g * k * Math.expm1(x));
    },
  },
  Shrink: {
    kind: "number",
    attributes: { lambd: "float", bias: "float" },
    of: (a) => {
      const lambd = a.float("lambd", 0.5);
      const bias = a.float("bias", 0);
      return (x) => (x < -lambd ? x + bias : x > lambd ? x - bias : Number.isNaN(x) ? x : 0);
    },
  },
  Sigmoid: float(sigmoid),
  Sign: numeric(Math.sign),
  Sin: float(Math.sin),
  Softplus: float(softplus),
  Softsign: float((x) => (Math.abs(x) === Number.POSITIVE_INFINITY ? Math.sign(x) : x / (1 + Math.abs(x)))),
  Sqrt: float(Math.sqrt),
  Swish: {
    kind: "float",
    attributes: alpha,
    of: (a) => {
      const k = a.float("alpha", 1);
      return (x) => x * sigmoid(k * x);
    },
  },
  Tan: float(Math.tan),
  Tanh: float(Math.tanh),
  ThresholdedRelu: {
    kind: "float",
    attributes: alpha,
    of: (a) => {
      const k = a.float("alpha", 1);
      return (x) => (x > k || Number.isNaN(x) ? x : 0);
    },
  },
};

/** One op per line of the table: a function of one element, same shape and dtype in and out. */
export const unaryOps: readonly OpDefinition[] = Object.entries(table).map(([name, unary]) => ({
  name,
  inputs: [1, 1],
  outputs: [1, 1],
  attributes: unary.attributes ?? {},
  infer(c) {
    const x = operandOf(c, 0, unary.kind);
    unary.of(attributesOf(c.node));
    return [typed(c, x.dtype, x.shape)];
  },
  reference: (c, [x], [type]) => [mapOne(x!, type!, unary.of(attributesOf(c.node)))],
  channels: elementwiseFlow,
  gradient: unaryGradient(name),
}));
