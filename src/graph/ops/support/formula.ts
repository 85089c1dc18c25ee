import { isFloat } from "../../../tensor/dtype.ts";
import { scalar } from "../../../tensor/host-tensor.ts";
import type { GradientContext } from "../../gradient-rule.ts";
import { castCode } from "../cast.ts";

/** The name of a value, or a number, which becomes a constant of the node's dtype. */
export type Term = string | number;

/** The ops that gradients are mostly written with, as functions of names and numbers. Every call adds one node. */
export function formula(g: GradientContext) {
  const { dtype } = g.outputs[0]!;
  const constant = (value: number): string => g.constant(scalar(value, isFloat(dtype) ? dtype : "f32"));
  const nameOf = (term: Term): string => (typeof term === "string" ? term : constant(term));
  const op =
    (type: string) =>
    (...terms: Term[]): string =>
      g.emit(type, terms.map(nameOf));
  return {
    constant,
    add: op("Add"),
    sub: op("Sub"),
    mul: op("Mul"),
    div: op("Div"),
    pow: op("Pow"),
    min: op("Min"),
    max: op("Max"),
    sum: op("Sum"),
    neg: op("Neg"),
    abs: op("Abs"),
    sign: op("Sign"),
    sqrt: op("Sqrt"),
    exp: op("Exp"),
    reciprocal: op("Reciprocal"),
    equal: op("Equal"),
    less: op("Less"),
    greater: op("Greater"),
    both: op("And"),
    /** condition ? a : b. */
    where: op("Where"),
    /** 1 where the condition holds, else 0, in the node's dtype. */
    indicator: (condition: string): string => g.emit("Cast", [condition], { to: castCode(dtype) }),
    square: (x: string): string => g.emit("Mul", [x, x]),
  };
}

/** The gradient of operand `i` from one of the result's shape; nothing is made where it is not wanted. */
export function toOperand(g: GradientContext, i: number, make: () => string): string | undefined {
  return g.wants(i) ? g.sumTo(make(), g.outputs[0]!.shape, g.inputs[i]!.shape) : undefined;
}
