import { sizeOf } from "../../tensor/shape.ts";
import { noGradient } from "../gradient-rule.ts";
import { attributesOf, type OpContext, type OpDefinition } from "../op.ts";
import { operand } from "./support/operands.ts";

function dimensions(c: OpContext): readonly number[] {
  const { shape } = operand(c, 0);
  const a = attributesOf(c.node);
  const place = (v: number): number => Math.max(0, Math.min(shape.length, v < 0 ? v + shape.length : v));
  return shape.slice(place(a.int("start", 0)), place(a.int("end", shape.length)));
}

/** The dimensions of its input from `start` up to `end`. Needs the input's type only, never its value. */
export const shapeOp: OpDefinition = {
  name: "Shape",
  inputs: [1, 1],
  outputs: [1, 1],
  attributes: { start: "int", end: "int" },
  infer: (c) => [{ dtype: "i64", shape: [dimensions(c).length] }],
  reference: (c, _inputs, [type]) => [
    { dtype: "i64", shape: type!.shape, data: BigInt64Array.from(dimensions(c), (d) => BigInt(d)) },
  ],
  gradient: noGradient,
};

/** The number of elements of its input. Needs the input's type only. */
export const sizeOp: OpDefinition = {
  name: "Size",
  inputs: [1, 1],
  outputs: [1, 1],
  attributes: {},
  infer(c) {
    operand(c, 0);
    return [{ dtype: "i64", shape: [] }];
  },
  reference: (c) => [
    { dtype: "i64", shape: [], data: BigInt64Array.of(BigInt(sizeOf(operand(c, 0).shape))) },
  ],
  gradient: noGradient,
};
