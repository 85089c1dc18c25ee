import { type Shape, sameShape, sizeOf } from "../../../tensor/shape.ts";
import type { GradientContext, GradientRule } from "../../gradient-rule.ts";

/** `name`, which has shape `from`, under the shape `to`. */
export function reshapedTo(g: GradientContext, name: string, from: Shape, to: Shape): string {
  if (sameShape(from, to)) return name;
  // A dimension of 0 means itself and not "as it was".
  return g.emit("Reshape", [name, g.constant(to)], to.includes(0) ? { allowzero: 1 } : {});
}

/** Rule of the ops that only give their input another shape. */
export const reshapingGradient: GradientRule = (g) => [
  reshapedTo(g, g.dy, g.outputs[0]!.shape, g.inputs[0]!.shape),
];

/** `name`, which has shape `from`, repeated to shape `to`. */
export const expandedTo = (g: GradientContext, name: string, from: Shape, to: Shape): string =>
  sameShape(from, to) ? name : g.emit("Expand", [name, g.constant(to)]);

/** The shape with 1 in place of the given axes. */
export const keptShape = (shape: Shape, axes: readonly number[]): number[] =>
  shape.map((d, i) => (axes.includes(i) ? 1 : d));

/** `size` entries of one axis. */
export const sliced = (g: GradientContext, name: string, axis: number, start: number, size: number): string =>
  g.emit("Slice", [name, g.constant([start]), g.constant([start + size]), g.constant([axis])]);

/** Zeros before and behind along every axis; negative numbers crop. */
export const padded = (
  g: GradientContext,
  name: string,
  before: readonly number[],
  after: readonly number[],
): string =>
  [...before, ...after].every((n) => n === 0)
    ? name
    : g.emit("Pad", [name, g.constant([...before, ...after])]);

/** The axis between all before it and all behind it, as three axes. */
export const aroundAxis = (shape: Shape, axis: number): [number, number, number] => [
  sizeOf(shape.slice(0, axis)),
  shape[axis]!,
  sizeOf(shape.slice(axis + 1)),
];

/**
 * The matrix `matrix` [m, k] times every column of `name` along one axis, which has k entries and gets m. Its shape is
 * `shape`.
 */
export function alongAxis(
  g: GradientContext,
  matrix: string,
  m: number,
  name: string,
  shape: Shape,
  axis: number,
): string {
  const product = g.emit("MatMul", [matrix, reshapedTo(g, name, shape, aroundAxis(shape, axis))]);
  const to = shape.map((d, i) => (i === axis ? m : d));
  return reshapedTo(g, product, aroundAxis(to, axis), to);
}
