import { isFloat } from "../../../tensor/dtype.ts";
import type { HostTensor } from "../../../tensor/host-tensor.ts";
import { type Shape, showShape } from "../../../tensor/shape.ts";
import type { OpContext, TensorType } from "../../op.ts";
import { operand, refuse } from "./operands.ts";

/** Type of the first operand, when every operand given is a float of the same dtype; E_GRAPH otherwise. */
export function floatOperands(c: OpContext, required: number): TensorType {
  for (let i = 0; i < required; i++) operand(c, i);
  const first = operand(c, 0);
  for (const [i, type] of c.inputs.entries()) {
    if (!type) continue;
    if (!isFloat(type.dtype)) refuse(c, "E_GRAPH", `input ${i} is ${type.dtype}; a float type is needed.`);
    if (type.dtype !== first.dtype) {
      refuse(
        c,
        "E_GRAPH",
        `operands are ${first.dtype} and ${type.dtype}; they must have one dtype. Add a Cast.`,
      );
    }
  }
  return first;
}

/** E_SHAPE unless operand `i` (when given) is a vector of `length`. */
export function checkVector(c: OpContext, i: number, length: number, what: string): void {
  const shape = c.inputs[i]?.shape;
  if (shape && (shape.length !== 1 || shape[0] !== length)) {
    refuse(c, "E_SHAPE", `${what} has shape ${showShape(shape)}; [${length}] is needed.`);
  }
}

/** A reference result from doubles. */
export const doubleTensor = (shape: Shape, data: Float64Array): HostTensor => ({ dtype: "f64", shape, data });
