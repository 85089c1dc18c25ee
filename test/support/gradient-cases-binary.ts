import { tensor } from "../../src/tensor/host-tensor.ts";
import type { Shape } from "../../src/tensor/shape.ts";
import { type GradientCase, operands } from "./gradient-check.ts";

const v = operands(21);

/** Pairs of shapes: equal, scalars, broadcast from either side and from both. */
const pairs: readonly (readonly [Shape, Shape])[] = [
  [
    [3, 5, 7],
    [3, 5, 7],
  ],
  [[3, 5], []],
  [[7], [3, 5, 7]],
  [
    [3, 1, 7],
    [5, 1],
  ],
  [
    [1, 5],
    [3, 1],
  ],
  [[], []],
];

const twoOperands = (op: string, low: number, high: number): GradientCase[] =>
  pairs.map(([a, b]) => ({
    op,
    name: `[${a}] and [${b}]`,
    inputs: { a: v.between(low, high, a), b: v.between(low, high, b) },
    build: (g) => g.node(op, ["a", "b"]),
  }));

const special: readonly GradientCase[] = [
  {
    op: "Div",
    name: "negative divisors",
    inputs: { a: v.between(-2, 2, [3, 5]), b: v.apart(0.5, 2, [5]) },
    build: (g) => g.node("Div", ["a", "b"]),
  },
  {
    op: "Pow",
    name: "exponents of whole numbers, 0 among them",
    inputs: { a: v.apart(0.5, 2, [4, 5]), b: tensor([0, 1, 2, 3, -2], [5], "f64") },
    wrt: ["a"],
    build: (g) => g.node("Pow", ["a", "b"]),
  },
  {
    op: "Pow",
    name: "exponents of an integer type",
    inputs: { a: v.apart(0.5, 2, [4, 5]), b: tensor([0, 1, 2, 3, -2], [5], "i64") },
    build: (g) => g.node("Pow", ["a", "b"]),
  },
  {
    op: "Pow",
    name: "base 0",
    inputs: { a: tensor([0, 0, 2], [3], "f64"), b: tensor([2, 3, 2], [3], "f64") },
    build: (g) => g.node("Pow", ["a", "b"]),
  },
  {
    op: "Mod",
    inputs: { a: tensor([5.3, -5.3, 7.1, -0.4], [4, 1], "f64"), b: tensor([2.2, -3.1, 1.3], [3], "f64") },
    build: (g) => g.node("Mod", ["a", "b"], { fmod: 1 }),
  },
  {
    op: "Mul",
    name: "a square",
    inputs: { a: v.between(-2, 2, [3, 5, 7]) },
    build: (g) => g.node("Mul", ["a", "a"]),
  },
  {
    op: "PRelu",
    inputs: { x: v.apart(0.1, 2, [3, 5, 7]), slope: v.between(-1, 1, [5, 1]) },
    build: (g) => g.node("PRelu", ["x", "slope"]),
  },
  {
    op: "PRelu",
    name: "one slope",
    inputs: { x: v.apart(0.1, 2, [3, 5]), slope: v.between(-1, 1, [1]) },
    build: (g) => g.node("PRelu", ["x", "slope"]),
  },
];

/** Operands that lie at least 0.2 from one another wherever they meet, so that no difference crosses a kink. */
const spaced = (shapes: readonly Shape[]): Record<string, ReturnType<typeof tensor>> =>
  Object.fromEntries(
    shapes.map((shape, i) => {
      const t = v.between(0, 0.3, shape);
      return [
        `x${i}`,
        { ...t, data: (t.data as Float64Array).map((x, k) => x + ((k * 7 + i * 3) % 5) * 0.5) },
      ];
    }),
  );

const lists: readonly (readonly Shape[])[] = [
  [[3, 5]],
  [
    [3, 5],
    [3, 5],
  ],
  [[3, 5, 7], [5, 1], []],
];

const variadic = ["Sum", "Mean", "Max", "Min"].flatMap((op): GradientCase[] =>
  lists.map((shapes) => ({
    op,
    name: `of ${shapes.length}`,
    inputs: op === "Max" || op === "Min" ? spaced(shapes) : listed(shapes),
    build: (g) =>
      g.node(
        op,
        shapes.map((_, i) => `x${i}`),
      ),
  })),
);

function listed(shapes: readonly Shape[]): Record<string, ReturnType<typeof tensor>> {
  return Object.fromEntries(shapes.map((shape, i) => [`x${i}`, v.between(-2, 2, shape)]));
}

const chosen: readonly GradientCase[] = [
  {
    op: "Where",
    inputs: {
      condition: tensor([1, 0, 0, 1, 1], [5, 1], "bool"),
      a: v.between(-2, 2, [3, 1, 7]),
      b: v.between(-2, 2, [7]),
    },
    build: (g) => g.node("Where", ["condition", "a", "b"]),
  },
];

/** Ops of two or more operands that meet element by element. */
export const binaryCases: readonly GradientCase[] = [
  ...["Add", "Sub", "Mul"].flatMap((op) => twoOperands(op, -2, 2)),
  ...["Div", "Pow"].flatMap((op) => twoOperands(op, 0.5, 2)),
  ...special,
  ...variadic,
  ...chosen,
];
