import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Graph } from "../../src/graph/graph.ts";
import { nonzeros } from "../../src/graph/statistics.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { apportion } from "../../src/prune/allocations/apportion.ts";
import { erk } from "../../src/prune/allocations/erk.ts";
import { allocations } from "../../src/prune/allocations/index.ts";
import { lamp } from "../../src/prune/allocations/lamp.ts";
import type { PrunableLayer } from "../../src/prune/layers.ts";
import { type PruneOptions, prune } from "../../src/prune/prune.ts";
import { replay } from "../../src/prune/replay.ts";
import { fails } from "../support/error.ts";
import { groupedNet, residualNet } from "../support/prune-graphs.ts";

const test = suite("allocations");

const layerOf = (shape: readonly number[]): PrunableLayer => ({
  name: "l",
  nodes: ["l"],
  weight: "w",
  shape,
  outAxis: 0,
  inAxis: 1,
  rows: shape[0]!,
  cols: shape.slice(1).reduce((a, b) => a * b, 1),
});

const kept = (graph: Graph): number[] =>
  [...graph.weights].flatMap(([, w]) => (w.shape.length >= 2 ? [nonzeros(w)] : []));
const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);

test("erk by hand: shares in proportion to (in + out) / (in · out), small layers dense", () => {
  // 10×10 and 20×20: raw 0.2 and 0.1, so units · raw are 20 and 40. Keeping 60 of 500 gives ε = 1: 20 and 40.
  const two = [layerOf([10, 10]), layerOf([20, 20])].map((layer) => ({
    layer,
    units: layer.rows * layer.cols,
  }));
  assert.equal(erk.counts!(two, 440), [80, 360]);
  // Keeping 400: ε = 6.67 would keep 1.33 of the first, so it stays dense and the other keeps 300.
  assert.equal(erk.counts!(two, 100), [0, 100]);
  // With a kernel: [8, 4, 3, 3] has raw 18/288, [2, 8] has raw 10/16; units · raw are 18 and 10. Keeping 14: 9 and 5.
  const conv = [layerOf([8, 4, 3, 3]), layerOf([2, 8])].map((layer) => ({
    layer,
    units: layer.rows * layer.cols,
  }));
  assert.equal(erk.counts!(conv, 304 - 14), [279, 11]);
});

test("lamp by hand: squares over the sums of all squares from there up", () => {
  const scores = lamp.normalise!(Float64Array.of(3, 1, 2), () => true);
  assert.equal([...scores], [1, 1 / 14, 4 / 13]);
  const some = lamp.normalise!(Float64Array.of(3, 9, 2), (unit) => unit !== 1);
  assert.equal([...some], [1, 0, 4 / 13]);
  // Of equal ones the last has the smallest sum above it.
  assert.equal([...lamp.normalise!(Float64Array.of(2, 2), () => true)], [0.5, 1]);
});

test("lamp prunes over all layers by those scores", async () => {
  const graph = residualNet();
  const { graph: pruned, record } = await prune(graph, {
    method: "magnitude",
    allocation: "lamp",
    sparsity: 0.7,
  });
  const all: { name: string; i: number; score: number }[] = [];
  for (const [name, w] of graph.weights) {
    if (w.shape.length < 2) continue;
    const squares = Array.from(w.data as Float32Array, (v, i) => ({ i, square: v * v }));
    squares.sort((a, b) => b.square - a.square);
    let above = 0;
    for (const { i, square } of squares) {
      above += square;
      all.push({ name, i, score: square / above });
    }
  }
  all.sort((a, b) => a.score - b.score);
  const gone = all.slice(0, Math.round(all.length * 0.7));
  for (const { name, i } of gone) assert.is(pruned.weights.get(name)!.data[i], 0);
  assert.is(sum(kept(pruned)), all.length - gone.length);
  const [step] = record.steps;
  assert.ok(step?.kind === "prune" && step.options.allocation === "lamp" && step.options.scope === "global");
});

test("erk and lamp meet every budget exactly, and replay", async () => {
  for (const graph of [residualNet(), groupedNet(), buildNet("lenet5", { seed: 1 })]) {
    const total = sum(kept(graph));
    for (const allocation of ["erk", "lamp"]) {
      for (const sparsity of [0, 0.1, 0.333, 0.5, 0.9, 0.99]) {
        for (const method of ["magnitude", "random"]) {
          const result = await prune(graph, { method, allocation, sparsity });
          assert.is(
            sum(kept(result.graph)),
            total - Math.round(total * sparsity),
            `${allocation} ${sparsity}`,
          );
          if (sparsity !== 0.5) continue;
          const again = await replay(result.record, graph);
          assert.equal([...again.masks], [...result.graph.masks]);
        }
      }
    }
  }
});

test("erk gives blocks their own exact budget", async () => {
  const { record } = await prune(residualNet(), {
    method: "magnitude",
    granularity: "block2x1",
    allocation: "erk",
    sparsity: 0.6,
  });
  const [step] = record.steps;
  assert.ok(step?.kind === "prune");
  if (step?.kind !== "prune") return;
  const units = sum(step.layers.map((l) => l.units));
  assert.is(sum(step.layers.map((l) => l.removed)), Math.round(units * 0.6));
});

test("global and uniform are the scopes by another name", async () => {
  const base: PruneOptions = { method: "magnitude", sparsity: 0.4 };
  for (const [allocation, scope] of [
    ["global", "global"],
    ["uniform", "layer"],
  ] as const) {
    const a = await prune(residualNet(), { ...base, allocation });
    const b = await prune(residualNet(), { ...base, scope });
    assert.equal([...a.graph.masks], [...b.graph.masks]);
    assert.equal(a.record, b.record);
  }
});

test("whole numbers that add up, the largest remainders first", () => {
  assert.equal(apportion([1.5, 2.5, 3], [9, 9, 9], 7), [2, 2, 3]);
  assert.equal(apportion([0.4, 0.3, 0.3], [1, 1, 1], 1), [1, 0, 0]);
  assert.equal(apportion([5, 1], [3, 9], 6), [3, 3]);
  assert.equal(apportion([0, 0], [1, 1], 2), [1, 1]);
});

test("what contradicts an allocation is refused with the cure", async () => {
  const run = (options: object): Promise<unknown> =>
    prune(residualNet(), { method: "magnitude", sparsity: 0.5, ...options });
  const names = allocations.map((a) => a.name).join(", ");
  await fails(() => run({ allocation: "owl" }), "E_INPUT", new RegExp(names));
  await fails(() => run({ allocation: "erk", scope: "global" }), "E_PRUNE", /Leave scope out/);
  await fails(() => run({ allocation: "lamp", scope: "layer" }), "E_PRUNE", /Leave scope out/);
  await fails(() => run({ allocation: "erk", sparsity: { conv1: 0.5 } }), "E_PRUNE", /per layer/);
  await fails(() => run({ allocation: "lamp", granularity: "filter" }), "E_PRUNE", /filters/);
  await fails(() => run({ scope: "row", granularity: "filter" }), "E_PRUNE", /whole row/);
});

test.run();
