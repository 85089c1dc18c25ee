import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { activationValue } from "../../src/kernels/activation.ts";
import type { Lowering } from "../../src/kernels/lowering.ts";
import { matmulLowerings } from "../../src/kernels/ops/matmul.ts";
import { gemmProblem, matmulProblem } from "../../src/kernels/ops/matmul-problem.ts";
import { type MatmulVariant, matmulVariants } from "../../src/kernels/ops/matmul-variants.ts";
import { type HostTensor, tensor } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import { sizeOf } from "../../src/tensor/shape.ts";
import { assertClose, type Tolerance } from "../support/close.ts";
import { type Attributes, evaluateOp } from "../support/evaluate-op.ts";
import { gpuTest } from "../support/gpu.ts";
import { numbersOf, runLowering } from "../support/run-lowering.ts";

const runsHere =
  (gpu: Gpu) =>
  ({ subgroup }: MatmulVariant): boolean =>
    subgroup <= (gpu.adapter.subgroups?.min ?? 0);

const matmul = suite("run-time matrix products");
const random = seeded(3);
const floats = (...shape: number[]): HostTensor =>
  tensor(
    Float32Array.from({ length: sizeOf(shape) }, () => random.normal()),
    shape,
  );

interface Case {
  readonly name: string;
  readonly op: "MatMul" | "Gemm";
  readonly inputs: readonly HostTensor[];
  readonly attributes?: Attributes;
}

const product = (name: string, a: number[], b: number[]): Case => ({
  name,
  op: "MatMul",
  inputs: [floats(...a), floats(...b)],
});

const cases: readonly Case[] = [
  product("a real layer, 197 tokens of 384", [197, 384], [384, 768]),
  product("odd sizes", [13, 29], [29, 17]),
  product("several tiles of fours", [72, 68], [68, 136]),
  product("larger than a tile, odd", [131, 37], [37, 141]),
  product("attention scores, 2 x 4 heads", [2, 4, 20, 16], [2, 4, 16, 20]),
  product("attention values", [2, 3, 9, 12], [2, 3, 12, 8]),
  product("broadcast both ways", [3, 1, 5, 8], [4, 8, 12]),
  product("one matrix for a batch", [6, 4, 8], [8, 4]),
  product("vector times matrix", [12], [12, 8]),
  product("matrix times vector", [7, 12], [12]),
  product("vector times batch", [8], [3, 8, 4]),
  product("dot product", [33], [33]),
  product("batch of rank 6", [2, 1, 3, 1, 2, 4, 5], [1, 2, 3, 2, 1, 5, 3]),
  {
    name: "Gemm, all of it",
    op: "Gemm",
    inputs: [floats(11, 19), floats(23, 11), floats(19, 1)],
    attributes: { transA: 1, transB: 1, alpha: 0.5, beta: -2 },
  },
  {
    name: "Gemm, transposed A, C a row",
    op: "Gemm",
    inputs: [floats(16, 40), floats(16, 32), floats(32)],
    attributes: { transA: 1 },
  },
  {
    name: "Gemm, transposed B, C a scalar",
    op: "Gemm",
    inputs: [floats(70, 24), floats(66, 24), floats(1)],
    attributes: { transB: 1, beta: 3 },
  },
  {
    name: "Gemm, in fours, C a matrix",
    op: "Gemm",
    inputs: [floats(12, 8), floats(8, 20), floats(12, 20)],
    attributes: { alpha: 2 },
  },
];

/**
 * Sums of n products of normal numbers wander about as sqrt(n), and so do the roundings of n partial sums of that size:
 * together about n half units in the last place, with room for the largest of some ten thousand.
 */
const tolerance = (terms: number): Tolerance => ({ rel: 1e-6, abs: 2.4e-7 * Math.max(16, terms) });
/** Products that one output sums up. */
const termsOf = ({ inputs, attributes }: Case): number =>
  inputs[0]!.shape.at(attributes?.["transA"] === 1 ? 0 : -1)!;

const ran = new Set<string>();
const chosen = (op: string): Lowering => matmulLowerings.find((l) => l.ops.includes(op))!;

for (const test of cases) {
  const { name, op, inputs, attributes = {} } = test;
  gpuTest(matmul, name, async (gpu) => {
    const expected = numbersOf(evaluateOp(op, inputs, attributes)[0]!);
    const problemOf = op === "MatMul" ? matmulProblem : gemmProblem;
    for (const software of [true, false]) {
      const [y] = await runLowering(gpu, chosen(op), { op, inputs, attributes, software });
      assertClose(numbersOf(y!), expected, tolerance(termsOf(test)), `as chosen, software ${software}`);
    }
    for (const variant of matmulVariants.filter(runsHere(gpu))) {
      let applied = false;
      const lowering: Lowering = {
        ops: [op],
        layout: "rows",
        lower(context) {
          const problem = problemOf(context);
          applied = variant.applicable(problem);
          if (applied) context.emit(variant.dispatch(problem));
        },
      };
      const [y] = await runLowering(gpu, lowering, { op, inputs, attributes });
      if (!applied) continue;
      ran.add(variant.name);
      assertClose(numbersOf(y!), expected, tolerance(termsOf(test)), variant.name);
    }
  });
}

gpuTest(matmul, "more matrices than workgroups in a row of the grid", async (gpu) => {
  const count = 65_537;
  const inputs = [floats(count, 1, 2), floats(count, 2, 1)];
  const [a, b] = inputs.map(numbersOf) as [Float64Array, Float64Array];
  const expected = Float64Array.from(
    { length: count },
    (_, i) => a[2 * i]! * b[2 * i]! + a[2 * i + 1]! * b[2 * i + 1]!,
  );
  for (const wanted of ["matmul/register", "matmul/tiled"]) {
    const variant = matmulVariants.find((v) => v.kernel === wanted)!;
    const lowering: Lowering = {
      ops: ["MatMul"],
      layout: "rows",
      lower: (context) => context.emit(variant.dispatch(matmulProblem(context))),
    };
    const [y] = await runLowering(gpu, lowering, { op: "MatMul", inputs });
    assertClose(numbersOf(y!), expected, tolerance(2), variant.name);
  }
});

gpuTest(matmul, "every variant ran in some case", (gpu) => {
  for (const { name } of matmulVariants.filter(runsHere(gpu))) assert.ok(ran.has(name), name);
});

gpuTest(matmul, "fused activation", async (gpu) => {
  const activation = { code: 3, a: 0.1, b: 0 };
  for (const i of [1, 2, 16]) {
    const { op, inputs, attributes = {} } = cases[i]!;
    const expected = numbersOf(evaluateOp(op, inputs, attributes)[0]!).map((v) =>
      activationValue(activation, v),
    );
    for (const software of [true, false]) {
      const [y] = await runLowering(gpu, chosen(op), { op, inputs, attributes, activation, software });
      assertClose(numbersOf(y!), expected, tolerance(termsOf(cases[i]!)), `${op}, software ${software}`);
    }
  }
});

gpuTest(matmul, "no inner elements give zeros, no rows give nothing", async (gpu) => {
  for (const software of [true, false]) {
    const run = (a: number[], b: number[]) =>
      runLowering(gpu, chosen("MatMul"), { op: "MatMul", inputs: [floats(...a), floats(...b)], software });
    assert.equal([...numbersOf((await run([2, 0], [0, 3]))[0]!)], [0, 0, 0, 0, 0, 0]);
    assert.equal([...numbersOf((await run([64, 0], [0, 64]))[0]!)], new Array(4096).fill(0));
    assert.is((await run([0, 4], [4, 3]))[0]!.data.length, 0);
    assert.is((await run([0, 2, 4], [4, 3]))[0]!.data.length, 0);
  }
  const c = floats(2, 1);
  const gemm = { op: "Gemm", inputs: [floats(2, 0), floats(0, 3), c], attributes: { beta: 2 } };
  const [y] = await runLowering(gpu, chosen("Gemm"), gemm);
  assert.equal(
    [...numbersOf(y!)],
    [0, 0, 0, 1, 1, 1].map((i) => 2 * numbersOf(c)[i]!),
  );
});

matmul.run();
