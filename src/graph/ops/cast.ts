import { UnsupportedError } from "../../errors.ts";
import { type DType, isFloat } from "../../tensor/dtype.ts";
import { elementwiseFlow } from "../channels.ts";
import type { GradientRule } from "../gradient-rule.ts";
import { attributesOf, type OpContext, type OpDefinition } from "../op.ts";
import { mapOne } from "./support/elementwise.ts";
import { operand, typed } from "./support/operands.ts";

/** TensorProto.DataType numbers of the dtypes the engine holds. */
const codes: ReadonlyMap<number, DType> = new Map([
  [1, "f32"],
  [2, "u8"],
  [3, "i8"],
  [6, "i32"],
  [7, "i64"],
  [9, "bool"],
  [10, "f16"],
  [11, "f64"],
  [12, "u32"],
]);

/** The number that stands for a dtype in a Cast's attribute. */
export const castCode = (dtype: DType): number => [...codes].find(([, d]) => d === dtype)![0];

/** The dtype a Cast converts to; E_UNSUPPORTED for the others of ONNX. */
export function castTarget(c: OpContext): DType {
  const to = attributesOf(c.node).int("to");
  const dtype = codes.get(to);
  if (!dtype) {
    throw new UnsupportedError(
      `Cast to TensorProto type ${to} is not supported; use one of ${[...codes.values()].join(", ")}.`,
      {
        op: "Cast",
        node: c.node.name,
      },
    );
  }
  return dtype;
}

/** Back to the input's dtype. Nothing flows through whole numbers: they are locally constant. */
const gradient: GradientRule = (g) => {
  const [from, to] = [g.inputs[0]!.dtype, g.outputs[0]!.dtype];
  return isFloat(from) && isFloat(to) ? [g.emit("Cast", [g.dy], { to: castCode(from) })] : [];
};

/**
 * Conversion between dtypes. Float to integer cuts the fraction; to bool is "not zero". Floats narrower than f64 are not
 * rounded by the reference, as the device holds every float as f32.
 */
export const cast: OpDefinition = {
  name: "Cast",
  inputs: [1, 1],
  outputs: [1, 1],
  attributes: { to: "int", saturate: "int" },
  infer: (c) => [typed(c, castTarget(c), operand(c, 0).shape)],
  reference: (_c, [x], [type]) => [
    mapOne(x!, type!, type!.dtype === "bool" ? (v) => (v !== 0 ? 1 : 0) : (v) => v),
  ],
  channels: elementwiseFlow,
  gradient,
};
