import { suite } from "uvu";
import * as assert from "uvu/assert";
import { graphBuilder } from "../../src/graph/builder.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { activationLayouts } from "../../src/plan/layouts.ts";
import { type Plan, parsePlan, planToJson } from "../../src/plan/plan.ts";
import type { TuningStore } from "../../src/plan/tuning.ts";
import { prune } from "../../src/prune/prune.ts";
import { compile } from "../../src/run/compile.ts";
import { runReference } from "../../src/run/reference.ts";
import { compareOutputs } from "../../src/run/verify.ts";
import { conv, values } from "../support/columns-problems.ts";
import { fails } from "../support/error.ts";
import { gpuTest } from "../support/gpu.ts";

const layouts = suite("activation layouts");

const side = 16;
const image = (batch: number) => values([batch, 3, side, side]);

/** Depthwise with a residual, pooling, channels put together and taken apart, normalisation over channels, and a product at the end. */
function mixed(): Graph {
  const b = graphBuilder("mixed");
  let x = b.input("image", [null, 3, side, side]);
  const weight = (name: string, shape: number[]): string => b.weight(name, values(shape, 1, 0.3));
  const pads = [1, 1, 1, 1];
  x = b.node("Relu", [b.node("Conv", [x, weight("w1", [12, 3, 3, 3])], { pads }, { name: "stem" })]);
  const mixing = b.node("Conv", [x, weight("w2", [12, 1, 3, 3])], { pads, group: 12 }, { name: "depthwise" });
  const deep = b.node("Relu", [b.node("Add", [x, mixing])]);
  const point = b.node("Conv", [deep, weight("w3", [10, 12, 1, 1])], {}, { name: "pointwise" });
  const pooled = b.node("MaxPool", [x], { kernel_shape: [3, 3], pads });
  x = b.node("Concat", [point, pooled], { axis: 1 });
  x = b.node("LRN", [x], { size: 3 });
  x = b.node("Slice", [
    x,
    b.weight("starts", { dtype: "i64", shape: [1], data: BigInt64Array.of(4n) }),
    b.weight("ends", { dtype: "i64", shape: [1], data: BigInt64Array.of(20n) }),
    b.weight("axes", { dtype: "i64", shape: [1], data: BigInt64Array.of(1n) }),
  ]);
  x = b.node("Conv", [x, weight("w4", [16, 16, 3, 3])], { pads, strides: [2, 2] }, { name: "down" });
  x = b.node("Sigmoid", [b.node("AveragePool", [x], { kernel_shape: [2, 2], strides: [2, 2] })]);
  x = b.node("Softmax", [x], { axis: 1 });
  x = b.node("Flatten", [x]);
  b.output(b.node("Gemm", [x, weight("w5", [16 * 16, 7])], {}, { name: "last" }), [null, 7]);
  return b.build();
}

gpuTest(layouts, "every step gives the same in both layouts, whatever the batch", async (gpu) => {
  const graph = mixed();
  for (const batch of [1, 2, 3, 4, 6]) {
    const inputs = { image: image(batch) };
    const expected = runReference(graph, inputs);
    for (const activations of activationLayouts) {
      const s = await compile(gpu, graph, { batch, activations });
      compareOutputs(await s.run(inputs), expected, 2e-5);
      const told = batch === 1 ? undefined : { layout: activations, reason: `${activations} was asked for` };
      assert.equal(s.plan.activations, told, `batch ${batch}`);
      s.dispose();
    }
  }
});

gpuTest(layouts, "a whole pruned ResNet-20, planar, in every format", async (gpu) => {
  const { graph } = await prune(buildNet("resnet20", { seed: 4 }), {
    method: "magnitude",
    granularity: "element",
    sparsity: 0.8,
  });
  const inputs = { image: values([3, 3, 32, 32]) };
  const expected = runReference(graph, inputs);
  for (const plan of ["estimated", "dense", "csr", "block"] as const) {
    const s = await compile(gpu, graph, { plan, batch: 3, activations: "planar" });
    compareOutputs(await s.run(inputs), expected, 1e-4);
    s.dispose();
  }
});

gpuTest(layouts, "a measured plan runs the whole net both ways, once, and says what it took", async (gpu) => {
  const texts = new Map<string, string>();
  const tuning: TuningStore = {
    read: async (name) => texts.get(name),
    write: async (name, text) => void texts.set(name, text),
  };
  const graph = mixed();
  const inputs = { image: image(3) };
  const cold = await compile(gpu, graph, { plan: "measured", batch: 3, tuning });
  const { layout, reason } = cold.plan.activations!;
  const [other] = activationLayouts.filter((l) => l !== layout);
  const times = `${layout} \\d+\\.\\d\\d ms, ${other} \\d+\\.\\d\\d ms`;
  assert.match(reason, new RegExp(`^measured( with estimated kernels)?: ${times}$`));
  const [own, rival] = reason.match(/\d+\.\d\d/g)!.map(Number);
  assert.ok(own! <= rival!, reason);
  assert.match(cold.plan.toString(), new RegExp(`^plan: measured on .*, ${layout} activations \\(measured`));
  assert.ok([...texts.values()].some((text) => text.includes("whole net")));
  await cold.verify(inputs, { tolerance: 1e-4 });

  const warm = await compile(gpu, graph, { plan: "measured", batch: 3, budget: 0, tuning });
  assert.is(warm.plan.tuning!.races, 0);
  assert.is(warm.plan.activations!.layout, layout);
  assert.match(warm.plan.activations!.reason, new RegExp(`^measured before: ${times}$`));

  const plan = parsePlan(planToJson(cold.plan));
  const again = await compile(gpu, graph, { plan, batch: 3 });
  assert.equal(again.plan.activations, cold.plan.activations);
  assert.equal(await again.run(inputs), await cold.run(inputs), "a replayed plan gives the same bits");
  for (const s of [cold, warm, again]) s.dispose();
});

gpuTest(layouts, "without time the cost model decides, as it does without measuring", async (gpu) => {
  const graph = mixed();
  const tuning: TuningStore = { read: async () => undefined, write: async () => undefined };
  const none = await compile(gpu, graph, { plan: "measured", batch: 3, budget: 0, tuning });
  const estimated = await compile(gpu, graph, { batch: 3 });
  assert.match(
    estimated.plan.activations!.reason,
    /^(planar|batch-innermost) \d\.\d\dx as dear by the cost model$/,
  );
  assert.is(none.plan.activations!.layout, estimated.plan.activations!.layout);
  assert.match(none.plan.activations!.reason, /by the cost model(; not measured: the budget was used up)?$/);
  // Half of the lanes of a vec4 of images would idle.
  const two = await compile(gpu, graph, { batch: 2 });
  assert.is(two.plan.activations!.layout, "planar");
  for (const s of [none, estimated, two]) s.dispose();
});

gpuTest(layouts, "what cannot be planar is not, and says so when asked", async (gpu) => {
  const { graph } = conv("3-D", [2, 2, 4, 5, 6], [4, 2, 3, 3, 3], { pads: [1, 1, 1, 1, 1, 1] });
  const s = await compile(gpu, graph, {});
  assert.is(s.plan.activations, undefined);
  await fails(() => compile(gpu, graph, { activations: "planar" }), "E_INPUT", /three pixel axes/);
  const plan: Plan = { ...s.plan, activations: { layout: "planar", reason: "" } };
  await fails(() => compile(gpu, graph, { plan }), "E_PLAN", /planar.*Measure a new plan/);
  const odd = { activations: "NCHW" as "planar" };
  await fails(
    () => compile(gpu, graph, odd),
    "E_INPUT",
    /activations is NCHW; use one of batch-innermost, planar/,
  );
  s.dispose();
});

layouts.run();
