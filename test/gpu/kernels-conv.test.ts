import { suite } from "uvu";
import * as assert from "uvu/assert";
import { activationValue, noActivation } from "../../src/kernels/activation.ts";
import type { Lowering } from "../../src/kernels/lowering.ts";
import { type DirectConv, directConv, directRows } from "../../src/kernels/ops/conv-direct.ts";
import { convLowering, convProblem } from "../../src/kernels/ops/conv-generic.ts";
import { depthwiseVariants } from "../../src/kernels/ops/depthwise.ts";
import { type HostTensor, tensor } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import { sizeOf } from "../../src/tensor/shape.ts";
import { assertClose, type Tolerance } from "../support/close.ts";
import { type Attributes, evaluateOp } from "../support/evaluate-op.ts";
import { gpuTest } from "../support/gpu.ts";
import { layoutsOf, numbersOf, runLowering } from "../support/run-lowering.ts";

const conv = suite("direct convolutions");
const random = seeded(5);
const floats = (...shape: number[]): HostTensor =>
  tensor(
    Float32Array.from({ length: sizeOf(shape) }, () => random.normal()),
    shape,
  );

interface Case {
  readonly name: string;
  readonly inputs: readonly HostTensor[];
  readonly attributes: Attributes;
}

const make = (name: string, x: number[], w: number[], attributes: Attributes = {}, bias = true): Case => ({
  name,
  inputs: [floats(...x), floats(...w), ...(bias ? [floats(w[0]!)] : [])],
  attributes,
});

const cases: readonly Case[] = [
  make("3x3, odd sizes", [3, 5, 7, 6], [7, 5, 3, 3], { pads: [1, 1, 1, 1] }),
  make(
    "strides, dilations, uneven pads",
    [2, 4, 11, 13],
    [6, 4, 3, 2],
    { strides: [2, 3], dilations: [2, 1], pads: [3, 0, 1, 2] },
    false,
  ),
  make("groups of two by three", [4, 6, 5, 5], [9, 2, 3, 3], { group: 3, pads: [1, 1, 1, 1] }),
  make("1x1", [8, 12, 4, 4], [5, 12, 1, 1]),
  make("1-D", [2, 3, 17], [4, 3, 5], { pads: [4, 2], strides: [2] }),
  make("3-D", [2, 3, 4, 5, 6], [4, 3, 2, 3, 3], { pads: [1, 1, 0, 0, 1, 1], dilations: [1, 1, 2] }),
  make("SAME_UPPER", [1, 2, 9, 8], [3, 2, 3, 3], { auto_pad: "SAME_UPPER", strides: [2, 2] }),
  make("padding wider than the kernel", [1, 1, 2, 2], [2, 1, 2, 2], { pads: [4, 4, 4, 4] }),
  make("depthwise 3x3, batch 8", [8, 6, 9, 10], [6, 1, 3, 3], { group: 6, pads: [1, 1, 1, 1] }),
  make("depthwise 3x3 stride 2, batch 5", [5, 4, 11, 13], [4, 1, 3, 3], {
    group: 4,
    pads: [0, 1, 1, 1],
    strides: [2, 2],
  }),
  make(
    "depthwise 5x5, batch 1, rows dilated",
    [1, 3, 14, 15],
    [3, 1, 5, 5],
    { group: 3, pads: [4, 2, 4, 2], dilations: [2, 1] },
    false,
  ),
  make("depthwise with two outputs per input", [4, 3, 6, 7], [6, 1, 3, 3], { group: 3 }),
  make("depthwise dilated along rows' width", [2, 3, 9, 9], [3, 1, 3, 3], { group: 3, dilations: [1, 2] }),
  make("depthwise 1-D", [3, 4, 21], [4, 1, 3], { group: 4, pads: [1, 1] }),
  make("depthwise 3-D", [2, 3, 4, 4, 4], [3, 1, 2, 2, 2], { group: 3 }),
  make("a real layer, 64 x 64 at 28", [1, 64, 28, 28], [64, 64, 3, 3], { pads: [1, 1, 1, 1] }),
  make("a real depthwise layer at 112, stride 2", [1, 24, 112, 112], [24, 1, 3, 3], {
    group: 24,
    pads: [1, 1, 1, 1],
    strides: [2, 2],
  }),
  make("depthwise stride 3", [2, 3, 9, 10], [3, 1, 3, 3], { group: 3, strides: [3, 3] }),
];

/**
 * Sums of n products of normal numbers wander about as sqrt(n), and so do the roundings of n partial sums of that size:
 * together about n half units in the last place, with room for the largest of some ten thousand.
 */
const tolerance = (terms: number): Tolerance => ({ rel: 1e-6, abs: 2.4e-7 * Math.max(16, terms) });

/** Products that one output of a Conv sums up. */
const termsOf = (inputs: readonly HostTensor[]): number => sizeOf(inputs[1]!.shape.slice(1));

/** Runs the problem of a Conv node by one kernel, chosen by the test. */
const by = (dispatch: (problem: DirectConv) => ReturnType<typeof directConv> | undefined): Lowering => ({
  ...convLowering,
  lower(context) {
    const made = dispatch(convProblem(context));
    if (made) context.emit(made);
  },
});

/** Names of the kernels that some case has run. */
const ran = new Set<string>();

for (const { name, inputs, attributes } of cases) {
  gpuTest(conv, name, async (gpu) => {
    const expected = numbersOf(evaluateOp("Conv", inputs, attributes)[0]!);
    const test = { op: "Conv", inputs, attributes };
    const lowerings: (readonly [string, Lowering])[] = [
      ["as chosen", convLowering],
      ...directRows.map((r) => [`direct, ${r} rows`, by((p) => directConv(p, r))] as const),
      ...depthwiseVariants.map(
        (v) => [v.name, by((p) => (v.applicable(p) ? v.dispatch(p) : undefined))] as const,
      ),
    ];
    for (const layout of layoutsOf(convLowering)) {
      for (const [what, lowering] of lowerings) {
        let emitted = 0;
        const counting: Lowering = {
          ...lowering,
          lower: (c) =>
            lowering.lower({
              ...c,
              emit(d) {
                emitted++;
                c.emit(d);
              },
            }),
        };
        const [actual] = await runLowering(gpu, counting, test, layout);
        if (emitted === 0) continue;
        ran.add(what);
        assertClose(numbersOf(actual!), expected, tolerance(termsOf(inputs)), `${layout}, ${what}`);
      }
    }
  });
}

gpuTest(conv, "run-time weight and bias in columns layout", async (gpu) => {
  const { inputs, attributes } = cases[2]!;
  const [actual] = await runLowering(
    gpu,
    convLowering,
    { op: "Conv", inputs, attributes, runTime: [0, 1, 2] },
    "columns",
  );
  assertClose(
    numbersOf(actual!),
    numbersOf(evaluateOp("Conv", inputs, attributes)[0]!),
    tolerance(termsOf(inputs)),
  );
});

gpuTest(conv, "a fused residual, in every kernel", async (gpu) => {
  const activation = { code: 1, a: 0, b: 0 };
  const met = new Set<string>();
  for (const { inputs, attributes } of cases.filter(({ inputs }) => sizeOf(inputs[0]!.shape) < 1e4)) {
    const plain = evaluateOp("Conv", inputs, attributes)[0]!;
    const residual = floats(...plain.shape);
    const expected = numbersOf(plain).map((v, i) => Math.max(0, v + (residual.data[i] as number)));
    for (const layout of layoutsOf(convLowering)) {
      const watched: Lowering = {
        ...convLowering,
        lower: (c) =>
          convLowering.lower({
            ...c,
            emit(d) {
              met.add(d.kernel);
              c.emit(d);
            },
          }),
      };
      const test = { op: "Conv", inputs, attributes, activation, residual };
      const [actual] = await runLowering(gpu, watched, test, layout);
      assertClose(numbersOf(actual!), expected, tolerance(termsOf(inputs)), layout);
    }
  }
  assert.equal([...met].sort(), ["conv/direct-generic", "depthwise/columns", "depthwise/planar"]);
});

gpuTest(conv, "fused activations", async (gpu) => {
  const activations = [1, 2, 3, 4, 5, 6, 7, 8].map((code) => ({ code, a: code === 2 ? -0.5 : 0.2, b: 0.5 }));
  for (const { inputs, attributes } of [cases[0]!, cases[8]!]) {
    const plain = numbersOf(evaluateOp("Conv", inputs, attributes)[0]!);
    for (const activation of [noActivation, ...activations]) {
      for (const layout of layoutsOf(convLowering)) {
        const test = { op: "Conv", inputs, attributes, activation };
        const [actual] = await runLowering(gpu, convLowering, test, layout);
        const expected = plain.map((v) => activationValue(activation, v));
        assertClose(
          numbersOf(actual!),
          expected,
          tolerance(termsOf(inputs)),
          `activation ${activation.code}, ${layout}`,
        );
      }
    }
  }
});

gpuTest(conv, "empty batch and no input channels", async (gpu) => {
  const empty = { op: "Conv", inputs: [floats(0, 2, 4, 4), floats(3, 2, 3, 3)] };
  assert.is((await runLowering(gpu, convLowering, empty))[0]!.data.length, 0);
  const bias = floats(2);
  const [y] = await runLowering(gpu, convLowering, {
    op: "Conv",
    inputs: [floats(1, 0, 2, 2), floats(2, 0, 1, 1), bias],
  });
  assert.equal(
    [...numbersOf(y!)],
    [0, 0, 0, 0, 1, 1, 1, 1].map((m) => bias.data[m]),
  );
});

gpuTest(conv, "every depthwise kernel ran in some case", () => {
  for (const { name } of depthwiseVariants) assert.ok(ran.has(name), name);
});

conv.run();
