import { suite } from "uvu";
import * as assert from "uvu/assert";
import { batchesOf } from "../../src/data/batches.ts";
import { glyphs } from "../../src/data/glyphs.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { prune } from "../../src/prune/prune.ts";
import { makeTrainer } from "../../src/train/trainer.ts";
import { gpuTest } from "../support/gpu.ts";

const test = suite("masks through a long training");

gpuTest(test, "a thousand momentum steps leave every masked weight and velocity at zero", async (gpu) => {
  const net = buildNet("lenet300", { seed: 1 });
  const { graph } = await prune(net, { method: "magnitude", granularity: "element", sparsity: 0.9 });
  const preprocessing = { scale: 1 / 256, mean: [0], std: [1] };
  const batches = batchesOf(glyphs("train", 1000, 1), { batch: 16, seed: 1, preprocessing });
  const trainer = await makeTrainer(gpu, graph, {
    batch: 16,
    optimizer: { momentum: 0.9, weightDecay: 5e-4 },
  });
  for (let i = 0; i < 1000; i++) {
    const { images, targets } = batches.get(Math.floor(i / batches.stepsPerEpoch), i % batches.stepsPerEpoch);
    await trainer.step(images, targets, 0.05);
  }
  const { state } = await trainer.snapshot();
  let held = 0;
  for (const [name, mask] of graph.masks) {
    const [weight, velocity] = [state.get(name)!.data, state.get(`${name}/velocity`)!.data];
    for (const [i, kept] of Array.from(mask.data as Uint8Array).entries()) {
      if (kept !== 0) continue;
      held++;
      if (weight[i] !== 0 || velocity[i] !== 0)
        assert.unreachable(`${name}[${i}]: weight ${weight[i]}, velocity ${velocity[i]}`);
    }
  }
  assert.is(held, 239_580);
  assert.ok((await trainer.metrics()).loss < 2, "and the rest has learned");
  trainer.dispose();
});

test.run();
