import { suite } from "uvu";
import type { GraphBuilder } from "../../src/graph/builder.ts";
import type { Attribute } from "../../src/graph/graph.ts";
import { tensor } from "../../src/tensor/host-tensor.ts";
import { addGradientTests, type GradientCase, operands } from "../support/gradient-check.ts";

const test = suite("gradients of layers");
const data = operands(7);
const x = (...shape: number[]) => data.between(-1, 1, shape);

function layer(
  op: string,
  name: string,
  inputs: GradientCase["inputs"],
  attributes: Readonly<Record<string, Attribute>> = {},
  wrt?: readonly string[],
): GradientCase {
  const build = (b: GraphBuilder) => b.node(op, Object.keys(inputs), attributes);
  return { op, name, inputs, build, ...(wrt && { wrt }) };
}

/** Elements far enough apart that no step of a difference changes which is the greatest. */
const distinct = (...shape: number[]) => {
  const size = shape.reduce((a, b) => a * b, 1);
  return tensor(
    Float64Array.from({ length: size }, (_, i) => ((i * 37) % size) / size - 0.4),
    shape,
  );
};

const convs = (op: string, weights: readonly (readonly number[])[]): GradientCase[] => [
  layer(op, "1-D", { x: x(2, 3, 7), w: x(...weights[0]!), b: x(4) }),
  layer(
    op,
    "2-D, stride, pads, dilation",
    { x: x(2, 3, 7, 6), w: x(...weights[1]!) },
    {
      strides: [2, 3],
      pads: [1, 0, 2, 1],
      dilations: [2, 1],
    },
  ),
  layer(
    op,
    "2-D, groups",
    { x: x(2, 4, 5, 5), w: x(...weights[2]!), b: x(6) },
    {
      group: 2,
      strides: [2, 2],
      pads: [1, 1, 1, 1],
    },
  ),
  layer(op, "3-D, stride with a rest", { x: x(1, 2, 4, 5, 6), w: x(...weights[3]!) }, { strides: [2, 2, 3] }),
  layer(
    op,
    "SAME_UPPER",
    { x: x(2, 2, 5, 4), w: x(...weights[4]!) },
    {
      auto_pad: "SAME_UPPER",
      strides: [2, 1],
    },
  ),
];

const windows = [
  ["overlapping", { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }],
  ["ceil mode", { kernel_shape: [2, 3], strides: [2, 2], ceil_mode: 1 }],
  ["dilated", { kernel_shape: [2, 2], dilations: [2, 1], strides: [1, 2], pads: [0, 1, 1, 0] }],
] as const;

const statistics = { scale: x(3), bias: x(3), mean: x(3), variance: data.between(0.5, 2, [3]) };

const cases: readonly GradientCase[] = [
  ...convs("Conv", [
    [4, 3, 3],
    [5, 3, 2, 3],
    [6, 2, 3, 3],
    [3, 2, 2, 1, 2],
    [3, 2, 3, 2],
  ]),
  ...convs("ConvTranspose", [
    [3, 4, 3],
    [3, 5, 2, 3],
    [4, 3, 3, 3],
    [2, 3, 2, 1, 2],
    [2, 3, 3, 2],
  ]),
  layer(
    "ConvTranspose",
    "output_padding",
    { x: x(2, 3, 4, 5), w: x(3, 2, 3, 3), b: x(2) },
    {
      strides: [2, 3],
      pads: [1, 0, 1, 1],
      output_padding: [1, 2],
    },
  ),
  ...[0, 1].flatMap((transA) =>
    [0, 1].map((transB) =>
      layer(
        "Gemm",
        `transA ${transA} transB ${transB}`,
        { a: transA ? x(5, 3) : x(3, 5), b: transB ? x(7, 5) : x(5, 7), c: transA ? x(7) : x(3, 1) },
        { transA, transB, alpha: 0.7, beta: transB ? 1 : 1.5 },
      ),
    ),
  ),
  layer("MatMul", "matrices", { a: x(3, 5), b: x(5, 7) }),
  layer("MatMul", "broadcast batches", { a: x(2, 1, 3, 5), b: x(4, 5, 2) }),
  layer("MatMul", "row", { a: x(5), b: x(3, 5, 2) }),
  layer("MatMul", "column", { a: x(2, 3, 5), b: x(5) }),
  layer("MatMul", "inner product", { a: x(5), b: x(5) }),
  ...windows.map(([name, attributes]) => layer("MaxPool", name, { x: distinct(2, 3, 7, 6) }, attributes)),
  layer("MaxPool", "1-D", { x: distinct(2, 3, 9) }, { kernel_shape: [3] }),
  ...windows.flatMap(([name, attributes]) =>
    [0, 1].map((count_include_pad) =>
      layer(
        "AveragePool",
        `${name}, ${count_include_pad}`,
        { x: x(2, 3, 7, 6) },
        {
          ...attributes,
          count_include_pad,
        },
      ),
    ),
  ),
  layer("BatchNormalization", "fixed statistics", { x: x(2, 3, 4, 5), ...statistics }, {}, [
    "x",
    "scale",
    "bias",
  ]),
  layer("BatchNormalization", "training", { x: x(4, 3, 5), ...statistics }, { training_mode: 1 }, [
    "x",
    "scale",
    "bias",
  ]),
  {
    op: "BatchNormTraining",
    inputs: { x: x(3, 3, 4, 5), ...statistics },
    wrt: ["x", "scale", "bias"],
    build: (b) =>
      b.node(
        "BatchNormTraining",
        ["x", "scale", "bias", "mean", "variance"],
        { epsilon: 1e-3 },
        {
          outputs: ["y", "m", "v", "bm", "bv"],
        },
      ),
  },
  {
    op: "SoftmaxCrossEntropy",
    inputs: { logits: x(5, 7), targets: data.between(0, 1, [5, 7]) },
    build: (b) =>
      b.node("SoftmaxCrossEntropy", ["logits", "targets"], {}, { outputs: ["loss of each", "dx"] }),
  },
];

addGradientTests(test, cases);
test.run();
