import { suite } from "uvu";
import * as assert from "uvu/assert";
import { SecateurError } from "../../src/errors.ts";
import { graphBuilder } from "../../src/graph/builder.ts";
import { withWeights } from "../../src/graph/graph.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { parsePlan, planToJson } from "../../src/plan/plan.ts";
import { compact } from "../../src/prune/compact.ts";
import { prune } from "../../src/prune/prune.ts";
import { compile } from "../../src/run/compile.ts";
import { runReference } from "../../src/run/reference.ts";
import { compareOutputs } from "../../src/run/verify.ts";
import { type HostTensor, tensor } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import { sizeOf } from "../../src/tensor/shape.ts";
import { gpuTest } from "../support/gpu.ts";
import { randomNet } from "../support/random-nets.ts";

const session = suite("session");

const random = seeded(3);
const noise = (shape: number[]): HostTensor =>
  tensor(
    Float32Array.from({ length: sizeOf(shape) }, () => random.normal()),
    shape,
  );

async function refusal(work: () => unknown): Promise<string> {
  try {
    await work();
  } catch (error) {
    if (error instanceof SecateurError) return error.code;
    throw error;
  }
  return "none";
}

gpuTest(session, "every plan of a pruned ResNet-20 gives the reference's logits", async (gpu) => {
  const { graph } = await prune(buildNet("resnet20", { seed: 2 }), {
    method: "magnitude",
    granularity: "block8x1",
    sparsity: 0.7,
  });
  const image = noise([4, 3, 32, 32]);
  const expected = runReference(graph, { image });
  for (const plan of ["estimated", "dense", "csr", "block", "measured"] as const) {
    const s = await compile(gpu, graph, { plan, batch: 4 });
    compareOutputs(await s.run({ image }), expected, 1e-4);
    const formats = new Set(s.plan.layers.map((l) => l.format));
    if (plan === "csr" || plan === "dense") assert.equal([...formats], [plan]);
    if (plan === "block") assert.ok([...formats].every((f) => f.startsWith("block")));
    s.dispose();
  }
});

gpuTest(
  session,
  "dead structure is left out of a compile, unless a variable could bring it to life",
  async (gpu) => {
    const net = randomNet("resnet20", { side: 16, flat: 0.05 });
    const options = { method: "random", granularity: "element", sparsity: 0.99, seed: 5 } as const;
    const { graph } = await prune(net, options);
    const image = noise([2, 3, 16, 16]);
    const expected = runReference(graph, { image });
    const dead = (await compact(graph)).report.removed;
    assert.ok(dead > 50, `only ${dead} dead`);
    const memory: number[] = [];
    for (const [given, left] of [
      [{}, dead],
      [{ compact: false }, 0],
      [{ variables: ["conv1.weight"] }, 0],
    ] as const) {
      const s = await compile(gpu, graph, { plan: "dense", batch: 2, ...given });
      assert.is(s.deadChannels, left);
      compareOutputs(await s.run({ image }), expected, 1e-4);
      memory.push(s.memory().constants);
      s.dispose();
    }
    // Rows left over in a panel are padded, so less goes than the channels do.
    assert.ok(memory[0]! < 0.8 * memory[1]!, `${memory}`);
  },
);

gpuTest(
  session,
  "a Gather in front of a product takes no step, whichever way its weight lies",
  async (gpu) => {
    for (const transB of [0, 1]) {
      const b = graphBuilder("gathered");
      const x = b.input("x", [null, 12]);
      const kept = b.constant([1, 2, 5, 6, 7, 11], "kept");
      const picked = b.node("Gather", [x, kept], { axis: 1 }, { name: "pick" });
      const w = b.weight("w", noise(transB === 1 ? [8, 6] : [6, 8]));
      b.output(b.node("Gemm", [picked, w], { transB }, { name: "fc" }), [null, 8]);
      const graph = b.build();
      const input = noise([5, 12]);
      const expected = runReference(graph, { x: input });
      for (const [variables, steps] of [
        [[], ["fc"]],
        [["w"], ["pick", "fc"]],
      ] as const) {
        const s = await compile(gpu, graph, { batch: 5, variables, profile: true });
        compareOutputs(await s.run({ x: input }), expected, 1e-5);
        const layers = (await s.profile().catch(() => [])).map((step) => step.layer);
        if (layers.length > 0)
          assert.equal(
            layers.filter((layer) => layer === "pick" || layer === "fc"),
            steps,
          );
        s.dispose();
      }
    }
  },
);

gpuTest(session, "a plan can be saved, loaded and forced, and is refused on another model", async (gpu) => {
  const graph = buildNet("resnet20", { seed: 2 });
  const first = await compile(gpu, graph, { plan: "csr", batch: 2 });
  const text = planToJson(first.plan);
  const image = noise([2, 3, 32, 32]);
  const before = await first.run({ image });
  const again = await compile(gpu, graph, { plan: parsePlan(text), batch: 2 });
  assert.equal(
    again.plan.layers.map((l) => l.kernel),
    first.plan.layers.map((l) => l.kernel),
  );
  assert.equal([...(await again.run({ image }))["logits"]!.data], [...before["logits"]!.data]);
  assert.is(await refusal(() => compile(gpu, buildNet("lenet5"), { plan: parsePlan(text) })), "E_PLAN");
  assert.is(await refusal(() => parsePlan("{}")), "E_PLAN");
  assert.is(await refusal(() => parsePlan("not json")), "E_PLAN");
  first.dispose();
  again.dispose();
});

gpuTest(
  session,
  "a variable weight changed gives what a fresh compile gives, and builds no pipeline",
  async (gpu) => {
    const graph = buildNet("resnet20", { seed: 2 });
    const names = ["layer1.0.conv1.weight", "layer3.2.conv2.weight", "linear.weight"];
    const changed = new Map(names.map((n) => [n, noise([...graph.weights.get(n)!.shape])]));
    const image = noise([2, 3, 32, 32]);
    const s = await compile(gpu, graph, { batch: 2, variables: names });
    compareOutputs(await s.run({ image }), runReference(graph, { image }), 1e-4);
    const pipelines = gpu.stats().pipelines;
    const buffers = gpu.stats().buffers;
    for (const [name, value] of changed) s.write(name, value);
    const got = await s.run({ image });
    assert.is(gpu.stats().pipelines, pipelines);
    assert.is(gpu.stats().buffers, buffers);
    const fresh = await compile(gpu, withWeights(graph, changed), { batch: 2 });
    const want = await fresh.run({ image });
    const largest = Math.max(...Array.from(want["logits"]!.data as Float32Array, Math.abs));
    for (const [i, v] of (want["logits"]!.data as Float32Array).entries()) {
      assert.ok(Math.abs(v - (got["logits"]!.data as Float32Array)[i]!) <= 1e-5 * largest);
    }
    assert.is(await refusal(() => s.write("conv1.weight", noise([16, 3, 3, 3]))), "E_INPUT");
    assert.is(await refusal(() => s.write("linear.weight", noise([64, 10]))), "E_INPUT");
    s.dispose();
    fresh.dispose();
  },
);

gpuTest(session, "another batch specialises once, the same batch never again", async (gpu) => {
  const graph = buildNet("lenet5", { seed: 2 });
  const s = await compile(gpu, graph, { batch: 1 });
  for (const n of [1, 3, 8, 3, 1, 5]) {
    const image = noise([n, 1, 28, 28]);
    compareOutputs(await s.run({ image }), runReference(graph, { image }), 1e-4);
  }
  const { pipelines, buffers } = gpu.stats();
  for (const n of [1, 3, 8]) await s.run({ image: noise([n, 1, 28, 28]) });
  assert.is(gpu.stats().pipelines, pipelines);
  assert.is(gpu.stats().buffers, buffers);
  s.dispose();
});

gpuTest(session, "values that decide shapes are specialised on", async (gpu) => {
  const b = graphBuilder("reshape");
  const x = b.input("x", [2, 6]);
  const shape = b.input("shape", [2], "i64");
  b.output(b.node("Relu", [b.node("Reshape", [x, shape])], {}, { outputs: ["y"] }), [null, null]);
  const s = await compile(gpu, b.build());
  for (const wanted of [
    [3, 4],
    [12, 1],
    [-1, 2],
  ]) {
    const inputs = { x: noise([2, 6]), shape: tensor(wanted, [2], "i64") };
    const { y } = await s.run(inputs);
    assert.is(sizeOf(y!.shape), 12);
    compareOutputs({ y: y! }, runReference(s.graph, inputs), 1e-6);
  }
  s.dispose();
});

gpuTest(session, "wrong inputs are refused by name and leave the session usable", async (gpu) => {
  const graph = buildNet("lenet300", { seed: 1 });
  const s = await compile(gpu, graph, { batch: 2 });
  const good = noise([2, 1, 28, 28]);
  assert.is(await refusal(() => s.run({})), "E_INPUT");
  assert.is(await refusal(() => s.run({ image: good, other: good })), "E_INPUT");
  assert.is(await refusal(() => s.run({ image: noise([2, 1, 28, 27]) })), "E_INPUT");
  assert.is(
    await refusal(() => s.run({ image: tensor(new Int32Array(2 * 784), [2, 1, 28, 28]) })),
    "E_INPUT",
  );
  assert.is(
    await refusal(() => s.run({ image: { dtype: "f32", shape: [2, 1, 28, 28], data: new Float32Array(3) } })),
    "E_INPUT",
  );
  assert.is(
    await refusal(() =>
      s.run({ image: { dtype: "f32", shape: [Number.NaN, 1, 28, 28], data: new Float32Array(3) } }),
    ),
    "E_INPUT",
  );
  assert.is(await refusal(() => compile(gpu, graph, { variables: ["nope"] })), "E_INPUT");
  assert.is(await refusal(() => compile(gpu, graph, { inputShapes: { nope: [1] } })), "E_INPUT");
  const both = await Promise.all([s.run({ image: good }), s.run({ image: good })]);
  assert.equal([...both[0]["logits"]!.data], [...both[1]["logits"]!.data]);
  await s.verify({ image: good });
  s.dispose();
  s.dispose();
  assert.is(await refusal(() => s.run({ image: good })), "E_DISPOSED");
});

gpuTest(session, "one plan gives identical bits from run to run", async (gpu) => {
  const s = await compile(gpu, buildNet("resnet20", { seed: 5 }), { batch: 4 });
  const image = noise([4, 3, 32, 32]);
  const first = [...(await s.run({ image }))["logits"]!.data];
  for (let i = 0; i < 3; i++) assert.equal([...(await s.run({ image }))["logits"]!.data], first);
  s.dispose();
});

gpuTest(session, "time and profile measure what ran", async (gpu) => {
  const s = await compile(gpu, buildNet("resnet20", { seed: 5 }), { batch: 4, profile: true });
  await s.run({ image: noise([4, 3, 32, 32]) });
  const steps = await s.profile();
  assert.ok(steps.length > 20);
  assert.ok(steps.every((p) => p.ms >= 0));
  assert.ok((await s.time()) > 0);
  s.dispose();
});

session.run();
