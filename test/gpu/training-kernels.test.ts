import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { graphBuilder } from "../../src/graph/builder.ts";
import { findLowering } from "../../src/kernels/ops/index.ts";
import type { WeightGradientVariant } from "../../src/kernels/ops/weight-gradient.ts";
import { compile } from "../../src/run/compile.ts";
import { runReference } from "../../src/run/reference.ts";
import { cast, type HostTensor, tensor, zeros } from "../../src/tensor/host-tensor.ts";
import { type Shape, showShape } from "../../src/tensor/shape.ts";
import { assertClose } from "../support/close.ts";
import { type Attributes, evaluateOp } from "../support/evaluate-op.ts";
import { gpuTest } from "../support/gpu.ts";
import { type KernelCase, kernelSuite, values } from "../support/kernel-cases.ts";
import { numbersOf, runLowering } from "../support/run-lowering.ts";
import { runWeightGradient } from "../support/run-weight-gradient.ts";
import { skip } from "../support/skip.ts";

const test = suite("training kernels");
const v = values(29);

const floats = (t: HostTensor): Float32Array => t.data as Float32Array;
const bits = (t: HostTensor): Uint32Array =>
  new Uint32Array(t.data.buffer as ArrayBuffer, t.data.byteOffset, t.data.length);

gpuTest(test, "RandomMask is the reference's mask to the last bit, in every layout", async (gpu) => {
  const lowering = findLowering("RandomMask")!;
  const shapes: readonly Shape[] = [
    [],
    [1],
    [0],
    [333],
    [3, 5],
    [5, 3, 7],
    [3, 4, 5, 6],
    [8, 3, 5, 7],
    [1, 2, 3, 4, 5],
  ];
  for (const [i, shape] of shapes.entries()) {
    const attributes = { seed: 65_537 * i, ratio: [0, 0.1, 0.5, 0.999][i % 4]! };
    const inputs = [zeros(shape), tensor(Int32Array.of(i * 1_000_003), [1])];
    const [expected] = evaluateOp("RandomMask", inputs, attributes);
    for (const layout of ["rows", "columns", "planar"] as const) {
      const [actual] = await runLowering(gpu, lowering, { op: "RandomMask", inputs, attributes }, layout);
      assert.equal(bits(actual!), bits(cast(expected!, "f32")), `${showShape(shape)} in ${layout}`);
    }
  }
});

gpuTest(test, "RandomMask of more elements than one row of workgroups has", async (gpu) => {
  const shape = [3, 65_535 * 22 + 5];
  const b = graphBuilder("mask");
  b.input("x", shape);
  b.input("step", [1], "i32");
  b.output(b.node("RandomMask", ["x", "step"], { seed: 5, ratio: 0.3 }, { outputs: ["mask"] }), shape);
  const graph = b.build();
  const session = await compile(gpu, graph);
  const inputs = { x: zeros(shape), step: tensor(Int32Array.of(2_000_000_011), [1]) };
  const { mask } = await session.run(inputs);
  const expected = cast(runReference(graph, inputs)["mask"]!, "f32");
  assert.is(
    bits(mask!).findIndex((word, i) => word !== bits(expected)[i]),
    -1,
  );
  session.dispose();
});

const distributions = (rows: number, classes: number): HostTensor => {
  const t = v.between(0, 1, [rows, classes]);
  // Every second row is one-hot; the others need not sum to 1.
  for (let n = 0; n < rows; n += 2)
    for (let k = 0; k < classes; k++) floats(t)[n * classes + k] = k === n % classes ? 1 : 0;
  return t;
};

const crossEntropies: KernelCase[] = [
  [1, 1],
  [1, 10],
  [3, 7],
  [8, 10],
  [65, 3],
  [130, 1000],
].flatMap((shape): KernelCase[] =>
  [1, 1e4].map((scale) => ({
    op: "SoftmaxCrossEntropy",
    name: `${showShape(shape)} of scale ${scale}`,
    inputs: [v.normal(shape, scale), distributions(shape[0]!, shape[1]!)],
    outputs: 2,
    tolerance: { rel: 1e-5, abs: 2e-6 },
  })),
);

/** Spatial sizes and windows: overlapping, apart, with gaps, padded, dilated, ceil and auto modes. */
const windows: readonly (readonly [Shape, Attributes])[] = [
  [[9], { kernel_shape: [3] }],
  [[11], { kernel_shape: [2], strides: [2] }],
  [[10], { kernel_shape: [2], strides: [3], pads: [1, 0] }],
  [[7, 6], { kernel_shape: [2, 2], strides: [2, 2] }],
  [[7, 5], { kernel_shape: [3, 2], strides: [3, 2], pads: [1, 1, 1, 0] }],
  [[9, 8], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }],
  [[7, 8], { kernel_shape: [3, 2], strides: [2, 3], pads: [1, 0, 0, 1], ceil_mode: 1 }],
  [[5, 7], { kernel_shape: [2, 2], strides: [2, 2], ceil_mode: 1 }],
  [[9, 9], { kernel_shape: [2, 3], dilations: [2, 3], strides: [2, 1] }],
  [[5, 5], { kernel_shape: [3, 3], auto_pad: "SAME_UPPER", strides: [2, 2] }],
  [[5, 4], { kernel_shape: [2, 3], auto_pad: "SAME_LOWER", strides: [2, 2] }],
  [[6, 5], { kernel_shape: [1, 1], strides: [2, 2] }],
  [[6, 5], { kernel_shape: [6, 5] }],
  [[4, 5, 6], { kernel_shape: [2, 2, 2], strides: [1, 2, 2], pads: [0, 1, 1, 1, 0, 0] }],
  [[4, 5, 7], { kernel_shape: [2, 2, 3], strides: [2, 2, 3] }],
];

const pools: KernelCase[] = windows.flatMap(([spatial, attributes]) =>
  [1, 3, 8].flatMap((n): KernelCase[] => {
    const shape = [n, 3, ...spatial];
    const name = `${showShape(shape)} ${JSON.stringify(attributes)}`;
    const maximum = (x: HostTensor, what: string): KernelCase => {
      const y = cast(evaluateOp("MaxPool", [x], attributes)[0]!, "f32");
      return {
        op: "MaxPoolGrad",
        name: `${name} of ${what}`,
        inputs: [x, y, v.normal(y.shape)],
        attributes,
        runTime: [0, 1, 2],
        tolerance: { rel: 1e-6, abs: 1e-6 },
      };
    };
    const ties = cast(v.ints(0, 1, shape), "f32");
    const out = evaluateOp("MaxPool", [ties], attributes)[0]!.shape;
    return [
      maximum(ties, "zeros and ones"),
      maximum(v.normal(shape), "normal values"),
      ...[0, 1].map((count_include_pad) => ({
        op: "AveragePoolGrad",
        name: `${name}, padding counted ${count_include_pad}`,
        inputs: [v.normal(out)],
        attributes: { ...attributes, count_include_pad, shape },
        tolerance: { rel: 1e-5, abs: 1e-6 },
      })),
    ];
  }),
);

interface Problem {
  /** x without its batch, and channels of dy. */
  readonly x: Shape;
  readonly out: number;
  readonly attributes: Attributes;
}

const problems: readonly Problem[] = [
  { x: [5, 9, 7], out: 13, attributes: { kernel_shape: [3, 3], pads: [1, 1, 1, 1] } },
  { x: [3, 8, 9], out: 6, attributes: { kernel_shape: [3, 2], strides: [2, 3], pads: [1, 0, 2, 1] } },
  { x: [8, 6, 5], out: 10, attributes: { kernel_shape: [3, 3], group: 2 } },
  { x: [3, 9, 10], out: 7, attributes: { kernel_shape: [2, 3], dilations: [3, 2], pads: [0, 2, 1, 1] } },
  { x: [33, 4, 4], out: 9, attributes: { kernel_shape: [3, 3], pads: [1, 1, 1, 1] } },
  { x: [7, 6, 5], out: 5, attributes: { kernel_shape: [1, 1], strides: [2, 2] } },
  { x: [5, 6, 6], out: 10, attributes: { kernel_shape: [3, 3], group: 5, pads: [0, 1, 1, 0] } },
  { x: [4, 23], out: 9, attributes: { kernel_shape: [4], strides: [3], pads: [2, 1] } },
  {
    x: [2, 4, 5, 6],
    out: 4,
    attributes: { kernel_shape: [2, 3, 2], strides: [1, 2, 2], pads: [1, 0, 1, 0, 1, 1] },
  },
  { x: [37], out: 11, attributes: {} },
  { x: [300], out: 3, attributes: {} },
];

async function checkWeightGradient(
  gpu: Gpu,
  { x, out, attributes }: Problem,
  batch: number,
  variant: WeightGradientVariant | undefined,
  software: boolean,
): Promise<void> {
  const image = v.normal([batch, ...x]);
  const kernel = (attributes["kernel_shape"] as number[] | undefined) ?? [];
  const weight = zeros([out, x[0]! / Number(attributes["group"] ?? 1), ...kernel]);
  const { kernel_shape: _, ...window } = attributes;
  const pixels = kernel.length === 0 ? [] : evaluateOp("Conv", [image, weight], window)[0]!.shape.slice(2);
  const dy = v.normal([batch, out, ...pixels]);
  const [expected] = evaluateOp("WeightGradient", [image, dy], attributes);
  const { dw, dispatches } = await runWeightGradient(gpu, image, dy, attributes, variant, software);
  const what = `${showShape(image.shape)} by ${JSON.stringify({ ...attributes, ...variant, software })}`;
  const { kernel: name } = dispatches[0]!;
  if (variant?.loop === "shuffle") assert.is(name, "conv/weight-gradient-shuffle", what);
  else if (variant || batch === 1)
    assert.is(name, batch > 1 ? "conv/weight-gradient" : "conv/weight-gradient-scalar", what);
  const greatest = numbersOf(expected!).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  assertClose(floats(dw), numbersOf(expected!), { abs: 2e-6 * greatest }, what);
}

for (const [k, workgroup] of [8, 16, 32, 64].entries()) {
  gpuTest(test, `WeightGradient by every variant of ${workgroup} lanes`, async (gpu) => {
    let turn = k;
    for (const rows of [1, 2, 4, 8] as const) {
      for (const taps of [1, 2, 4] as const) {
        // One image in words; then four at once, the last four full or not.
        for (const batch of [1, [3, 8, 5, 6, 4, 7, 2][turn % 7]!]) {
          const problem = problems[turn++ % problems.length]!;
          await checkWeightGradient(
            gpu,
            problem,
            batch,
            { loop: "uniform", rows, taps, workgroup },
            turn % 3 > 0,
          );
        }
      }
    }
  });
}

for (const workgroup of [8, 16, 32]) {
  gpuTest(test, `WeightGradient passed from lane to lane, ${workgroup} lanes`, async (gpu) => {
    const lanes = gpu.adapter.subgroups?.min ?? 0;
    if (lanes < 8) return skip(`WeightGradient, ${workgroup} lanes`, `subgroups of ${lanes}, 8 are needed`);
    let turn = workgroup;
    for (const rows of [8, 16] as const) {
      for (const taps of [1, 2, 3, 4, 6] as const) {
        for (const batch of [4, 7]) {
          const problem = problems[turn++ % problems.length]!;
          await checkWeightGradient(gpu, problem, batch, { loop: "shuffle", rows, taps, workgroup }, true);
        }
      }
    }
  });
}

gpuTest(test, "WeightGradient as it is chosen, for software and for others", async (gpu) => {
  for (const problem of problems)
    for (const batch of [1, 3, 8])
      for (const software of [true, false])
        await checkWeightGradient(gpu, problem, batch, undefined, software);
});

test.run();

const kernels = kernelSuite("kernels of losses and pools' gradients", [...crossEntropies, ...pools]);
kernels.run();
