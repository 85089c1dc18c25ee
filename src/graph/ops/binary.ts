import { GraphError } from "../../errors.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { broadcastShapes } from "../../tensor/shape.ts";
import { elementwiseFlow } from "../channels.ts";
import { noGradient } from "../gradient-rule.ts";
import { attributesOf, type OpContext, type OpDefinition } from "../op.ts";
import { binaryGradients } from "./binary-gradients.ts";
import { mapTwo } from "./support/elementwise.ts";
import { type Kind, operandOf, operandsOf, refuse, typed } from "./support/operands.ts";

type Pair = (a: number, b: number) => number;

interface Binary {
  readonly kind: Kind;
  /** Are operands and result of one dtype ("same"), the result a bool, or may the second operand differ ("first")? */
  readonly type: "same" | "bool" | "first";
  readonly attributes?: OpDefinition["attributes"];
  readonly of: (c: OpContext) => Pair;
}

const same = (f: Pair): Binary => ({ kind: "number", type: "same", of: () => f });
const compare = (kind: Kind, f: (a: number, b: number) => boolean): Binary => ({
  kind,
  type: "bool",
  of: () => (a, b) => (f(a, b) ? 1 : 0),
});

const integers = (c: OpContext): boolean => !isFloat(c.inputs[0]!.dtype);

function divide(c: OpContext): Pair {
  if (!integers(c)) return (a, b) => a / b;
  return (a, b) => {
    if (b === 0) throw new GraphError("E_GRAPH", `Div "${c.node.name}": integer division of ${a} by zero.`);
    return Math.trunc(a / b);
  };
}

/** fmod = 1 takes the sign of the dividend (C), fmod = 0 that of the divisor (Python) and is for integers only. */
function modulo(c: OpContext): Pair {
  const fmod = attributesOf(c.node).int("fmod", 0) !== 0;
  if (!fmod && !integers(c))
    refuse(c, "E_ATTRIBUTE", `fmod is 0, but the operands are floats. Set fmod to 1.`);
  return (a, b) => {
    if (b === 0 && integers(c))
      throw new GraphError("E_GRAPH", `Mod "${c.node.name}": remainder of ${a} by zero.`);
    const rest = a % b;
    return fmod || rest === 0 || rest < 0 === b < 0 ? rest : rest + b;
  };
}

/** Functions of two elements with NumPy broadcasting. Integer arithmetic is exact up to 2^53. */
const table: Readonly<Record<string, Binary>> = {
  Add: same((a, b) => a + b),
  And: compare("bool", (a, b) => a !== 0 && b !== 0),
  Div: { kind: "number", type: "same", of: divide },
  Equal: compare("any", (a, b) => a === b),
  Greater: compare("number", (a, b) => a > b),
  GreaterOrEqual: compare("number", (a, b) => a >= b),
  Less: compare("number", (a, b) => a < b),
  LessOrEqual: compare("number", (a, b) => a <= b),
  Mod: { kind: "number", type: "same", attributes: { fmod: "int" }, of: modulo },
  Mul: same((a, b) => a * b),
  Or: compare("bool", (a, b) => a !== 0 || b !== 0),
  Pow: { kind: "number", type: "first", of: () => (a, b) => a ** b },
  Sub: same((a, b) => a - b),
  Xor: compare("bool", (a, b) => (a !== 0) !== (b !== 0)),
};

/** One op per line of the table. */
export const binaryOps: readonly OpDefinition[] = Object.entries(table).map(([name, binary]) => ({
  name,
  inputs: [2, 2],
  outputs: [1, 1],
  attributes: binary.attributes ?? {},
  infer(c) {
    const [a, b] =
      binary.type === "first"
        ? [operandOf(c, 0, binary.kind), operandOf(c, 1, binary.kind)]
        : operandsOf(c, binary.kind);
    binary.of(c);
    const dtype = binary.type === "bool" ? "bool" : a!.dtype;
    return [typed(c, dtype, broadcastShapes(a!.shape, b!.shape))];
  },
  reference: (c, [a, b], [type]) => [mapTwo(a!, b!, type!, binary.of(c))],
  channels: elementwiseFlow,
  gradient: binaryGradients[name] ?? noGradient,
}));
