import { suite } from "uvu";
import * as assert from "uvu/assert";
import { glyphs } from "../../src/data/glyphs.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { nonzeros } from "../../src/graph/statistics.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { recipes, runRecipe, settingsOf } from "../../src/recipes/index.ts";
import { karninMasking } from "../../src/recipes/karnin.ts";
import type { RecipeContext, RecipeOptions } from "../../src/recipes/recipe.ts";
import { runPruning } from "../../src/recipes/run.ts";
import type { Checkpoint } from "../../src/train/checkpoint.ts";
import type { TrainOptions } from "../../src/train/options.ts";
import { train } from "../../src/train/train.ts";
import type { Trainer } from "../../src/train/trainer.ts";
import { fails } from "../support/error.ts";
import { gpuTest } from "../support/gpu.ts";

const test = suite("recipes in rounds");
const data = glyphs("train", 300, 1);
const net = buildNet("lenet300", { seed: 4 });
const weights = ["ip1.weight", "ip2.weight", "ip3.weight"];
const total = 266_200;
const quick: TrainOptions = { epochs: 2, batch: 30, validation: 60, rate: 0.05 };

const kept = (graph: Graph): number => weights.reduce((n, w) => n + nonzeros(graph.weights.get(w)!), 0);

function contextOf(gpu: Gpu, name: string, options: RecipeOptions, graph = net): RecipeContext {
  const recipe = recipes.find((r) => r.name === name)!;
  return { gpu, graph, data, options, setting: settingsOf(recipe, options.settings ?? {}) };
}

gpuTest(test, "lottery: rounds of a fifth, recorded one by one", async (gpu) => {
  const rounds: number[] = [];
  const result = await runRecipe(gpu, net, data, "lottery", {
    sparsity: 0.36,
    onRound: (r) => rounds.push(r.round),
    train: { ...quick, epochs: 1 },
  });
  // 0.8² of the weights stay after two rounds of a fifth.
  assert.equal(rounds, [1, 2]);
  assert.is(kept(result.graph), total - Math.round(total * 0.36));
  const steps = result.record.steps.map((s) => s.kind);
  assert.equal(steps, ["prune", "train", "prune", "train"]);
  await fails(
    () =>
      runRecipe(gpu, net, data, "lottery", {
        sparsity: 0.5,
        settings: { rewind: 3 },
        train: { ...quick, epochs: 1 },
      }),
    "E_PRUNE",
    /only 1/,
  );
});

gpuTest(test, "lottery goes back to an epoch of the first training", async (gpu) => {
  const settings = { ...quick, epochs: 2, schedule: { kind: "constant" } as const };
  const early: Checkpoint[] = [];
  await train(gpu, net, data, { ...settings, onCheckpoint: (c) => void early.push(c) });
  const result = await runRecipe(gpu, net, data, "lottery", {
    sparsity: 0.2,
    settings: { rewind: 1 },
    train: settings,
  });
  // One epoch from the values of epoch 1 under the mask, by hand.
  const values = new Map(weights.map((w) => [w, early[0]!.snapshot.state.get(w)!]));
  const mask = result.graph.masks;
  const start = new Map(net.weights);
  for (const [name, value] of early[0]!.snapshot.state) if (start.has(name)) start.set(name, value);
  for (const [name, value] of values) {
    const m = mask.get(name);
    if (m)
      start.set(name, {
        ...value,
        data: (value.data as Float32Array).map((v, i) => (m.data[i] === 0 ? 0 : v)),
      });
  }
  const ready = { ...net, weights: start, masks: mask };
  const hand = await train(gpu, ready, data, {
    ...settings,
    epochs: 1,
    schedule: { kind: "constant", rewind: { unit: "epochs", value: 1 } },
  });
  for (const name of weights)
    assert.equal(result.graph.weights.get(name), hand.graph.weights.get(name), name);
});

gpuTest(test, "han prunes and retrains in rounds, and dead neurons are gone at the end", async (gpu) => {
  const result = await runRecipe(gpu, net, data, "han", {
    sparsity: 0.95,
    rounds: 2,
    train: { ...quick, epochs: 1 },
    settings: { compact: 0 },
  });
  assert.is(kept(result.graph), total - Math.round(total * 0.95));
  assert.equal(
    result.rounds.map((r) => Math.round(100 * r.sparsity)),
    [78, 95],
  );
  const listed = await runRecipe(gpu, net, data, "han", {
    sparsity: 0.9,
    rounds: 1,
    train: { ...quick, epochs: 1 },
    settings: { sensitivity: 1, images: 60 },
  });
  const [first] = listed.record.steps;
  assert.ok(first?.kind === "prune" && Array.isArray(first.options.sparsity));
  if (first?.kind !== "prune") return;
  const gone = first.layers.reduce((n, l) => n + l.removed, 0);
  assert.ok(Math.abs(gone / total - 0.9) < 0.001, `${gone}`);
});

gpuTest(
  test,
  "karnin's sums are the gradient times the steps, and the recipe prunes by them",
  async (gpu) => {
    const settings: TrainOptions = {
      ...quick,
      epochs: 1,
      optimizer: { momentum: 0, weightDecay: 0, nesterov: false },
    };
    const { masking, sensitivity } = karninMasking(contextOf(gpu, "karnin", {}));
    const steps: Float32Array[] = [];
    const spy = {
      ...masking,
      async before(_: number, __: number, trainer: Trainer) {
        steps.push((await trainer.dense("ip2.weight")).data as Float32Array);
      },
      async after(trainer: Trainer) {
        steps.push((await trainer.dense("ip2.weight")).data as Float32Array);
        await masking.after!(trainer);
      },
    };
    await train(gpu, net, data, {
      ...settings,
      schedule: { kind: "constant" },
      validation: 0,
      track: ["work"],
      masking: spy,
    });
    const found = sensitivity().get("ip2.weight")!.data as Float64Array;
    const last = steps.at(-1)!;
    let most = 0;
    const want = found.map((_, i) => {
      // Without momentum and decay a step is -rate · g, so g · Δw is -Δw² / rate.
      let sum = 0;
      for (let k = 1; k < steps.length; k++) sum += (steps[k]![i]! - steps[k - 1]![i]!) ** 2 / 0.05;
      const value = last[i] === steps[0]![i] ? 0 : (sum * last[i]!) / (last[i]! - steps[0]![i]!);
      most = Math.max(most, Math.abs(value));
      return value;
    });
    for (const [i, v] of want.entries())
      assert.ok(Math.abs(found[i]! - v) < 1e-2 * Math.abs(v) + 1e-3 * most, `${i}: ${found[i]}, not ${v}`);
    const result = await runRecipe(gpu, net, data, "karnin", {
      sparsity: 0.5,
      train: { ...quick, epochs: 1 },
    });
    assert.is(kept(result.graph), total / 2);
    assert.equal(
      result.record.steps.map((s) => s.kind),
      ["train", "prune", "train"],
    );
  },
);

gpuTest(test, "any granularity goes through rounds, and what is gone counts as gone", async (gpu) => {
  const { rounds, graph, record } = await runPruning(gpu, net, data, {
    method: "magnitude",
    granularity: "filter",
    sparsity: { ip1: 0.5 },
    rounds: 1,
    train: { ...quick, epochs: 1 },
  });
  assert.equal(graph.weights.get("ip1.weight")!.shape, [150, 784]);
  // Of 235,200 weights only half the rows are left.
  assert.ok(Math.abs(rounds[0]!.sparsity - 0.5) < 1e-3);
  assert.equal(
    record.steps.map((s) => s.kind),
    ["prune", "train"],
  );
});

gpuTest(
  test,
  "layer by layer: a training after every layer, each scored on the net that the last has left",
  async (gpu) => {
    const rounds: number[] = [];
    const asked = {
      method: "apoz",
      sparsity: 0.5,
      layerByLayer: true,
      train: { ...quick, epochs: 1 },
    } as const;
    const result = await runPruning(gpu, net, data, { ...asked, onRound: (r) => rounds.push(r.round) });
    assert.equal(rounds, [1, 2]);
    assert.equal(
      result.record.steps.map((s) => s.kind),
      ["prune", "train", "prune", "train"],
    );
    const removed = result.record.steps.map((s) =>
      s.kind === "prune" ? s.layers.map((l) => l.removed) : [],
    );
    assert.equal(removed, [[150, 0, 0], [], [0, 50, 0], []]);
    const refused = [
      [{ rounds: 2 }, "E_INPUT", /every layer is a round/],
      [{ scratch: true }, "E_INPUT", /not layer by layer/],
      [{ method: "lottery" }, "E_INPUT", /takes all layers together/],
      [{ scope: "global" }, "E_PRUNE", /scope is global/],
    ] as const;
    for (const [more, code, message] of refused)
      await fails(() => runPruning(gpu, net, data, { ...asked, ...more }), code, message);
  },
);

test.run();
