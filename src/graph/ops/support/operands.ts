import { type ErrorCode, GraphError, printable } from "../../../errors.ts";
import { allocate, type DType, type HostArray, isFloat } from "../../../tensor/dtype.ts";
import { getNumber, type HostTensor } from "../../../tensor/host-tensor.ts";
import { checkShape, type Shape, showShape, sizeOf } from "../../../tensor/shape.ts";
import { hostValue, type OpContext, type TensorType } from "../../op.ts";

/** Refuses a node with its op and name in front of the message. */
export function refuse(c: OpContext, code: ErrorCode, message: string): never {
  const op = printable(c.node.op);
  const node = printable(c.node.name);
  throw new GraphError(code, `${op} "${node}": ${message}`, { op, node });
}

/** Type of operand `i`; E_GRAPH when it was left out. */
export function operand(c: OpContext, i: number): TensorType {
  return c.inputs[i] ?? refuse(c, "E_GRAPH", `input ${i} is missing.`);
}

/** What an op lets its operands be. "number" is everything but bool, "index" is i32 or i64. */
export type Kind = "float" | "number" | "bool" | "index" | "any";

const kinds: Readonly<Record<Kind, (dtype: DType) => boolean>> = {
  float: isFloat,
  number: (dtype) => dtype !== "bool",
  bool: (dtype) => dtype === "bool",
  index: (dtype) => dtype === "i32" || dtype === "i64",
  any: () => true,
};

/** Type of operand `i`, which must be of `kind`; E_GRAPH otherwise. */
export function operandOf(c: OpContext, i: number, kind: Kind): TensorType {
  const type = operand(c, i);
  if (!kinds[kind](type.dtype)) {
    refuse(c, "E_GRAPH", `input ${i} is ${type.dtype}, which the op does not take (it takes ${kind} types).`);
  }
  return type;
}

/** All operands given, of one dtype and `kind`; E_GRAPH otherwise. At least one is there. */
export function operandsOf(c: OpContext, kind: Kind): readonly TensorType[] {
  const types = c.inputs.map((_, i) => operandOf(c, i, kind));
  for (const type of types) {
    if (type.dtype !== types[0]!.dtype) {
      refuse(
        c,
        "E_GRAPH",
        `operands are ${types.map((t) => t.dtype).join(" and ")}; they must have one dtype. Add a Cast.`,
      );
    }
  }
  return types;
}

/** An output type whose shape has been checked: rank, dimensions, size. Nothing is allocated before this. */
export function typed(c: OpContext, dtype: DType, shape: Shape, index = 0): TensorType {
  checkShape(shape, `output ${index} of ${printable(c.node.op)} "${printable(c.node.name)}"`);
  return { dtype, shape: [...shape] };
}

/** Most elements of a list that describes a shape, axes, pads or sizes. */
const maxListed = 1 << 16;

/** Whole numbers of the constant 1-D (or scalar) input `i`; E_GRAPH where it is no constant or no list of i32/i64. */
export function hostInts(c: OpContext, i: number, what: string): readonly number[] {
  const type = operandOf(c, i, "index");
  if (type.shape.length > 1 || sizeOf(type.shape) > maxListed) {
    refuse(c, "E_SHAPE", `${what} has shape ${showShape(type.shape)}; a short list is needed.`);
  }
  const value = hostValue(c, i, what);
  return Array.from({ length: value.data.length }, (_, k) => getNumber(value.data, k));
}

/** The same where the operand may be left out. */
export function optionalInts(c: OpContext, i: number, what: string): readonly number[] | undefined {
  return c.inputs[i] ? hostInts(c, i, what) : undefined;
}

/** The one element of the constant input `i`, or undefined where it was left out. */
export function optionalScalar(c: OpContext, i: number, what: string): number | undefined {
  const type = c.inputs[i];
  if (!type) return undefined;
  if (sizeOf(type.shape) !== 1) {
    refuse(c, "E_SHAPE", `${what} has shape ${showShape(type.shape)}; one element is needed.`);
  }
  return getNumber(hostValue(c, i, what).data, 0);
}

/** Room for a reference result: f64 for any float dtype, else the dtype itself. */
export const resultArray = (type: TensorType): HostArray =>
  allocate(isFloat(type.dtype) ? "f64" : type.dtype, sizeOf(type.shape));

export const resultTensor = (type: TensorType, data: HostArray): HostTensor => ({
  dtype: isFloat(type.dtype) ? "f64" : type.dtype,
  shape: type.shape,
  data,
});

const limits: Partial<Record<DType, readonly [number, number]>> = {
  i8: [-128, 127],
  u8: [0, 255],
  bool: [0, 1],
  i32: [-(2 ** 31), 2 ** 31 - 1],
  u32: [0, 2 ** 32 - 1],
};
const int64: readonly [bigint, bigint] = [-(2n ** 63n), 2n ** 63n - 1n];

/**
 * Stores a computed double as `dtype`. Fractions are cut; finite integers wrap as two's complement does; infinities become
 * the nearest value of the type and NaN becomes 0, so that no input can make the store itself throw.
 */
export function store(dtype: DType, data: HostArray, i: number, value: number): void {
  if (data instanceof BigInt64Array) {
    if (Number.isFinite(value)) data[i] = BigInt(Math.trunc(value));
    else data[i] = Number.isNaN(value) ? 0n : int64[value < 0 ? 0 : 1];
    return;
  }
  const range = limits[dtype];
  data[i] = range && Math.abs(value) === Number.POSITIVE_INFINITY ? range[value < 0 ? 0 : 1] : value;
}
