import { suite } from "uvu";
import * as assert from "uvu/assert";
import { InputError, PlanError } from "../../src/errors.ts";
import { graphBuilder } from "../../src/graph/builder.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { atPrecision } from "../../src/plan/half-weights.ts";
import { parsePlan, planToJson } from "../../src/plan/plan.ts";
import { compile } from "../../src/run/compile.ts";
import { runReference } from "../../src/run/reference.ts";
import { compareOutputs } from "../../src/run/verify.ts";
import { type HostTensor, tensor } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import { sizeOf } from "../../src/tensor/shape.ts";
import { planOf } from "../support/columns-problems.ts";
import { gpuTest } from "../support/gpu.ts";

const test = suite("precision f16-weights");

const random = seeded(11);
const values = (shape: number[], density = 1): HostTensor =>
  tensor(
    Float32Array.from({ length: sizeOf(shape) }, () => (random.uniform() < density ? random.normal() : 0)),
    shape,
  );
const positive = (n: number): HostTensor =>
  tensor(
    Float32Array.from({ length: n }, () => 0.5 + random.uniform()),
    [n],
  );

/** A convolution with BatchNormalization behind it, then a Gemm of a single column: both kinds of kernel. */
function net(): Graph {
  const b = graphBuilder("net");
  const x = b.input("x", [1, 6, 9, 8]);
  const conv = b.node(
    "Conv",
    [x, b.weight("w", values([10, 6, 3, 3], 0.3))],
    { pads: [1, 1, 1, 1] },
    { name: "conv" },
  );
  const norm = b.node(
    "BatchNormalization",
    [
      conv,
      b.weight("s", positive(10)),
      b.weight("h", values([10])),
      b.weight("m", values([10])),
      b.weight("v", positive(10)),
    ],
    {},
    { name: "norm" },
  );
  const flat = b.node("Flatten", [b.node("Relu", [norm])], {}, { name: "flat" });
  const y = b.node("Gemm", [flat, b.weight("fc.w", values([7, 720], 0.2))], { transB: 1 }, { name: "fc" });
  b.output(y, [1, 7]);
  return b.build();
}

const graph = net();
const inputs = { x: values([1, 6, 9, 8]) };

/** Both layers in half precision: the convolution by the general kernel, the Gemm by the vector kernel. */
const general = planOf({ format: "csr-f16", name: "gather-csr-f16-scalar/v4w8" }, graph);
const plan = {
  ...general,
  layers: general.layers.map((l) => (l.layer === "fc" ? { ...l, kernel: "csr-f16-vector/w8" } : l)),
};

gpuTest(test, "kernels of half precision give what the reference gives with rounded weights", async (gpu) => {
  const session = await compile(gpu, graph, { plan, precision: "f16-weights" });
  const rounded = atPrecision(graph, "f16-weights");
  const got = await session.run(inputs);
  compareOutputs(got, runReference(rounded, inputs), 2e-5);
  assert.is((await session.verify(inputs, { tolerance: 2e-5 })).ok, true, "verify knows");
  assert.throws(() => compareOutputs(got, runReference(graph, inputs), 2e-5), "rounding shows");
  compareOutputs(got, runReference(graph, inputs), 2e-2);
  assert.is(session.plan.precision, "f16-weights");
  assert.match(session.plan.toString(), "weights rounded to f16");
  assert.is(parsePlan(planToJson(session.plan)).precision, "f16-weights");
  session.dispose();
});

gpuTest(test, "a plan that needs rounded weights is refused without them", async (gpu) => {
  try {
    await compile(gpu, graph, { plan });
    assert.unreachable();
  } catch (error) {
    assert.instance(error, PlanError);
    assert.match((error as Error).message, 'precision "f16-weights"');
  }
});

gpuTest(test, "a weight that may change is left as it is", async (gpu) => {
  const session = await compile(gpu, graph, { precision: "f16-weights", variables: ["fc.w"] });
  const reference = runReference(atPrecision(graph, "f16-weights", ["fc.w"]), inputs);
  compareOutputs(await session.run(inputs), reference, 2e-5);
  assert.is(atPrecision(graph, "f16-weights", ["fc.w"]).weights.get("fc.w"), graph.weights.get("fc.w"));
  session.dispose();
});

gpuTest(test, "an unknown precision is refused by name", async (gpu) => {
  try {
    await compile(gpu, graph, { precision: "f8" as "f32" });
    assert.unreachable();
  } catch (error) {
    assert.instance(error, InputError);
    assert.match((error as Error).message, /precision is f8; use one of f32, f16-weights/);
  }
});

test.run();
