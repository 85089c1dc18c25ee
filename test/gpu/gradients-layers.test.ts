import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type GraphBuilder, graphBuilder } from "../../src/graph/builder.ts";
import { gradientGraph } from "../../src/graph/gradient.ts";
import { type Attribute, type Graph, makeGraph } from "../../src/graph/graph.ts";
import { compile } from "../../src/run/compile.ts";
import { tensor } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import { type Shape, sizeOf } from "../../src/tensor/shape.ts";
import { gpuTest } from "../support/gpu.ts";

const test = suite("gradients of layers on the GPU");
const random = seeded(5);
const values = (shape: Shape) =>
  tensor(
    Float32Array.from({ length: sizeOf(shape) }, () => random.normal()),
    shape,
  );

/** The loss is the sum of the net's output, weighted at random; gradients of all weights and of the input are outputs. */
function withGradients(input: Shape, build: (b: GraphBuilder, x: string) => string, output: Shape): Graph {
  const b = graphBuilder("case");
  const y = build(b, b.input("x", input));
  const weighted = b.node("Mul", [y, b.constant(values(output), "importance")]);
  b.node("ReduceSum", [weighted], { keepdims: 0 }, { name: "loss" });
  b.output("loss", []);
  const graph = b.build();
  const wrt = ["x", ...[...graph.weights.keys()].filter((name) => name.startsWith("w"))];
  const { graph: both, of } = gradientGraph(graph, { loss: "loss", wrt });
  assert.is(of.size, wrt.length);
  const outputs = [...of.values()].map((name) => ({ name, dtype: "f32" as const, shape: [] }));
  return makeGraph({ ...both, outputs: [...both.outputs, ...outputs] });
}

interface Case {
  readonly name: string;
  readonly input: Shape;
  readonly output: Shape;
  readonly build: (b: GraphBuilder, x: string) => string;
}

function conv(
  name: string,
  input: Shape,
  weight: Shape,
  output: Shape,
  attributes: Record<string, Attribute>,
  op = "Conv",
): Case {
  const bias = output[1]!;
  return {
    name: `${op} ${name} of ${input}`,
    input,
    output,
    build: (b, x) =>
      b.node(op, [x, b.weight("w", values(weight)), b.weight("wb", values([bias]))], attributes),
  };
}

const batches = [1, 3, 8];
const cases: readonly Case[] = [
  ...batches.flatMap((n): Case[] => [
    conv("3x3", [n, 5, 9, 7], [13, 5, 3, 3], [n, 13, 9, 7], { pads: [1, 1, 1, 1] }),
    conv("5x5, no pads", [n, 1, 12, 12], [20, 1, 5, 5], [n, 20, 8, 8], {}),
    conv("3x3, stride 2", [n, 6, 9, 8], [8, 6, 3, 3], [n, 8, 5, 4], { pads: [1, 1, 1, 1], strides: [2, 2] }),
    conv("1x1, stride 2", [n, 6, 9, 8], [8, 6, 1, 1], [n, 8, 5, 4], { strides: [2, 2] }),
    conv("groups", [n, 8, 6, 6], [8, 4, 3, 3], [n, 8, 4, 4], { group: 2 }),
    conv("depthwise", [n, 6, 6, 6], [6, 1, 3, 3], [n, 6, 6, 6], { group: 6, pads: [1, 1, 1, 1] }),
    conv("dilated", [n, 4, 9, 9], [5, 4, 2, 3], [n, 5, 7, 5], { dilations: [2, 2] }),
    conv("1-D", [n, 4, 21], [9, 4, 4], [n, 9, 9], { strides: [2] }),
    conv("3-D", [n, 2, 4, 5, 6], [4, 2, 2, 2, 3], [n, 4, 3, 4, 4], {}),
    conv(
      "stride 2",
      [n, 4, 5, 4],
      [4, 6, 3, 3],
      [n, 6, 10, 8],
      { strides: [2, 2], pads: [1, 1, 1, 1], output_padding: [1, 1] },
      "ConvTranspose",
    ),
    conv(
      "stride 3, groups",
      [n, 4, 4, 3],
      [4, 4, 2, 3],
      [n, 8, 11, 9],
      { strides: [3, 3], group: 2 },
      "ConvTranspose",
    ),
    ...[0, 1].map(
      (transB): Case => ({
        name: `Gemm transB ${transB} of ${n}`,
        input: [n, 37],
        output: [n, 11],
        build: (b, x) =>
          b.node(
            "Gemm",
            [x, b.weight("w", values(transB ? [11, 37] : [37, 11])), b.weight("wb", values([11]))],
            { transB },
          ),
      }),
    ),
    {
      name: `BatchNormTraining and Relu of ${n}`,
      input: [n, 6, 5, 3],
      output: [n, 6, 5, 3],
      build: (b, x) => {
        const names = ["scale", "bias"].map((s) => b.weight(`w${s}`, values([6])));
        const moved = ["mean", "variance"].map((s) =>
          b.weight(`v${s}`, tensor(new Float32Array(6).fill(1), [6])),
        );
        const conv = b.node("Conv", [x, b.weight("w", values([6, 6, 3, 3]))], { pads: [1, 1, 1, 1] });
        const y = b.node(
          "BatchNormTraining",
          [conv, ...names, ...moved],
          {},
          { outputs: ["y", "rm", "rv", "bm", "bv"] },
        );
        return b.node("Relu", [y]);
      },
    },
    ...(["MaxPool", "AveragePool"] as const).flatMap((op) =>
      [
        { kernel_shape: [2, 2], strides: [2, 2], pads: [0, 0, 0, 0] },
        { kernel_shape: [3, 2], strides: [2, 1], pads: [1, 0, 1, 1] },
      ].map(
        (attributes, i): Case => ({
          name: `${op} ${i} after Conv of ${n}`,
          input: [n, 3, 8, 6],
          output: i === 0 ? [n, 5, 4, 3] : [n, 5, 4, 6],
          build: (b, x) =>
            b.node(
              op,
              [
                b.node("Relu", [
                  b.node("Conv", [x, b.weight("w", values([5, 3, 3, 3]))], { pads: [1, 1, 1, 1] }),
                ]),
              ],
              attributes,
            ),
        }),
      ),
    ),
  ]),
];

for (const c of cases) {
  gpuTest(test, c.name, async (gpu) => {
    const graph = withGradients(c.input, c.build, c.output);
    const variables = [...graph.weights.keys()].filter((name) => /^[wv]/.test(name));
    const session = await compile(gpu, graph, { variables });
    try {
      await session.verify({ x: values(c.input) }, { tolerance: 2e-4 });
    } finally {
      session.dispose();
    }
  });
}
test.run();
