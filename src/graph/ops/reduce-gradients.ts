import { sizeOf } from "../../tensor/shape.ts";
import type { GradientContext, GradientRule } from "../gradient-rule.ts";
import { formula } from "./support/formula.ts";
import { expandedTo, keptShape, reshapedTo } from "./support/reshaping.ts";

/** A reduction seen from behind: the axes that it folds away stay as 1 in `dy` and `y`, so that both broadcast to x. */
interface Folded {
  readonly dy: string;
  readonly y: () => string;
  readonly axes: readonly number[];
}

export type Slope = (g: GradientContext, f: Folded) => string;

/** Sums over the axes, which stay as 1. */
export const sumOver = (g: GradientContext, name: string, axes: readonly number[]): string =>
  axes.length === 0 ? name : g.emit("ReduceSum", [name, g.constant(axes)]);

/** The same for the mean. */
export const meanOver = (g: GradientContext, name: string, axes: readonly number[]): string =>
  axes.length === 0 ? name : g.emit("ReduceMean", [name, g.constant(axes)]);

/** Every element gets the gradient of its group. */
export const sumSlope: Slope = (g, { dy, axes }) => {
  const { shape } = g.inputs[0]!;
  return expandedTo(g, dy, keptShape(shape, axes), shape);
};

/** Every element gets its share of the gradient of its group. */
export const meanSlope: Slope = (g, f) => {
  const count = sizeOf(f.axes.map((axis) => g.inputs[0]!.shape[axis]!));
  return sumSlope(g, count === 1 ? f : { ...f, dy: formula(g).div(f.dy, count) });
};

/** The elements that are the extremum share the gradient of their group evenly. */
export const extremumSlope: Slope = (g, { dy, y, axes }) => {
  const { equal, div, mul, indicator } = formula(g);
  const chosen = indicator(equal(g.in(0), y()));
  return mul(chosen, div(dy, sumOver(g, chosen, axes)));
};

/**
 * Each element gets the product of the others. They are divided out of the product of all that are not zero, which is the
 * product of the others unless one of them is zero.
 */
const productSlope: Slope = (g, { dy, axes }) => {
  const { equal, where, sub, mul, div, indicator } = formula(g);
  const zero = equal(g.in(0), 0);
  const factors = where(zero, 1, g.in(0));
  const product = axes.length === 0 ? factors : g.emit("ReduceProd", [factors, g.constant(axes)]);
  const zeros = indicator(zero);
  const others = sub(sumOver(g, zeros, axes), zeros);
  return mul(dy, where(equal(others, 0), div(product, factors), 0));
};

const slopes: Readonly<Record<string, Slope>> = {
  ReduceL1: (g, { dy }) => {
    const { mul, sign } = formula(g);
    return mul(sign(g.in(0)), dy);
  },
  // Nothing flows through a group of zeros, whose norm has no derivative.
  ReduceL2: (g, { dy, y }) => {
    const { mul, div, where, equal } = formula(g);
    const norm = y();
    return mul(g.in(0), div(dy, where(equal(norm, 0), 1, norm)));
  },
  ReduceLogSum: (g, f) => {
    const { div, exp } = formula(g);
    return sumSlope(g, { ...f, dy: div(f.dy, exp(f.y())) });
  },
  ReduceLogSumExp: (g, { dy, y }) => {
    const { mul, exp, sub } = formula(g);
    return mul(dy, exp(sub(g.in(0), y())));
  },
  ReduceMax: extremumSlope,
  ReduceMean: meanSlope,
  ReduceMin: extremumSlope,
  ReduceProd: productSlope,
  ReduceSum: sumSlope,
  ReduceSumSquare: (g, { dy }) => {
    const { mul } = formula(g);
    return mul(g.in(0), mul(dy, 2));
  },
};

/** The rule of one reduction in reduce.ts. `axesOf` says what a node folds away. */
export const reduceGradient =
  (name: string, axesOf: (g: GradientContext) => readonly number[]): GradientRule =>
  (g) => {
    if (!g.wants(0)) return [];
    const axes = axesOf(g);
    const kept = keptShape(g.inputs[0]!.shape, axes);
    const { shape } = g.outputs[0]!;
    const slope = slopes[name]!;
    return [
      slope(g, {
        axes,
        dy: reshapedTo(g, g.dy, shape, kept),
        y: () => reshapedTo(g, g.out(0), shape, kept),
      }),
    ];
  };
