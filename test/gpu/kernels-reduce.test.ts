import { tensor } from "../../src/tensor/host-tensor.ts";
import { type KernelCase, kernelSuite, values } from "../support/kernel-cases.ts";

const v = values(12);
const axes = (...list: number[]) => tensor(list, [list.length], "i64");

/** Shape, axes, keepdims: single, several, all, long folds, empty outputs. */
const folds: readonly (readonly [readonly number[], readonly number[] | undefined, 0 | 1])[] = [
  [[7], [0], 0],
  [[3, 5], [1], 1],
  [[3, 5], undefined, 0],
  [[2, 3, 4, 5], [2, 3], 1],
  [[2, 3, 4, 5], [2, 3], 0],
  [[5, 3, 4, 7], [-3], 0],
  [[2, 3, 2, 3, 2], [0, 2, 4], 1],
  [[3, 2049], [1], 0],
  [[1, 2, 40, 40], [2, 3], 1],
  [[0, 4], [1], 0],
];

const floats = folds.flatMap(([shape, list, keepdims]): KernelCase[] =>
  [
    "ReduceSum",
    "ReduceMean",
    "ReduceMax",
    "ReduceMin",
    "ReduceL1",
    "ReduceL2",
    "ReduceSumSquare",
    "ReduceLogSumExp",
  ].map((op) => ({
    op,
    name: `${shape} over ${list ?? "all"}, keepdims ${keepdims}`,
    attributes: { keepdims },
    inputs: [v.normal(shape), list && axes(...list)],
    tolerance: { rel: 2e-6, abs: 2e-6 * Math.max(1, shape.reduce((a, b) => a * b, 1) / 50) },
  })),
);

const others: KernelCase[] = [
  { op: "ReduceProd", inputs: [v.between(0.5, 1.5, [3, 9]), axes(1)], tolerance: { rel: 1e-5 } },
  { op: "ReduceLogSum", inputs: [v.between(0.5, 1.5, [3, 9]), axes(0)], tolerance: { rel: 1e-5, abs: 1e-6 } },
  { op: "ReduceSum", name: "an empty set", inputs: [tensor([], [2, 0, 3]), axes(1)] },
  { op: "ReduceProd", name: "an empty set", inputs: [tensor([], [2, 0, 3]), axes(1)] },
  { op: "ReduceMax", name: "an empty set", inputs: [tensor([], [2, 0, 3]), axes(1)] },
  {
    op: "ReduceSum",
    name: "no axes, no operation",
    attributes: { noop_with_empty_axes: 1 },
    inputs: [v.normal([2, 3]), axes()],
  },
  {
    op: "ReduceMean",
    name: "a long sum of equal signs",
    inputs: [v.between(0.9, 1.1, [100_000])],
    tolerance: { rel: 1e-6 },
  },
  ...["ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1"].map((op) => ({
    op,
    name: "integers",
    inputs: [v.ints(-4, 4, [3, 5]), axes(1)],
  })),
  ...["ArgMax", "ArgMin"].flatMap((op) =>
    [0, 1].map((select_last_index) => ({
      op,
      name: `last ${select_last_index}`,
      attributes: { axis: 1, select_last_index },
      inputs: [tensor([1, 3, 3, 0, 0, 2, 5, 5, 5, 1, 1, 4], [2, 6])],
    })),
  ),
  ...["GlobalAveragePool", "GlobalMaxPool"].flatMap((op) =>
    [
      [1, 3, 5, 7],
      [6, 5, 8, 8],
      [2, 3, 9],
      [1, 2, 3, 4, 5],
    ].map((shape) => ({
      op,
      inputs: [v.normal(shape)],
      tolerance: { rel: 1e-6, abs: 1e-6 },
    })),
  ),
];

const kernels = kernelSuite("reduction kernels", [...floats, ...others]);

kernels.run();
