import { suite } from "uvu";
import * as assert from "uvu/assert";
import { graphBuilder } from "../../src/graph/builder.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { prunableLayers } from "../../src/prune/layers.ts";
import { methods } from "../../src/prune/methods/index.ts";
import { prune } from "../../src/prune/prune.ts";
import { staticTypes } from "../../src/prune/types.ts";
import { correctedDropout } from "../../src/recipes/dropout.ts";
import { surgery, surgeryThreshold } from "../../src/recipes/dynamic-network-surgery.ts";
import { sharesOfThresholds } from "../../src/recipes/han.ts";
import { allMethods, recipes } from "../../src/recipes/index.ts";
import { rewound } from "../../src/recipes/retrain.ts";
import { dropAndGrow, dropShare } from "../../src/recipes/rigl.ts";
import { shareAt, sparsityAt } from "../../src/recipes/rounds.ts";
import { equalDrops, shareWithin } from "../../src/recipes/sensitivity-shares.ts";
import { scalar, tensor, toNumbers } from "../../src/tensor/host-tensor.ts";
import { fails } from "../support/error.ts";

const test = suite("recipes by hand");

test("surgery: cut at 0.9 and below, spliced above 1.1 of the threshold, else unchanged", () => {
  const dense = tensor([0.5, -0.9, 0.91, 1, 1.1, -1.11, 2, 0], [8]);
  const ones = tensor([1, 1, 1, 1, 1, 1, 1, 1], [8]);
  const none = tensor([0, 0, 0, 0, 0, 0, 0, 0], [8]);
  // In f32 0.9 is a little below and 1.1 a little above the double: at most 0.9, not above 1.1.
  assert.equal([...surgery(dense, ones, 1).data], [0, 0, 1, 1, 1, 1, 1, 0]);
  assert.equal([...surgery(tensor([1.05, 1.2, 0.95], [3]), tensor([0, 0, 0], [3]), 1).data], [0, 1, 0]);
  assert.equal([...surgery(dense, none, 1).data].slice(5, 8), [1, 1, 0]);
});

test("surgery's threshold: mean of |w| plus c deviations of |w|, over weights and biases, not below 0", () => {
  // |w| = 1 2 3 4 and 5: mean 3, mean of squares 11, deviation √2.
  const tensors = [tensor([1, -2, 3, -4], [2, 2]), tensor([5], [1])];
  assert.ok(Math.abs(surgeryThreshold(tensors, 0.5) - (3 + 0.5 * Math.SQRT2)) < 1e-12);
  assert.is(surgeryThreshold(tensors, 0), 3);
  assert.is(surgeryThreshold(tensors, -10), 0);
});

test("RigL: the published share of drops over time", () => {
  assert.is(dropShare(0.3, 0, 100), 0.3);
  assert.ok(Math.abs(dropShare(0.3, 50, 100) - 0.15) < 1e-12);
  assert.ok(Math.abs(dropShare(0.3, 100, 100)) < 1e-12);
});

test("RigL: the smallest go, the steepest come, among them what was just dropped", () => {
  const graph = linear([
    [5, 0.1, 0, 3],
    [0.2, 0, 0, 4],
  ]);
  const [layer] = prunableLayers(graph, staticTypes(graph));
  const weight = graph.weights.get("w")!;
  const mask = tensor([1, 1, 0, 1, 1, 0, 0, 1], [2, 4]);
  // Five are active; 40 % are two: 0.1 and 0.2 go. Gradients say that place 1 comes back and place 6 comes.
  const gradient = tensor([9, -7, 1, 9, 0, 2, 8, 9], [2, 4]);
  const next = dropAndGrow(layer!, weight, mask, gradient, 0.4);
  assert.equal([...next.data], [1, 1, 0, 1, 0, 0, 1, 1]);
  assert.equal([...dropAndGrow(layer!, weight, mask, gradient, 0).data], [1, 1, 0, 1, 1, 0, 0, 1]);
});

function linear(rows: readonly (readonly number[])[]): Graph {
  const b = graphBuilder("linear");
  const w = b.weight("w", tensor(rows.flat(), [rows.length, rows[0]!.length]));
  const x = b.input("x", [null, rows[0]!.length]);
  b.output(b.node("Gemm", [x, w], { transB: 1 }, { name: "fc" }), [null, rows.length]);
  return b.build();
}

test("rounds: equal numbers, or equal shares of what is left", () => {
  assert.equal(
    [1, 2, 3, 4].map((k) => shareAt(0.8, k, 4, "linear")),
    [0.2, 0.4, 0.6000000000000001, 0.8],
  );
  const left = [1, 2, 3].map((k) => 1 - shareAt(0.488, k, 3, "geometric"));
  for (const [k, l] of left.entries()) assert.ok(Math.abs(l - 0.8 ** (k + 1)) < 1e-12);
  assert.is(shareAt(0.9, 3, 3, "geometric"), 0.9);
  assert.equal(sparsityAt({ a: 0.5, b: 0.2 }, 1, 2, "linear"), { a: 0.25, b: 0.1 });
  assert.is(sparsityAt(undefined, 1, 2, "linear"), undefined);
});

test("Han's thresholds: q standard deviations as shares of each layer", () => {
  // Deviation of ±1, ±3 is √5 = 2.236: q 0.5 is 1.118 and cuts the ones.
  const graph = linear([
    [1, -1, 3],
    [-3, 3, -3],
  ]);
  // Mean 0, mean of squares (2 + 36) / 6: deviation 2.5166; q 0.5 cuts below 1.258, q 2 all.
  assert.equal(sharesOfThresholds(graph, { fc: 0.5 }), { fc: 1 / 3 });
  assert.equal(sharesOfThresholds(graph, { fc: 2 }), { fc: 1 });
  assert.equal(sharesOfThresholds(graph, { w: 0 }), { w: 0 });
});

test("the thresholds of a layer that is not there are refused with those that are", async () => {
  await fails(() => sharesOfThresholds(linear([[1, 2]]), { conv9: 1 }), "E_PRUNE", /"conv9".*fc/);
});

test("han compares |w| in deviations of its layer", async () => {
  const b = graphBuilder("two");
  // Deviations 1 and 10.
  const w1 = b.weight("w1", tensor([0.5, -0.5, 1.3228757, -1.3228757], [2, 2]));
  const w2 = b.weight("w2", tensor([6, -6, 12.806248, -12.806248], [2, 2]));
  const h = b.node("Gemm", [b.input("x", [null, 2]), w1], { transB: 1 });
  b.output(b.node("Gemm", [h, w2], { transB: 1 }), [null, 2]);
  const { graph } = await prune(b.build(), { method: "han", sparsity: 0.5 });
  // 0.5 0.5 1.32 1.32 and 0.6 0.6 1.28 1.28.
  assert.equal([...graph.masks.get("w1")!.data], [0, 0, 1, 1]);
  assert.equal([...graph.masks.get("w2")!.data], [0, 0, 1, 1]);
});

test("sensitivity: the share at which a curve has lost so much, and one loss for all layers", () => {
  const flat = {
    layer: "flat",
    size: 100,
    points: [
      { share: 0, top1: 1 },
      { share: 0.5, top1: 1 },
      { share: 1, top1: 0.8 },
    ],
  };
  const steep = {
    layer: "steep",
    size: 100,
    points: [
      { share: 0, top1: 1 },
      { share: 0.5, top1: 0.5 },
      { share: 1, top1: 0 },
    ],
  };
  assert.is(shareWithin(flat, 0.1), 0.75);
  assert.is(shareWithin(steep, 0.1), 0.1);
  // A curve that rises again has still lost what it had lost.
  const bumpy = {
    layer: "b",
    size: 1,
    points: [
      { share: 0, top1: 1 },
      { share: 0.4, top1: 0.6 },
      { share: 0.6, top1: 0.9 },
      { share: 1, top1: 0.2 },
    ],
  };
  assert.is(shareWithin(bumpy, 0.4), 0.6);
  // 0.85 and 0.17 … loss d: 0.5 + 2.5 d and d together are 2 · 0.425 at d = 0.1.
  const shares = equalDrops([flat, steep], 0.425);
  assert.ok(Math.abs(shares["flat"]! - 0.75) < 1e-9 && Math.abs(shares["steep"]! - 0.1) < 1e-9);
});

test("sensitivity: where nothing is lost, every layer takes its part of what it bears", () => {
  const points = (last: number) => [
    { share: 0, top1: 0.5 },
    { share: last, top1: 0.5 },
    { share: 1, top1: 0 },
  ];
  const curves = [0.8, 0.4].map((last, i) => ({ layer: `${i}`, size: 10, points: points(last) }));
  assert.equal(equalDrops(curves, 0.3), { 0: 0.4, 1: 0.2 });
});

test("dropout shrinks with the root of the connections that are left in front of it", async () => {
  const b = graphBuilder("dropping");
  const weight = b.weight("fc1.weight", tensor([1, 2, 3, 4], [2, 2]));
  const hidden = b.node("Relu", [
    b.node("Gemm", [b.input("x", [null, 2]), weight], { transB: 1 }, { name: "fc1" }),
  ]);
  const dropped = b.node("Dropout", [hidden, b.constant(scalar(0.5), "ratio")]);
  const head = b.weight("fc2.weight", tensor([1, 1, 1, 1], [2, 2]));
  b.output(b.node("Gemm", [dropped, head], { transB: 1 }, { name: "fc2" }), [null, 2]);
  const graph = b.build();
  const { graph: pruned } = await prune(graph, { method: "magnitude", sparsity: { fc1: 0.75 } });
  assert.equal(toNumbers(correctedDropout(graph, pruned).weights.get("ratio")!), [0.25]);
  const other = (await prune(graph, { method: "magnitude", sparsity: { fc2: 0.75 } })).graph;
  assert.equal(toNumbers(correctedDropout(graph, other).weights.get("ratio")!), [0.5]);
});

test("rewinding sets survivors back and leaves the dead at zero", async () => {
  const start = linear([[9, 8, 7, 6]]);
  const { graph } = await prune(linear([[1, 2, 3, 4]]), { method: "magnitude", sparsity: 0.5 });
  const back = rewound(graph, start.weights);
  assert.equal(toNumbers(back.weights.get("w")!), [0, 0, 7, 6]);
  assert.equal([...back.masks], [...graph.masks]);
});

test("every method is listed once, with its recipe where it has one", () => {
  const all = allMethods();
  assert.is(new Set(all.map((m) => m.name)).size, all.length);
  for (const { name } of [...methods, ...recipes])
    assert.ok(
      all.some((m) => m.name === name),
      name,
    );
  for (const r of recipes) assert.is(all.find((m) => m.name === r.name)!.kind, "training");
  const unstructured = [
    "magnitude",
    "random",
    "han",
    "dynamic-network-surgery",
    "gradual",
    "obd",
    "obs",
    "karnin",
  ];
  for (const name of [
    ...unstructured,
    "snip",
    "grasp",
    "synflow",
    "lottery",
    "rigl",
    "movement",
    "wanda",
    "sparsegpt",
    "n:m",
  ])
    assert.ok(
      all.some((m) => m.name === name),
      name,
    );
});

test.run();
