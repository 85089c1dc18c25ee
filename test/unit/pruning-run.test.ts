import { suite } from "uvu";
import * as assert from "uvu/assert";
import { leftOut, requestOf, sparsityArgument } from "../../src/cli/pruning-request.ts";
import { glyphs } from "../../src/data/glyphs.ts";
import { nonzeros } from "../../src/graph/statistics.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { publishedLists, publishedNames, publishedSparsity } from "../../src/prune/allocations/published.ts";
import { findMethod } from "../../src/prune/methods/index.ts";
import { fillOptions } from "../../src/prune/options.ts";
import { prune } from "../../src/prune/prune.ts";
import { publishedRates } from "../../src/prune/published.ts";
import { parsePruningManifest, pruningManifest, repeatPruning } from "../../src/recipes/manifest.ts";
import { type PruningRequest, requirements, runPruning } from "../../src/recipes/run.ts";
import { fromScratch } from "../../src/recipes/scratch.ts";
import { countBy } from "../../src/report/counts.ts";
import { meanOverlap, overlap, spreadOf } from "../../src/report/stability.ts";
import { fails } from "../support/error.ts";
import { residualNet } from "../support/prune-graphs.ts";
import { ones, plainCounts, total } from "../support/published.ts";

const test = suite("one pruning from request to manifest");
const magnitude: PruningRequest = { method: "magnitude", sparsity: 0.5 };

test("what a request takes beside the model", () => {
  const of = (request: Partial<PruningRequest>): string => {
    const { gpu, data } = requirements({ ...magnitude, ...request });
    return `${gpu ? "gpu" : ""} ${data ? "data" : ""}`.trim();
  };
  assert.is(of({}), "");
  assert.is(of({ method: "han" }), "");
  assert.is(of({ method: "synflow" }), "gpu");
  for (const method of ["wanda", "obs", "snip", "gradual", "karnin", "lottery"])
    assert.is(of({ method }), "gpu data");
  assert.is(of({ recover: "bias" }), "gpu data");
  assert.is(of({ train: { epochs: 1 } }), "gpu data");
  assert.is(of({ scratch: true }), "gpu data");
  assert.is(of({ recalibrate: true }), "gpu data");
});

test("without images where they are needed, the message says which method and what to do", async () => {
  await fails(
    () => runPruning(undefined, residualNet(), undefined, { ...magnitude, method: "wanda" }),
    "E_INPUT",
    /method wanda.*--data/,
  );
  await fails(
    () => runPruning(undefined, residualNet(), undefined, { ...magnitude, train: {} }),
    "E_INPUT",
    /training.*--data/,
  );
  await fails(
    () => runPruning(undefined, residualNet(), undefined, { ...magnitude, method: "wishful" }),
    "E_INPUT",
    /it is one of/,
  );
});

test("a manifest survives JSON, repeats to the same graph, and refuses another model", async () => {
  const graph = residualNet();
  const request: PruningRequest = { method: "random", sparsity: 0.6, seed: 9, onRound: () => undefined };
  const outcome = await runPruning(undefined, graph, undefined, request);
  const made = await pruningManifest(undefined, graph, undefined, request, outcome);
  const manifest = parsePruningManifest(JSON.stringify(made));
  assert.equal(manifest.request, { method: "random", sparsity: 0.6, seed: 9 });
  const again = await repeatPruning(undefined, residualNet(), undefined, manifest);
  assert.equal([...again.graph.masks], [...outcome.graph.masks]);
  const other = (await prune(graph, { method: "magnitude", sparsity: 0.1 })).graph;
  await fails(() => repeatPruning(undefined, other, undefined, manifest), "E_PRUNE", /model has hash/);
  const changed = { ...manifest, request: { ...manifest.request, seed: 8 } };
  await fails(
    () => repeatPruning(undefined, graph, undefined, changed),
    "E_PRUNE",
    /where its manifest says/,
  );
  await fails(() => parsePruningManifest("{"), "E_INPUT", /not JSON/);
  await fails(
    () => parsePruningManifest(JSON.stringify({ ...manifest, result: "no" })),
    "E_INPUT",
    /"result"/,
  );
  const withData = { ...manifest, data: { name: "glyphs", images: 1, hash: manifest.result } };
  await fails(() => repeatPruning(undefined, graph, undefined, withData), "E_INPUT", /none were given/);
  await fails(
    () => repeatPruning(undefined, graph, glyphs("train", 1, 1), withData),
    "E_PRUNE",
    /data has hash/,
  );
});

test("from scratch: the same masks, new weights, statistics of nothing", async () => {
  const { graph } = await prune(residualNet(), { method: "magnitude", sparsity: 0.5 });
  const fresh = fromScratch(graph, 3);
  assert.equal([...fresh.masks], [...graph.masks]);
  for (const [name, w] of graph.weights) {
    const now = fresh.weights.get(name)!;
    const list = [...(now.data as Float32Array)];
    if (w.shape.length >= 2) {
      assert.is(nonzeros(now), nonzeros(w));
      assert.ok(
        list.every((v, i) => v === 0 || v !== w.data[i]),
        name,
      );
    } else if (/running_mean|bias/.test(name))
      assert.ok(
        list.every((v) => v === 0),
        name,
      );
    else if (/running_var|bn\d\.weight/.test(name))
      assert.ok(
        list.every((v) => v === 1),
        name,
      );
  }
  assert.equal([...fromScratch(graph, 3).weights], [...fresh.weights]);
  assert.not.equal([...fromScratch(graph, 4).weights], [...fresh.weights]);
  const conv = fresh.weights.get("conv1.weight")!.data as Float32Array;
  const square = conv.reduce((s, v) => s + v * v, 0) / nonzeros(fresh.weights.get("conv1.weight")!);
  assert.ok(Math.abs(square / (2 / 36) - 1) < 0.4, "He et al.: 2 over the fan-in");
});

test("published shares give the published counts", async () => {
  const graph = buildNet("lenet5", { seed: 1 });
  const kept = async (name: string): Promise<number[]> => {
    const { sparsity } = publishedSparsity(name, graph);
    const { graph: pruned } = await prune(graph, { method: "magnitude", sparsity });
    return ["conv1", "conv2", "ip1", "ip2"].map((l) => nonzeros(pruned.weights.get(`${l}.weight`)!));
  };
  assert.equal(await kept("dns"), [72, 770, 2920, 215]);
  assert.equal(await kept("han"), [330, 3000, 32_000, 950]);
  assert.ok(publishedLists.every((p) => p.reference.includes("arXiv")));
  await fails(() => publishedSparsity("owl", graph), "E_INPUT", /"owl"; for lenet5 there are han, dns\./);
  await fails(
    () => publishedSparsity("han", residualNet()),
    "E_INPUT",
    /lenet300 and lenet5, not for this model/,
  );
});

test("published:NAME of filters: granularity, shares and rounding that give the published counts", async () => {
  const requested = (arch: string, name: string, more: readonly string[] = []): PruningRequest =>
    requestOf(ones(arch), {
      method: "magnitude",
      sparsity: sparsityArgument(`published:${name}`),
      skip: [],
      set: [],
      ...(more[0] !== undefined && { granularity: more[0] }),
    });
  // By keeping 0.7 of 64, 128, 256 and 0.25 of 512: 104.78M in the authors' convention, 104,242,752 plain.
  const vgg = requested("vgg16", "hrankplus-vgg16-104.78M");
  const small = (await runPruning(undefined, ones("vgg16"), undefined, vgg)).graph;
  assert.equal(plainCounts(small), [104_242_752, 2_498_382, 2_500_859, 2_505_793]);
  assert.equal(total(countBy(small, "thop-2020")), [104_781_568, 2_505_793]);
  // HRank cuts the removed count: 16 at 0.4 keeps 10, where HRankPlus' rule keeps 9.
  const dense = requested("densenet40", "hrank-densenet40-167.41M");
  assert.is(dense.rounding, "removed");
  const thin = (await runPruning(undefined, ones("densenet40"), undefined, dense)).graph;
  assert.equal(plainCounts(thin), [157_654_724, 639_545, 639_555, 656_941]);
  assert.throws(
    () => requested("vgg16", "hrankplus-vgg16-104.78M", ["element"]),
    /rates of filters.*Leave it out/,
  );
  await fails(
    () => publishedSparsity("hrank-densenet40-167.41M", ones("vgg16")),
    "E_INPUT",
    /are for densenet40, not for vgg16/,
  );
  await fails(
    () => publishedSparsity("hrankplus-vgg16-104.78M", small),
    "E_INPUT",
    /44 filters.*count from 64/,
  );
  const wanted = publishedRates.map((p) => p.name);
  assert.equal(
    publishedNames().map((p) => p.name),
    [...publishedLists.map((p) => p.name), ...wanted],
  );
});

test("--l1-scales is a penalty of the retraining, and slimming's own lambda", async () => {
  const asked = (more: Record<string, unknown>): PruningRequest =>
    requestOf(residualNet(), { method: "magnitude", skip: [], set: [], retrain: 1, l1Scales: 0.01, ...more });
  const plain = asked({});
  assert.equal([plain.train?.optimizer?.l1Scales, plain.settings], [0.01, undefined]);
  const slim = asked({ method: "slimming" });
  assert.equal([slim.train?.optimizer?.l1Scales, slim.settings], [undefined, { lambda: 0.01 }]);
  await fails(() => asked({ method: "slimming", set: ["lambda=0.1"] }), "E_USAGE", /give one of them/);
  await fails(() => asked({ retrain: undefined }), "E_USAGE", /--l1-scales says how to train/);
});

test("--recover none: a method that repairs by itself then does not", async () => {
  const asked = requestOf(residualNet(), {
    method: "thinet",
    sparsity: sparsityArgument("0.5"),
    skip: [],
    set: [],
    recover: "none",
  });
  assert.is(findMethod("thinet").defaults?.recover, "least-squares");
  assert.equal(fillOptions(asked).recover, undefined);
  assert.is(fillOptions({ ...asked, recover: undefined }).recover, "least-squares");
});

test("what a published allocation leaves out is said", () => {
  const said = (arch: string, name: string): string | undefined =>
    leftOut(buildNet(arch, { init: "zeros" }), sparsityArgument(`published:${name}`));
  assert.match(
    said("resnet56", "hrankplus-resnet56-90.35M") ?? "",
    /rates of 18 convolutions.*layer1\.0\.conv2/,
  );
  assert.is(said("vgg16", "hrankplus-vgg16-104.78M"), undefined);
});

test("overlap by hand, for masks and for channels that are gone", async () => {
  const graph = residualNet();
  const a = (await prune(graph, { method: "random", sparsity: 0.5, seed: 1 })).graph;
  const b = (await prune(graph, { method: "random", sparsity: 0.5, seed: 2 })).graph;
  let [both, either] = [0, 0];
  for (const name of new Set([...a.masks.keys(), ...b.masks.keys()])) {
    const [x, y] = [a.masks.get(name)!, b.masks.get(name)!];
    for (let i = 0; i < x.data.length; i++) {
      both += Number(x.data[i]) & Number(y.data[i]);
      either += Number(x.data[i]) | Number(y.data[i]);
    }
  }
  assert.is(overlap(a, b), both / either);
  assert.is(overlap(a, a), 1);
  assert.is(overlap(graph, graph), 1);
  const filters = [1, 2].map((seed) =>
    prune(graph, { method: "random", granularity: "filter", sparsity: 0.5, seed }),
  );
  const [p, q] = (await Promise.all(filters)).map((r) => r.graph);
  assert.is(overlap(p!, p!), 1);
  assert.ok(overlap(p!, q!) < 1 && overlap(p!, q!) > 0);
  assert.is(meanOverlap([graph]), undefined);
  assert.is(meanOverlap([a, a, b]), (1 + 2 * overlap(a, b)) / 3);
});

test("spread: mean and sample deviation", () => {
  assert.equal(spreadOf([1, 2, 3]), { mean: 2, deviation: 1, values: [1, 2, 3] });
  assert.equal(spreadOf([0.5]), { mean: 0.5, values: [0.5] });
});

test.run();
