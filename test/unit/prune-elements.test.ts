import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Graph, makeGraph, withWeights } from "../../src/graph/graph.ts";
import { nonzeros } from "../../src/graph/statistics.ts";
import { parseGranularity } from "../../src/prune/granularity.ts";
import { forEachElement, type PrunableLayer, unitCount } from "../../src/prune/layers.ts";
import { type PruneOptions, prune } from "../../src/prune/prune.ts";
import { type HostTensor, tensor } from "../../src/tensor/host-tensor.ts";
import { flattenNet, layers, residualNet } from "../support/prune-graphs.ts";

const test = suite("prune elements and blocks");
const base: PruneOptions = { method: "magnitude", granularity: "element", sparsity: 0.5 };
const zerosOf = (graph: Graph, names: readonly string[]): number =>
  names.reduce((n, name) => n + graph.weights.get(name)!.data.length - nonzeros(graph.weights.get(name)!), 0);
const prunable = ["conv0.weight", "conv1.weight", "conv2.weight", "fc.weight"];

/** Rejects with this code, and its message holds all of `words`. */
async function rejects(run: () => Promise<unknown>, code: string, ...words: string[]): Promise<void> {
  try {
    await run();
  } catch (error) {
    const e = error as { code: string; message: string };
    assert.is(e.code, code, e.message);
    for (const word of words) assert.ok(e.message.includes(word), `"${word}" is not in: ${e.message}`);
    return;
  }
  assert.unreachable(`nothing was thrown; ${code} was expected`);
}

test("exactly the share asked for goes, the smallest magnitudes, and biases stay", async () => {
  const graph = residualNet();
  const total = prunable.reduce((n, name) => n + graph.weights.get(name)!.data.length, 0);
  for (const sparsity of [0, 0.1, 0.5, 0.9, 0.99]) {
    const { graph: pruned } = await prune(graph, { ...base, sparsity });
    assert.is(zerosOf(pruned, prunable), Math.round(total * sparsity));
    const all = prunable.flatMap((name) => {
      const [before, after] = [graph.weights.get(name)!, pruned.weights.get(name)!];
      return Array.from(before.data as Float32Array, (w, i) => [Math.abs(w), after.data[i] === 0] as const);
    });
    const kept = Math.min(...all.filter(([, gone]) => !gone).map(([w]) => w));
    const gone = Math.max(0, ...all.filter(([, g]) => g).map(([w]) => w));
    assert.ok(gone <= kept);
    for (const [name, w] of graph.weights)
      if (!prunable.includes(name)) assert.is(pruned.weights.get(name), w);
  }
});

test("masks say where the zeros are, and the input graph is untouched", async () => {
  const graph = residualNet();
  const { graph: pruned } = await prune(graph, base);
  assert.is(graph.masks.size, 0);
  assert.is(zerosOf(graph, prunable), 0);
  for (const [name, mask] of pruned.masks) {
    const w = pruned.weights.get(name)!;
    assert.is(mask.dtype, "bool");
    assert.equal(
      [...(mask.data as Uint8Array)],
      Array.from(w.data as Float32Array, (v) => (v === 0 ? 0 : 1)),
    );
  }
  assert.ok(pruned.masks.size > 0);
});

test("layer scope and per-layer shares give every layer its own exact count", async () => {
  const graph = residualNet();
  const { graph: pruned } = await prune(graph, { ...base, scope: "layer", sparsity: 0.37 });
  for (const name of prunable) {
    assert.is(zerosOf(pruned, [name]), Math.round(graph.weights.get(name)!.data.length * 0.37));
  }
  const some = await prune(graph, { ...base, sparsity: { conv1: 0.25, "fc.weight": 0.5 } });
  assert.is(zerosOf(some.graph, ["conv1.weight"]), 54);
  assert.is(zerosOf(some.graph, ["fc.weight"]), 6);
  assert.is(zerosOf(some.graph, ["conv0.weight", "conv2.weight"]), 0);
});

test("skipped layers neither lose weights nor count", async () => {
  const graph = residualNet();
  for (const skip of [["conv0"], ["conv0.weight"]]) {
    const { graph: pruned } = await prune(graph, { ...base, skip: [...skip, "bn1"] });
    assert.is(zerosOf(pruned, ["conv0.weight"]), 0);
    assert.is(zerosOf(pruned, prunable), Math.round((216 + 216 + 12) / 2));
  }
});

test("stored zeros and masks count as removed and are taken first", async () => {
  const graph = residualNet();
  const conv1 = graph.weights.get("conv1.weight")!;
  const data = (conv1.data as Float32Array).slice();
  data.fill(-0, 100, 200);
  const holed = withWeights(graph, new Map([["conv1.weight", { ...conv1, data }]]));
  const { graph: pruned } = await prune(holed, { ...base, sparsity: 0.1 });
  assert.is(zerosOf(pruned, prunable), 100);
  assert.equal([...pruned.masks.keys()], ["conv1.weight"]);
});

test("pruning a pruned graph composes: masks grow, never shrink", async () => {
  const once = await prune(residualNet(), base);
  const twice = await prune(once.graph, { ...base, sparsity: 0.8 });
  const direct = await prune(residualNet(), { ...base, sparsity: 0.8 });
  assert.is(twice.record.steps.length, 2);
  for (const name of prunable) assert.equal(twice.graph.weights.get(name), direct.graph.weights.get(name));
  const back = await prune(once.graph, { ...base, method: "random", sparsity: 0.2 });
  for (const name of prunable) assert.equal(back.graph.weights.get(name), once.graph.weights.get(name));
});

test("random depends on the seed alone, and a skipped layer shifts no other", async () => {
  const options: PruneOptions = { ...base, method: "random", scope: "layer", seed: 7 };
  const [a, b] = [await prune(residualNet(), options), await prune(residualNet(), options)];
  const c = await prune(residualNet(), { ...options, seed: 8 });
  const d = await prune(residualNet(), { ...options, skip: ["conv0"] });
  const of = (p: { graph: Graph }, name = "conv1.weight"): HostTensor => p.graph.weights.get(name)!;
  assert.equal(of(a), of(b));
  assert.not.equal(of(a), of(c));
  assert.equal(of(a), of(d));
});

test("blocks of R output channels share a column; the last block is shorter", async () => {
  for (const [name, rows] of [
    ["block2x1", 2],
    ["block4x1", 4],
    ["block16x1", 16],
  ] as const) {
    for (const norm of ["l1", "l2"] as const) {
      const { graph, record } = await prune(residualNet(), { ...base, granularity: name, norm });
      const step = record.steps[0]!;
      assert.is(step.kind, "prune");
      if (step.kind !== "prune") return;
      const units = step.layers.reduce((n, l) => n + l.units, 0);
      assert.is(
        step.layers.reduce((n, l) => n + l.removed, 0),
        Math.round(units / 2),
      );
      const mask = graph.masks.get("conv1.weight")!;
      assert.is(step.layers[1]!.units, Math.ceil(6 / rows) * 36);
      for (let column = 0; column < 36; column++) {
        for (let row = 0; row < 6; row++) {
          const first = Math.floor(row / rows) * rows;
          assert.is(mask.data[row * 36 + column], mask.data[first * 36 + column]);
        }
      }
    }
  }
});

test("the norms differ, and a block's score is its norm", async () => {
  const l = layers("two");
  const x = l.b.input("image", [null, 2]);
  // Column 0: (3, 3): L1 6, L2 4.2. Column 1: (5, 0.5): L1 5.5, L2 5.02.
  const w = l.b.weight("fc.weight", tensor([3, 5, 3, 0.5], [2, 2]));
  l.b.output(l.b.node("Gemm", [x, w], { transB: 1 }, { name: "fc" }), [null, 2]);
  const options: PruneOptions = { ...base, granularity: "block2x1" };
  const one = await prune(l.b.build(), { ...options, norm: "l1" });
  const two = await prune(l.b.build(), { ...options, norm: "l2" });
  assert.equal([...(one.graph.weights.get("fc.weight")!.data as Float32Array)], [3, 0, 3, 0]);
  assert.equal([...(two.graph.weights.get("fc.weight")!.data as Float32Array)], [0, 5, 0, 0.5]);
});

test("units follow the output axis wherever it lies", () => {
  const layer: PrunableLayer = {
    name: "m",
    nodes: ["m"],
    weight: "m",
    shape: [3, 5],
    outAxis: 1,
    inAxis: 0,
    rows: 5,
    cols: 3,
  };
  const g = parseGranularity("block2x1");
  assert.is(unitCount(layer, g), 9);
  const seen: number[] = [];
  forEachElement(layer, g, (i, unit) => {
    seen[i] = unit;
  });
  assert.equal(seen, [0, 0, 3, 3, 6, 1, 1, 4, 4, 7, 2, 2, 5, 5, 8]);
});

test("MatMul weights are pruned by column blocks of outputs", async () => {
  const { graph } = await prune(flattenNet(), { ...base, granularity: "block2x1", scope: "layer" });
  const mask = graph.masks.get("fc2.weight")!;
  for (let row = 0; row < 7; row++) {
    for (let out = 0; out < 5; out++) {
      assert.is(mask.data[row * 5 + out], mask.data[row * 5 + Math.floor(out / 2) * 2]);
    }
  }
});

test("wrong requests are refused with the values and the cure", async () => {
  const graph = residualNet();
  const bad = (change: object, code: string, ...words: string[]): Promise<void> =>
    rejects(() => prune(graph, { ...base, ...change } as PruneOptions), code, ...words);
  await bad({ sparsity: 1 }, "E_PRUNE", "1", "below 1");
  await bad({ sparsity: -0.1 }, "E_PRUNE", "-0.1");
  await bad({ sparsity: Number.NaN }, "E_PRUNE", "NaN");
  await bad({ sparsity: "90%" }, "E_PRUNE", "90%");
  await bad({ method: "magic" }, "E_INPUT", "magic", "magnitude", "random");
  await bad({ granularity: "block3x1" }, "E_INPUT", "block3x1", "block4x1");
  await bad({ scope: "galaxy" }, "E_INPUT", "galaxy", "global");
  await bad({ norm: "l3" }, "E_INPUT", "l3");
  await bad({ seed: 1.5 }, "E_INPUT", "1.5");
  await bad({ sparsityy: 0.5 }, "E_INPUT", "sparsityy");
  await bad({ skip: ["nothing"] }, "E_PRUNE", "nothing", "conv0");
  await bad({ sparsity: { bn0: 0.5 } }, "E_PRUNE", "bn0", "conv0");
  await bad({ sparsity: { conv0: 0.5 }, scope: "global" }, "E_PRUNE", "scope");
  await bad({ roundTo: 8 }, "E_PRUNE", "roundTo", "filter");
  await bad({ keepShape: true }, "E_PRUNE", "keepShape");
  const nan = withWeights(
    graph,
    new Map([["fc.weight", tensor(new Float32Array(12).fill(Number.NaN), [3, 4])]]),
  );
  await rejects(() => prune(nan, base), "E_PRUNE", "fc", "NaN");
  const bare = makeGraph({
    name: "bare",
    inputs: [{ name: "x", dtype: "f32", shape: [1] }],
    outputs: [{ name: "y", dtype: "f32", shape: [1] }],
    nodes: [{ name: "r", op: "Relu", inputs: ["x"], outputs: ["y"], attributes: new Map() }],
    weights: new Map(),
  });
  await rejects(() => prune(bare, base), "E_PRUNE", "no weight to prune");
});

test.run();
