import type { Attribute } from "../../src/graph/graph.ts";
import { type HostTensor, tensor } from "../../src/tensor/host-tensor.ts";
import type { Shape } from "../../src/tensor/shape.ts";
import { sizeOf } from "../../src/tensor/shape.ts";
import { type GradientCase, operands } from "./gradient-check.ts";

const v = operands(24);

type Attributes = Readonly<Record<string, Attribute>>;

/** Shuffled values above 0, no two within 0.009: 37 has no factor in common with the sizes here. */
const distinct = (shape: Shape): HostTensor => {
  const size = sizeOf(shape);
  return tensor(
    Float64Array.from({ length: size }, (_, i) => 0.3 + ((i * 37) % size) * (2 / size)),
    shape,
  );
};

const reduced = (
  op: string,
  x: HostTensor,
  axes: readonly number[] | undefined,
  attributes: Attributes = {},
  name = "",
): GradientCase => ({
  op,
  name: [`[${x.shape}] axes [${axes ?? ""}]`, ...Object.entries(attributes), name].join(" "),
  inputs: { x },
  build: (g) => g.node(op, axes ? ["x", g.constant(axes)] : ["x"], attributes),
});

const reductions = [
  "ReduceL1",
  "ReduceL2",
  "ReduceLogSum",
  "ReduceLogSumExp",
  "ReduceMax",
  "ReduceMean",
  "ReduceMin",
  "ReduceProd",
  "ReduceSum",
  "ReduceSumSquare",
].flatMap((op): GradientCase[] => [
  reduced(op, distinct([3, 5, 7]), [-2]),
  reduced(op, distinct([3, 5, 7]), [2, 0], { keepdims: 0 }),
  reduced(op, distinct([3, 5]), undefined, { keepdims: 0 }),
  reduced(op, distinct([3, 5]), undefined, { noop_with_empty_axes: 1 }),
  reduced(op, distinct([]), undefined),
]);

/** Groups with none, one, and two zeros. */
const withZeros = tensor([2, 3, -1.5, 0, 4, 0.5, 0, 2, 0], [3, 3], "f64");

const pooled = ["GlobalAveragePool", "GlobalMaxPool"].flatMap((op): GradientCase[] =>
  [
    [2, 3, 5, 7],
    [3, 2, 5],
  ].map((shape) => ({
    op,
    name: `[${shape}]`,
    inputs: { x: distinct(shape) },
    build: (g) => g.node(op, ["x"]),
  })),
);

const along = (op: string, shape: Shape, attributes: Attributes): GradientCase => ({
  op,
  name: [`[${shape}]`, ...Object.entries(attributes)].join(" "),
  inputs: { x: v.apart(0.1, 2, shape) },
  build: (g) => g.node(op, ["x"], attributes),
});

const normalised = (
  op: string,
  shape: Shape,
  parameters: readonly Shape[],
  attributes: Attributes,
): GradientCase => ({
  op,
  name: [`[${shape}]`, ...parameters.map((s) => `[${s}]`), ...Object.entries(attributes)].join(" "),
  inputs: {
    x: v.between(-2, 2, shape),
    ...Object.fromEntries(parameters.map((s, i) => [["scale", "bias"][i]!, v.apart(0.3, 1.5, s)])),
  },
  build: (g) => g.node(op, ["x", "scale", "bias"].slice(0, 1 + parameters.length), attributes),
});

const norms: readonly GradientCase[] = [
  normalised("LayerNormalization", [3, 5, 7], [[7], [7]], {}),
  normalised("LayerNormalization", [3, 5, 7], [[5, 7]], { axis: -2, epsilon: 0.1 }),
  normalised("LayerNormalization", [2, 3, 5], [[5], [3, 1]], { axis: 1 }),
  normalised("RMSNormalization", [3, 5, 7], [[7]], {}),
  normalised("RMSNormalization", [3, 5, 7], [[5, 1]], { axis: 1, epsilon: 0.1 }),
  normalised("InstanceNormalization", [2, 3, 5, 4], [[3], [3]], { epsilon: 0.01 }),
  normalised("InstanceNormalization", [2, 3, 7], [[3], [3]], {}),
  normalised("GroupNormalization", [2, 6, 3, 5], [[6], [6]], { num_groups: 3, epsilon: 0.01 }),
  normalised("GroupNormalization", [2, 6], [[6], [6]], { num_groups: 2 }),
  normalised("GroupNormalization", [2, 3, 5], [[3], [3]], { num_groups: 3 }),
  normalised("MeanVarianceNormalization", [3, 2, 5, 4], [], {}),
  normalised("MeanVarianceNormalization", [3, 5, 7], [], { axes: [-1, 0] }),
  along("LpNormalization", [3, 5, 7], { axis: 1 }),
  along("LpNormalization", [3, 5, 7], { axis: -1, p: 1 }),
  along("LRN", [2, 7, 3], { size: 3, alpha: 0.5, beta: 0.75, bias: 1.5 }),
  along("LRN", [2, 5, 2, 3], { size: 4, alpha: 0.9, beta: 1.3 }),
  along("LRN", [2, 3, 2], { size: 9, alpha: 0.9 }),
  ...["Softmax", "LogSoftmax"].flatMap((op) => [along(op, [3, 5, 7], { axis: 1 }), along(op, [3, 5, 7], {})]),
];

/** Ops that fold groups of elements together: reductions, global pools, softmax, normalisations. */
export const groupCases: readonly GradientCase[] = [
  ...reductions,
  reduced("ReduceProd", withZeros, [1], {}, "zeros among the factors"),
  ...pooled,
  ...norms,
];
