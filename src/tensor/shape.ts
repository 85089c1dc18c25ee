import { GraphError, InputError, SecateurError } from "../errors.ts";

/** Dimensions, outermost first. Rank 0 is a scalar; a dimension of 0 is legal everywhere. */
export type Shape = readonly number[];

export const maxRank = 8;
export const maxElements = 2 ** 31 - 1;

/** Product that fails above 2^53 - 1 instead of rounding. */
export function checkedMul(a: number, b: number): number {
  const product = a * b;
  if (!Number.isSafeInteger(product)) {
    throw new SecateurError("E_OVERFLOW", `size overflow: ${a} x ${b} is beyond 2^53 - 1.`);
  }
  return product;
}

/** Sum that fails above 2^53 - 1 instead of rounding. */
export function checkedAdd(a: number, b: number): number {
  const sum = a + b;
  if (!Number.isSafeInteger(sum)) {
    throw new SecateurError("E_OVERFLOW", `size overflow: ${a} + ${b} is beyond 2^53 - 1.`);
  }
  return sum;
}

/** Number of elements, with checked arithmetic; says nothing about how many are affordable. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const d of shape) size = checkedMul(size, d);
  // A zero dimension makes the product small whatever the others are, so the others are checked on their own.
  return size;
}

/** Throws unless every dimension is a whole number >= 0, the rank <= 8 and the size < 2^31. */
export function checkShape(shape: Shape, what: string): void {
  if (shape.length > maxRank) {
    throw new GraphError("E_SHAPE", `${what} has rank ${shape.length}; at most ${maxRank} is supported.`);
  }
  for (const d of shape) {
    if (!Number.isSafeInteger(d) || d < 0) {
      throw new GraphError("E_SHAPE", `${what} has shape [${shape}]; dimensions are whole numbers from 0.`);
    }
  }
  if (sizeOf(shape) > maxElements) {
    throw new GraphError(
      "E_OVERFLOW",
      `${what} has ${sizeOf(shape)} elements; at most ${maxElements} are supported.`,
    );
  }
}

export const sameShape = (a: Shape, b: Shape): boolean =>
  a.length === b.length && a.every((d, i) => d === b[i]);

export const showShape = (shape: readonly (number | null)[]): string =>
  `[${shape.map((d) => d ?? "?").join(", ")}]`;

/** Row-major strides in elements. */
export function rowStrides(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = step;
    step *= shape[i]!;
  }
  return strides;
}

/** NumPy broadcasting of any number of shapes; throws E_SHAPE with all of them. */
export function broadcastShapes(...shapes: Shape[]): number[] {
  const rank = Math.max(0, ...shapes.map((s) => s.length));
  const out = new Array<number>(rank).fill(1);
  for (const shape of shapes) {
    const shift = rank - shape.length;
    for (let i = 0; i < shape.length; i++) {
      const d = shape[i]!;
      if (d === 1 || d === out[shift + i]) continue;
      if (out[shift + i] !== 1) {
        throw new GraphError(
          "E_SHAPE",
          `shapes ${shapes.map(showShape).join(" and ")} do not broadcast together.`,
        );
      }
      out[shift + i] = d;
    }
  }
  return out;
}

/** Strides that read `shape` as if it had been broadcast to `to`: 0 along every stretched dimension. */
export function broadcastStrides(shape: Shape, strides: readonly number[], to: Shape): number[] {
  const shift = to.length - shape.length;
  return to.map((_, i) => (i < shift || shape[i - shift] === 1 ? 0 : strides[i - shift]!));
}

/** Axis in 0..rank-1 from one that may count from the end. */
export function normaliseAxis(axis: number, rank: number, what: string): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    throw new GraphError("E_ATTRIBUTE", `${what}: axis ${axis} is outside a tensor of rank ${rank}.`);
  }
  return axis < 0 ? axis + rank : axis;
}

/** A whole number for a public option, or a clear refusal. */
export function wholeNumber(value: unknown, what: string, min = 0, max = Number.MAX_SAFE_INTEGER): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min || value > max) {
    throw new InputError(`${what} is ${String(value)}; a whole number from ${min} to ${max} is needed.`);
  }
  return value;
}
