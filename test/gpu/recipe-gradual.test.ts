import { suite } from "uvu";
import * as assert from "uvu/assert";
import { glyphs } from "../../src/data/glyphs.ts";
import { nonzeros } from "../../src/graph/statistics.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { cubic, gradualMasking, isUpdate, phaseOf } from "../../src/recipes/gradual.ts";
import { recipes, runRecipe, settingsOf } from "../../src/recipes/index.ts";
import type { Checkpoint } from "../../src/train/checkpoint.ts";
import { train } from "../../src/train/train.ts";
import type { Trainer } from "../../src/train/trainer.ts";
import { fails } from "../support/error.ts";
import { gpuTest } from "../support/gpu.ts";

const test = suite("gradual pruning");
const data = glyphs("train", 400, 1);
const net = buildNet("lenet300", { seed: 4 });
const gradual = recipes.find((r) => r.name === "gradual")!;

test("the cubic schedule has the published values", () => {
  assert.is(cubic(0), 0);
  assert.is(cubic(0.5), 0.875);
  assert.is(cubic(1), 1);
  // Sparsity 0.875 after half of 0 to 1; 0.6328125 = 0.875 · (1 - 0.75³) + … of a quarter: 1 - 27/64.
  assert.is(cubic(0.25), 1 - 27 / 64);
  assert.is(cubic(2), 1);
});

test("updates come at the interval asked for and always at the end", () => {
  const setting = settingsOf(gradual, { begin: 0.1, end: 0.5, every: 15 });
  const phase = phaseOf(setting, 100);
  assert.equal(phase, { begin: 10, end: 50, every: 15 });
  const at = Array.from({ length: 100 }, (_, t) => t).filter((t) => isUpdate(phase, t));
  assert.equal(at, [10, 25, 40, 50]);
  assert.equal(phaseOf(settingsOf(gradual, {}), 1), { begin: 0, end: 0, every: 1 });
});

gpuTest(test, "sparsity follows the schedule, masks only grow, and the end is exact", async (gpu) => {
  const seen: { step: number; kept: number; masks: Uint8Array }[] = [];
  const setting = settingsOf(gradual, { end: 0.8, every: 6 });
  const options = { sparsity: 0.9, train: { epochs: 2, batch: 16, validation: 80, rate: 0.02 } };
  const masking = gradualMasking({ gpu, graph: net, data, options, setting });
  assert.equal(masking.weights, ["ip1.weight", "ip2.weight", "ip3.weight"]);
  const original = masking.before;
  const watched = async (step: number, total: number, trainer: Trainer): Promise<void> => {
    await original(step, total, trainer);
    if (!isUpdate(phaseOf(setting, total), step)) return;
    const masks = masking.weights.flatMap((w) => [...(trainer.mask(w)!.data as Float32Array)]);
    seen.push({ step, kept: masks.filter((m) => m !== 0).length, masks: Uint8Array.from(masks) });
  };
  const result = await train(gpu, net, data, { ...options.train, masking: { ...masking, before: watched } });
  // The smallest of every layer, as published.
  const sizes = [235_200, 30_000, 1000];
  const left = (share: number): number => sizes.reduce((n, size) => n + size - Math.round(size * share), 0);
  assert.equal(
    seen.map((s) => s.step),
    [0, 6, 12, 18, 24, 30, 32],
  );
  for (const { step, kept } of seen) {
    const share = step === 32 ? 1 : 1 - (1 - step / 32) ** 3;
    assert.is(kept, left(0.9 * share));
  }
  for (const [i, { masks }] of seen.entries()) {
    if (i > 0) assert.ok(masks.every((m, k) => m <= seen[i - 1]!.masks[k]!));
  }
  const kept = masking.weights.reduce((n, w) => n + nonzeros(result.graph.weights.get(w)!), 0);
  assert.is(kept, left(0.9));
  assert.is(result.best.epoch, 2, "the first epoch ended before the masks were final");
});

gpuTest(
  test,
  "the recipe records its training, and stopped in the middle it resumes to the same masks",
  async (gpu) => {
    const settings = { epochs: 2, batch: 32, validation: 80, rate: 0.02 };
    const whole = await runRecipe(gpu, net, data, "gradual", {
      sparsity: { ip1: 0.8, ip2: 0.5 },
      settings: { every: 4 },
      train: settings,
    });
    const [step] = whole.record.steps;
    assert.ok(step?.kind === "train" && step.options["recipe"] === "gradual");
    assert.is(nonzeros(whole.graph.weights.get("ip1.weight")!), 235_200 * 0.2);
    assert.is(nonzeros(whole.graph.weights.get("ip2.weight")!), 15_000);
    assert.not.ok(whole.graph.masks.has("ip3.weight"));
    const kept: Checkpoint[] = [];
    await runRecipe(gpu, net, data, "gradual", {
      sparsity: { ip1: 0.8, ip2: 0.5 },
      settings: { every: 4 },
      train: { ...settings, onCheckpoint: (c) => void kept.push(c) },
    });
    const again = await runRecipe(gpu, net, data, "gradual", {
      sparsity: { ip1: 0.8, ip2: 0.5 },
      settings: { every: 4 },
      train: { ...settings, resume: kept[0]! },
    });
    for (const [name, w] of whole.graph.weights) assert.equal(again.graph.weights.get(name), w, name);
    assert.equal([...again.graph.masks], [...whole.graph.masks]);
  },
);

gpuTest(test, "what a recipe does not know or cannot do is refused", async (gpu) => {
  const run = (options: object, name = "gradual"): Promise<unknown> =>
    runRecipe(gpu, net, data, name, options);
  await fails(() => run({}, "magnitude"), "E_INPUT", /no method that trains.*gradual/);
  await fails(() => run({}), "E_PRUNE", /sparsity/);
  await fails(() => run({ sparsity: 0.5, settings: { speed: 1 } }), "E_INPUT", /begin, end, every/);
  await fails(() => run({ sparsity: 0.5, settings: { end: 2 } }), "E_INPUT", /from 0 to 1/);
  await fails(() => run({ sparsity: 0.5, skip: ["ip1", "ip2", "ip3"] }), "E_INPUT", /no layer/);
});

test.run();
