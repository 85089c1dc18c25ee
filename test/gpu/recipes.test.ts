import { suite } from "uvu";
import * as assert from "uvu/assert";
import { glyphs } from "../../src/data/glyphs.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { nonzeros } from "../../src/graph/statistics.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { prune } from "../../src/prune/prune.ts";
import { surgeryMasking } from "../../src/recipes/dynamic-network-surgery.ts";
import { recipes, runRecipe, settingsOf } from "../../src/recipes/index.ts";
import type { RecipeContext, RecipeOptions, RecipeResult } from "../../src/recipes/recipe.ts";
import { riglMasking } from "../../src/recipes/rigl.ts";
import type { HostTensor } from "../../src/tensor/host-tensor.ts";
import type { Checkpoint } from "../../src/train/checkpoint.ts";
import type { Masking } from "../../src/train/masking.ts";
import type { TrainOptions } from "../../src/train/options.ts";
import { train } from "../../src/train/train.ts";
import type { Trainer } from "../../src/train/trainer.ts";
import { gpuTest } from "../support/gpu.ts";

const test = suite("recipes that train");
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

/** Masks and weights that a masking leaves before every step. */
interface Seen {
  readonly step: number;
  readonly masks: ReadonlyMap<string, HostTensor>;
  readonly dense: ReadonlyMap<string, HostTensor>;
}

async function watched(
  gpu: Gpu,
  graph: Graph,
  masking: Masking,
  options: TrainOptions,
): Promise<{ readonly seen: Seen[]; readonly graph: Graph }> {
  const seen: Seen[] = [];
  const before = async (step: number, steps: number, trainer: Trainer): Promise<void> => {
    await masking.before(step, steps, trainer);
    const dense = new Map<string, HostTensor>();
    for (const name of masking.weights) dense.set(name, await trainer.dense(name));
    seen.push({ step, masks: new Map(masking.weights.map((n) => [n, trainer.mask(n)!])), dense });
  };
  const result = await train(gpu, graph, data, { ...options, masking: { ...masking, before } });
  return { seen, graph: result.graph };
}

const flags = (t: HostTensor): number[] => Array.from(t.data as Float32Array);

gpuTest(test, "rigl keeps every layer's sparsity, and what grows begins at zero", async (gpu) => {
  const { graph } = await prune(net, { method: "random", allocation: "erk", sparsity: 0.9, seed: 1 });
  const masking = riglMasking(
    contextOf(gpu, "rigl", { sparsity: 0.9, settings: { every: 5, end: 0.8 } }, graph),
  );
  const { seen, graph: trained } = await watched(gpu, graph, masking, { ...quick, track: ["gradient"] });
  const changes: number[] = [];
  for (const [k, { step, masks, dense }] of seen.entries()) {
    if (k === 0) continue;
    let moved = 0;
    for (const name of weights) {
      const [was, now] = [flags(seen[k - 1]!.masks.get(name)!), flags(masks.get(name)!)];
      assert.is(now.filter((m) => m !== 0).length, was.filter((m) => m !== 0).length);
      for (const [i, m] of now.entries()) {
        if (m === was[i]) continue;
        moved++;
        assert.is(dense.get(name)!.data[i], 0, `${name} ${i} at step ${step}`);
      }
    }
    if (moved > 0) changes.push(step);
  }
  assert.equal(changes, [5, 10]);
  assert.is(kept(trained) <= total - Math.round(0.9 * total), true);
  assert.ok(kept(trained) > 0.099 * total, "what grew has been trained");
});

gpuTest(
  test,
  "surgery goes by its thresholds, splices, and its weights stay dense underneath",
  async (gpu) => {
    const options = { sparsity: 0.6, settings: { gamma: 0, stop: 0.75 } };
    const masking = surgeryMasking(contextOf(gpu, "dynamic-network-surgery", options));
    assert.equal(
      masking.weights,
      weights.flatMap((w) => [w, w.replace("weight", "bias")]),
    );
    const thresholds = masking.settings["thresholds"] as readonly number[];
    const { seen } = await watched(gpu, net, masking, { ...quick, masks: "soft", rate: 0.2 });
    let [cut, spliced] = [0, 0];
    for (const [k, { step, masks, dense }] of seen.entries()) {
      for (const [i, name] of masking.weights.entries()) {
        const threshold = thresholds[Math.floor(i / 2)]!;
        const now = flags(masks.get(name)!);
        const was = k > 0 ? flags(seen[k - 1]!.masks.get(name)!) : now.map(() => 1);
        for (const [j, w] of (dense.get(name)!.data as Float32Array).entries()) {
          const want =
            step >= 12
              ? was[j]
              : was[j] !== 0
                ? +(Math.abs(w) > 0.9 * threshold)
                : +(Math.abs(w) > 1.1 * threshold);
          if (now[j] !== want) assert.unreachable(`${name} ${j} at step ${step}: ${now[j]}, not ${want}`);
          if (was[j] !== 0 && now[j] === 0) cut++;
          if (was[j] === 0 && now[j] !== 0) spliced++;
        }
      }
    }
    assert.is(seen.length, 16);
    // The first operation cuts the share that was asked for, biases counted.
    const first = masking.weights.flatMap((name) => flags(seen[0]!.masks.get(name)!));
    assert.ok(Math.abs(first.filter((m) => m === 0).length / first.length - 0.6) < 1e-4);
    assert.ok(cut > 0.6 * first.length && spliced > 0, `${cut} cut, ${spliced} spliced`);
  },
);

gpuTest(test, "the probability of surgery falls with the steps", async (gpu) => {
  const options = { settings: { c: 0, gamma: 1e9, power: 1 } };
  const masking = surgeryMasking(contextOf(gpu, "dynamic-network-surgery", options));
  const { seen } = await watched(gpu, net, masking, { ...quick, masks: "soft", epochs: 1 });
  for (const name of masking.weights) {
    for (const { masks } of seen) assert.is(masks.get(name), seen[0]!.masks.get(name), "only at step 0");
  }
});

const cases: readonly (readonly [string, RecipeOptions])[] = [
  ["rigl", { sparsity: 0.9, settings: { every: 4 } }],
  ["movement", { sparsity: 0.8 }],
  ["dynamic-network-surgery", { settings: { c: 0 } }],
];

for (const [name, options] of cases) {
  gpuTest(test, `${name} stopped in the middle resumes to the same net`, async (gpu) => {
    const saved: Checkpoint[] = [];
    const run = (more: TrainOptions): Promise<RecipeResult> =>
      runRecipe(gpu, net, data, name, { ...options, train: { ...quick, ...more } });
    const whole = await run({ onCheckpoint: (c) => void saved.push(c) });
    const again = await run({ resume: saved[0]! });
    for (const [weight, t] of whole.graph.weights) assert.equal(again.graph.weights.get(weight), t, weight);
    assert.equal([...again.graph.masks], [...whole.graph.masks]);
    const [step] = whole.record.steps.slice(-1);
    assert.ok(step?.kind === "train" && step.options["recipe"] === name);
    if (typeof options.sparsity === "number" && name === "movement")
      assert.is(kept(whole.graph), total - Math.round(total * options.sparsity));
  });
}

test.run();
