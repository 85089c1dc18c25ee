import { tensor } from "../../src/tensor/host-tensor.ts";
import { exact, type KernelCase, kernelSuite, values } from "../support/kernel-cases.ts";

const v = values(11);

/** Pairs of shapes that broadcast: equal, scalars, per channel, both ways, empty, rank 5. */
const pairs: readonly (readonly [readonly number[], readonly number[]])[] = [
  [[7], [7]],
  [[], [3, 5]],
  [
    [0, 3],
    [1, 3],
  ],
  [
    [5, 3, 4, 7],
    [1, 3, 1, 1],
  ],
  [
    [4, 8, 6, 6],
    [4, 8, 6, 6],
  ],
  [
    [2, 1, 5],
    [3, 1],
  ],
  [
    [2, 3, 2, 3, 2],
    [3, 1, 3, 1],
  ],
  [
    [6, 5],
    [6, 1],
  ],
];

const arithmetic = pairs.flatMap(([a, b]): KernelCase[] => [
  ...["Add", "Sub", "Mul"].map((op) => ({
    op,
    inputs: [v.normal(a), v.normal(b)],
    tolerance: { rel: 1e-6, abs: 1e-6 },
  })),
  { op: "Div", inputs: [v.normal(a), v.between(0.5, 2, b)], tolerance: { rel: 1e-6, abs: 1e-7 } },
  { op: "Pow", inputs: [v.between(0.1, 3, a), v.between(-2, 3, b)], tolerance: { rel: 2e-5, abs: 1e-6 } },
  {
    op: "PRelu",
    inputs: [
      v.normal([...(a.length >= b.length ? a : b)]),
      v.normal(
        a.length >= b.length && b.every((d, i) => d === 1 || d === a[a.length - b.length + i]) ? b : [1],
      ),
    ],
    tolerance: { rel: 1e-6, abs: 1e-7 },
  },
]);

const integers: KernelCase[] = [
  "Add",
  "Sub",
  "Mul",
  "Equal",
  "Less",
  "LessOrEqual",
  "Greater",
  "GreaterOrEqual",
].map((op) => ({
  op,
  name: "integers",
  inputs: [v.ints(-9, 9, [4, 5]), v.ints(-9, 9, [5])],
}));

const compared: KernelCase[] = ["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"].map((op) => ({
  op,
  name: "floats, some equal",
  inputs: [tensor([1, 2, 3, -0, 5], [5]), tensor([1, 3, 2, 0, 5], [5])],
}));

const logical: KernelCase[] = ["And", "Or", "Xor"].map((op) => ({
  op,
  inputs: [v.ints(0, 1, [3, 4], "bool"), v.ints(0, 1, [4], "bool")],
}));

const variadic = ["Sum", "Max", "Min", "Mean"].flatMap((op): KernelCase[] =>
  [1, 2, 3, 5].map((n) => ({
    op,
    name: `${n} operands`,
    inputs: Array.from({ length: n }, (_, i) => v.normal(i % 2 ? [3, 1, 5] : [2, 3, 4, 5])),
    tolerance: { rel: 1e-6, abs: 1e-6 },
  })),
);

const others: KernelCase[] = [
  {
    op: "Pow",
    name: "negative bases",
    inputs: [tensor([-2, -2, -3, -1.5, 0, 4], [6]), tensor([3, 2, -1, 4, 2, 0.5], [6])],
    tolerance: { rel: 1e-6 },
  },
  {
    op: "Pow",
    name: "integer exponents",
    inputs: [v.normal([3, 4]), v.ints(0, 4, [4], "i64")],
    tolerance: { rel: 1e-5, abs: 1e-6 },
  },
  { op: "Pow", name: "integers", inputs: [v.ints(-4, 4, [9]), v.ints(0, 5, [9])] },
  { op: "Div", name: "integers", inputs: [v.ints(-50, 50, [9]), v.ints(1, 7, [9])] },
  {
    op: "Mod",
    name: "sign of the divisor",
    inputs: [v.ints(-50, 50, [12]), tensor([3, -3, 5, -5, 7, -7, 1, -1, 2, -2, 4, -4], [12], "i32")],
  },
  {
    op: "Mod",
    name: "fmod of integers",
    attributes: { fmod: 1 },
    inputs: [v.ints(-50, 50, [12]), tensor([3, -3, 5, -5, 7, -7, 1, -1, 2, -2, 4, -4], [12], "i32")],
  },
  {
    op: "Mod",
    name: "fmod of floats",
    attributes: { fmod: 1 },
    inputs: [v.normal([20]), v.between(0.5, 2, [20])],
    tolerance: { abs: 1e-6 },
  },
  {
    op: "Where",
    inputs: [v.ints(0, 1, [3, 1, 5], "bool"), v.normal([2, 3, 4, 5]), v.normal([4, 1])],
    tolerance: exact,
  },
  {
    op: "Where",
    name: "integers",
    inputs: [v.ints(0, 1, [7], "bool"), v.ints(-5, 5, [7]), v.ints(-5, 5, [])],
    tolerance: exact,
  },
];

const kernels = kernelSuite("binary kernels", [
  ...arithmetic,
  ...integers,
  ...compared,
  ...logical,
  ...variadic,
  ...others,
]);

kernels.run();
