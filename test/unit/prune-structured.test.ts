import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Graph, withWeights } from "../../src/graph/graph.ts";
import type { Evidence, EvidenceKind } from "../../src/prune/evidence.ts";
import { type PruneOptions, prune } from "../../src/prune/prune.ts";
import { tensor } from "../../src/tensor/host-tensor.ts";
import { fails } from "../support/error.ts";
import { concatNet, layers, residualNet } from "../support/prune-graphs.ts";

const test = suite("structured methods by hand");

/** Two 1×1 convolutions of 4 and 3 filters with BatchNormalization, then a classifier. Every channel's bias is its number. */
function chain(conv0: readonly number[], conv1?: readonly number[]): Graph {
  const l = layers("chain");
  const x = l.b.input("image", [null, 2, 3, 3]);
  const a = l.relu("relu0", l.bn("bn0", l.conv("conv0", x, [4, 2, 1, 1]), 4));
  const b = l.relu("relu1", l.bn("bn1", l.conv("conv1", a, [3, 4, 1, 1]), 3));
  l.head(b, 3);
  const numbered = (n: number) =>
    tensor(
      Array.from({ length: n }, (_, i) => i),
      [n],
    );
  const changed = new Map([
    ["conv0.weight", tensor([...conv0], [4, 2, 1, 1])],
    ["bn0.bias", numbered(4)],
    ["bn1.bias", numbered(3)],
  ]);
  if (conv1) changed.set("conv1.weight", tensor([...conv1], [3, 4, 1, 1]));
  return withWeights(l.b.build(), changed);
}

/** The channels that stay in both layers, by number. */
async function left(graph: Graph, options: PruneOptions, biases = ["bn0.bias", "bn1.bias"]): Promise<string> {
  const { graph: pruned } = await prune(graph, { granularity: "filter", ...options });
  return biases.map((name) => [...(pruned.weights.get(name)!.data as Float32Array)].join("")).join(" ");
}

const evidenceOf = (kind: EvidenceKind, values: Readonly<Record<string, readonly number[]>>): Evidence => ({
  [kind]: new Map(Object.entries(values).map(([name, v]) => [name, tensor([...v], [v.length], "f64")])),
});

const four = [3, 4, 0, 1, 6, 8, 1, 0];

test("L1 and L2 filter norms order filters differently", async () => {
  // [2, 2]: L1 4, L2 2.8; [0, 3]: L1 3, L2 3.
  const graph = chain([2, 2, 0, 3, 9, 9, 9, 9]);
  assert.is(await left(graph, { method: "magnitude", sparsity: { conv0: 0.25 } }), "023 012");
  assert.is(await left(graph, { method: "magnitude", norm: "l2", sparsity: { conv0: 0.25 } }), "123 012");
});

test("over the whole net, each layer's norms are divided by their mean", async () => {
  // conv0's norms 7 1 14 1 have the mean 5.75, conv1's 40 400 160 the mean 200: 1.22 .17 2.4 .17 and .2 2 .8.
  const big = [10, 10, 10, 10, 100, 100, 100, 100, 40, 40, 40, 40];
  const graph = chain(four, big);
  // Without the division conv1 would keep everything. 7 filters (the classifier's are frozen): round(0.43 · 7) = 3.
  assert.is(await left(graph, { method: "magnitude", scope: "global", sparsity: 0.43 }), "02 12");
});

test("fpgm removes what lies nearest to all others", async () => {
  // Points (3,4) (0,1) (6,8) (1,0). Distances: 0-1 √18 = 4.24, 0-2 5, 0-3 √20 = 4.47, 1-2 √85 = 9.22, 1-3 √2 = 1.41,
  // 2-3 √89 = 9.43. Sums 13.7, 14.9, 23.6, 15.3: the median is filter 0, though filters 1 and 3 are the smallest.
  const graph = chain(four);
  assert.is(await left(graph, { method: "fpgm", sparsity: { conv0: 0.25 } }), "123 012");
  assert.is(await left(graph, { method: "fpgm", sparsity: { conv0: 0.5 } }), "23 012");
  assert.is(await left(graph, { method: "magnitude", sparsity: { conv0: 0.5 } }), "02 012");
});

function withScales(graph: Graph, scales: Readonly<Record<string, readonly number[]>>): Graph {
  return withWeights(
    graph,
    new Map(Object.entries(scales).map(([name, v]) => [name, tensor([...v], [v.length])])),
  );
}

test("slimming puts one threshold on |γ| over the whole net", async () => {
  const graph = withScales(chain(four), {
    "bn0.weight": [0.5, -0.01, 0.3, 0.02],
    "bn1.weight": [0.1, 0.9, -0.05],
  });
  // The three smallest of seven: 0.01, 0.02, 0.05.
  assert.is(await left(graph, { method: "slimming", sparsity: 3 / 7 }), "02 01");
  // Divided by their layers' means they would be 0.05 0.1 0.14 …: the same; here they are not: 0.01, 0.02, 0.05 and then 0.1.
  assert.is(await left(graph, { method: "slimming", sparsity: 4 / 7 }), "02 1");
});

test("slimming says nothing of layers without normalisation, and refuses a net that has none", async () => {
  const l = layers("half");
  const x = l.b.input("image", [null, 2, 3, 3]);
  const a = l.relu("relu0", l.bn("bn0", l.conv("conv0", x, [4, 2, 1, 1]), 4));
  l.head(l.relu("relu1", l.conv("conv1", a, [3, 4, 1, 1], {}, true)), 3);
  const graph = withScales(l.b.build(), { "bn0.weight": [4, 3, 2, 1] });
  const { graph: pruned, record } = await prune(graph, { method: "slimming", sparsity: 0.5, scope: "layer" });
  assert.equal(pruned.weights.get("conv0.weight")!.shape, [2, 2, 1, 1]);
  assert.equal(pruned.weights.get("conv1.weight")!.shape, [3, 2, 1, 1]);
  const [step] = record.steps;
  assert.ok(
    step?.kind === "prune" && step.notes.length === 1 && /"conv1".*no BatchNorm/.test(step.notes[0]!),
  );
  await fails(
    () => prune(concatNet(), { method: "slimming", sparsity: 0.5 }),
    "E_PRUNE",
    /no BatchNormalization.*another method than slimming/,
  );
});

test("hrank keeps the filters whose maps have the highest rank; equal ranks go by L1 norm", async () => {
  const graph = chain(four, [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]);
  const evidence = evidenceOf("featureRanks", {
    "conv0.weight": [0.5, 0.5, 0.4, 0.9],
    "conv1.weight": [1, 1, 1],
    "fc.weight": [1, 1, 1],
  });
  assert.is(await left(graph, { method: "hrank", sparsity: { conv0: 0.25 }, evidence }), "013 012");
  // Of the two at 0.5 the second has the smaller norm, 1 against 7.
  assert.is(await left(graph, { method: "hrank", sparsity: { conv0: 0.5 }, evidence }), "03 012");
  assert.is(await left(graph, { method: "hrank", sparsity: { conv0: 0.5, conv1: 0.4 }, evidence }), "03 12");
  const kept = { sparsity: { conv0: 0.5, conv1: 0.4 }, rounding: "kept" } as const;
  assert.is(await left(graph, { method: "hrank", ...kept, evidence }), "03 2");
  // Automatic: full rank counts the same in every layer, so the layer of lower ranks gives more.
  assert.is(await left(graph, { method: "hrank", scope: "global", sparsity: 3 / 7, evidence }), "3 012");
});

test("published rates are shares per layer with the published rounding", async () => {
  const ranks = {
    "conv0.weight": [0.1, 0.2, 0.3, 0.4],
    "conv1.weight": [0.3, 0.2, 0.1],
    "fc.weight": [1, 1, 1],
  };
  const evidence = evidenceOf("featureRanks", ranks);
  const options = { method: "hrank", sparsity: { conv0: 0.6, conv1: 0.5 }, evidence } as const;
  // HRank removes trunc(4 · 0.6) = 2 and trunc(3 · 0.5) = 1; HRankPlus keeps trunc(4 · 0.4) = 1 and trunc(3 · 0.5) = 1.
  assert.is(await left(chain(four), { ...options, rounding: "removed" }), "23 01");
  assert.is(await left(chain(four), { ...options, rounding: "kept" }), "3 0");
});

test("apoz removes what is mostly zero", async () => {
  const evidence = evidenceOf("zeroShares", {
    "conv0.weight": [0.1, 0.95, 0.2, 0.3],
    "conv1.weight": [0.8, 0.5, 0.9],
    "fc.weight": [0, 0, 0],
  });
  assert.is(
    await left(chain(four), { method: "apoz", sparsity: { conv0: 0.25, conv1: 0.3 }, evidence }),
    "023 01",
  );
  assert.is(await left(chain(four), { method: "apoz", scope: "global", sparsity: 3 / 7, evidence }), "023 1");
});

test("taylor squares the gate's derivative batch by batch and compares over the whole net", async () => {
  const rows = (...list: number[][]): number[] => list.flat();
  const values = {
    // Means of squares: 0.5 (1 and -1 do not cancel), 0.04, 0.25, 0.01.
    "conv0.weight": rows([1, 0.2, 0.5, 0.1], [0, -0.2, 0.5, -0.1]),
    "conv1.weight": rows([0.3, 0, 2], [0.3, 0.1, 0]),
    "fc.weight": rows([1, 1, 1], [1, 1, 1]),
  };
  const evidence: Evidence = {
    gateGradients: new Map(
      Object.entries(values).map(([name, v]) => [name, tensor([...v], [2, v.length / 2], "f64")]),
    ),
  };
  // conv1: 0.09, 0.005, 2. The four smallest of seven: 0.005, 0.01, 0.04, 0.09.
  assert.is(await left(chain(four), { method: "taylor", sparsity: 4 / 7, evidence }), "02 2");
  assert.is(await left(chain(four), { method: "taylor", scope: "layer", sparsity: 0.5, evidence }), "02 2");
});

test("skeletonization removes first what adds to the error", async () => {
  const evidence = evidenceOf("gateRelevance", {
    "conv0.weight": [0.2, -3, 0.1, 0.4],
    "conv1.weight": [-0.1, 0.3, 5],
    "fc.weight": [0, 0, 0],
  });
  assert.is(await left(chain(four), { method: "skeletonization", sparsity: 3 / 7, evidence }), "03 12");
});

test("particle keeps the best pattern, and beside it what most of the last particles keep", async () => {
  const evidence = evidenceOf("particles", {
    "conv0.weight": [1.4, 0.3, 1.1, 0.1],
    "conv1.weight": [0, 1.5, 1.5],
    "fc.weight": [1, 1, 1],
  });
  assert.is(
    await left(chain(four), { method: "particle", sparsity: { conv0: 0.5, conv1: 0.3 }, evidence }),
    "02 12",
  );
  assert.is(
    await left(chain(four), { method: "particle", sparsity: { conv0: 0.25, conv1: 0 }, evidence }),
    "012 012",
  );
});

test("nothing need be known of layers that are skipped, nor of those that keep their filters anyway", async () => {
  const evidence = evidenceOf("featureRanks", { "conv0.weight": [0.1, 0.2, 0.3, 0.4] });
  const { graph } = await prune(chain(four), { method: "hrank", sparsity: 0.5, skip: ["conv1"], evidence });
  assert.equal([...(graph.weights.get("bn0.bias")!.data as Float32Array)], [2, 3]);
  await fails(
    () => prune(chain(four), { method: "hrank", sparsity: 0.5, evidence }),
    "E_INPUT",
    /"conv1\.weight"/,
  );
});

test("filters that share channels are judged by the mean of their scores", async () => {
  const graph = withWeights(residualNet(), new Map([["bn0.bias", tensor([0, 1, 2, 3], [4])]]));
  const evidence = evidenceOf("featureRanks", {
    "conv0.weight": [0.9, 0.2, 0.4, 0.5],
    "conv1.weight": [1, 1, 1, 1, 1, 1],
    "conv2.weight": [0.1, 0.7, 0.4, 0.6],
    "fc.weight": [1, 1, 1],
  });
  // Means 0.5, 0.45, 0.4, 0.55.
  assert.is(await left(graph, { method: "hrank", sparsity: { conv0: 0.5 }, evidence }, ["bn0.bias"]), "03");
});

test.run();
