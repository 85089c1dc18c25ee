import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Dataset } from "../../src/data/dataset.ts";
import { glyphs } from "../../src/data/glyphs.ts";
import { collectEvidence } from "../../src/evidence/collect.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { graphBuilder } from "../../src/graph/builder.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { preprocessingFor } from "../../src/nets/preprocessing.ts";
import { prune } from "../../src/prune/prune.ts";
import { pruneInRounds } from "../../src/recipes/rounds.ts";
import { compile } from "../../src/run/compile.ts";
import { evaluate } from "../../src/run/evaluate.ts";
import { runReference } from "../../src/run/reference.ts";
import { tensor, toNumbers } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import { gpuTest } from "../support/gpu.ts";

const test = suite("surgeons on real evidence");

const corners = [
  [0, 0],
  [0, 1],
  [1, 0],
  [1, 1],
] as const;

const levels = 100;

/** Exclusive or of two inputs that are near 0 or near 1: four cases, 16 times each. */
function xorData(): Dataset {
  const random = seeded(4);
  const near = (bit: number): number => (bit === 0 ? random.below(11) : levels - random.below(11));
  const cases = Array.from({ length: 64 }, (_, i) => corners[i % 4]!);
  return {
    name: "glyphs",
    classes: 2,
    shape: [1, 1, 2],
    images: Uint8Array.from(cases.flatMap(([a, b]) => [near(a), near(b)])),
    labels: Uint8Array.from(cases, ([a, b]) => a ^ b),
    length: cases.length,
  };
}

/**
 * XOR as "or" less "and" of sigmoid units. Two hidden units are the same "or": each alone has the smallest output weight of
 * all, but one of them is needed.
 */
function xorNet(): Graph {
  const b = graphBuilder("xor");
  const hidden = [
    b.input("image", [null, 2]),
    b.weight("w1", tensor([8, 8, 8, 8, 8, 8], [3, 2])),
    b.weight("b1", tensor([-4, -4, -12], [3])),
  ];
  const unit = b.node("Sigmoid", [b.node("Gemm", hidden, { transB: 1 }, { name: "hidden" })]);
  const sum = [unit, b.weight("w2", tensor([0.5, 0.5, -1], [1, 3])), b.weight("b2", tensor([-0.5], [1]))];
  const z = b.node("Gemm", sum, { transB: 1 }, { name: "sum" });
  const logits = [z, b.weight("w3", tensor([-4, 4], [2, 1]))];
  b.output(b.node("Gemm", logits, { transB: 1 }, { name: "logits", outputs: ["logits"] }), [null, 2]);
  return b.build();
}

const logitsOf = (graph: Graph, a: number, b: number): number[] =>
  toNumbers(runReference(graph, { image: tensor([a, b], [1, 2]) })["logits"]!);
const right = (graph: Graph): number =>
  corners.filter(([a, b]) => {
    const [no, yes] = logitsOf(graph, a, b);
    return yes! > no! === ((a ^ b) === 1);
  }).length;

gpuTest(test, "obs takes the redundant unit out of the XOR net, magnitude breaks it", async (gpu) => {
  const graph = xorNet();
  assert.is(right(graph), 4);
  // The three weights of one hidden unit, of nine.
  const options = { sparsity: 1 / 3, skip: ["logits"] };
  const preprocessing = { scale: 1 / levels, mean: [0], std: [1] };
  const { graph: pruned, record } = await pruneInRounds(gpu, graph, xorData(), {
    ...options,
    method: "obs",
    rounds: 3,
    collect: { preprocessing },
  });
  assert.is(record.steps.length, 3);
  const [w1, w2] = ["w1", "w2"].map((name) => [...(pruned.masks.get(name)?.data ?? [])]);
  const unit = w2!.indexOf(0);
  assert.ok(unit === 0 || unit === 1, JSON.stringify([w1, w2]));
  assert.equal(
    w2,
    [0, 1, 2].map((i) => (i === unit ? 0 : 1)),
  );
  assert.equal(
    w1,
    [0, 0, 1, 1, 2, 2].map((i) => (i === unit ? 0 : 1)),
  );
  assert.is(right(pruned), 4);
  for (const [a, b] of corners) {
    for (const [i, v] of logitsOf(graph, a, b).entries())
      assert.ok(Math.abs(logitsOf(pruned, a, b)[i]! - v) < 0.02, `${a} ${b}: ${logitsOf(pruned, a, b)}`);
  }
  assert.ok(right((await prune(graph, { ...options, method: "magnitude" })).graph) < 4);
});

async function accuracy(gpu: Gpu, graph: Graph, data: Dataset): Promise<number> {
  const session = await compile(gpu, graph, { batch: 50 });
  const result = await evaluate(session, data, preprocessingFor("glyphnet", "glyphs"), { batch: 50 });
  session.dispose();
  return result.top1;
}

gpuTest(
  test,
  "at one sparsity without retraining sparsegpt keeps more accuracy than wanda and magnitude",
  async (gpu) => {
    const graph = buildNet("glyphnet");
    const training = glyphs("train", 256, 1);
    const unseen = glyphs("test", 100, 1);
    const found: Record<string, number> = {};
    for (const method of ["magnitude", "wanda", "sparsegpt"]) {
      const evidence = await collectEvidence(gpu, graph, training, method, { images: 32 });
      const options = { method, sparsity: 0.7, ...(method === "magnitude" && { scope: "layer" as const }) };
      found[method] = await accuracy(gpu, (await prune(graph, { ...options, evidence })).graph, unseen);
    }
    const text = JSON.stringify(found);
    assert.ok(found["sparsegpt"]! > found["wanda"]! + 0.3, text);
    assert.ok(found["sparsegpt"]! > found["magnitude"]! + 0.3, text);
  },
);

test.run();
