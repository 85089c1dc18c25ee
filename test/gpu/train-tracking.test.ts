import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { type HostTensor, tensor } from "../../src/tensor/host-tensor.ts";
import { makeTrainer, type Trainer, type TrainerOptions } from "../../src/train/trainer.ts";
import { gpuTest } from "../support/gpu.ts";
import { batch, maskedNet, residualNet, someBatch } from "../support/training-nets.ts";

const test = suite("what a training keeps track of");
const names = ["conv1", "conv2", "fc"];
const dense = residualNet(1);
const masked = maskedNet(dense, names, 0.5, 3);
const data = [someBatch(100), someBatch(101)];
const plain = { momentum: 0 };
const rate = 0.25;
const floats = (t: HostTensor): Float32Array => t.data as Float32Array;

async function trainer(gpu: Gpu, options: Partial<TrainerOptions>, graph = masked): Promise<Trainer> {
  return makeTrainer(gpu, graph, { batch, optimizer: plain, ...options });
}

function near(a: number, b: number, scale: number): void {
  assert.ok(Math.abs(a - b) <= 1e-4 * scale + 1e-7, `${a} is not ${b}`);
}

gpuTest(
  test,
  "the tracked gradient is what a plain step moved by, and movement that times the weight",
  async (gpu) => {
    const t = await trainer(gpu, { masks: "soft", track: ["gradient", "movement"] });
    // Something under the masks, so that movement there is not zero for want of a weight.
    for (const name of names) t.setDense(name, dense.weights.get(name)!);
    const sums = new Map(names.map((name) => [name, new Float64Array(dense.weights.get(name)!.data.length)]));
    const moved = new Map(
      names.map((name) => [name, new Float64Array(dense.weights.get(name)!.data.length)]),
    );
    for (const { images, targets } of data) {
      const before = new Map<string, Float32Array>();
      for (const name of names) before.set(name, floats(await t.dense(name)));
      await t.step(images, targets, rate);
      for (const name of names) {
        const after = floats(await t.dense(name));
        for (const [i, w] of before.get(name)!.entries()) {
          sums.get(name)![i]! += (w - after[i]!) / rate;
          moved.get(name)![i]! += ((w - after[i]!) / rate) * w;
        }
      }
    }
    for (const name of names) {
      const gradient = floats(await t.tracked(name, "gradient"));
      const movement = floats(await t.tracked(name, "movement", { reset: true }));
      const most = gradient.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
      const hidden = masked.masks.get(name)!.data;
      assert.ok(
        gradient.some((v, i) => hidden[i] === 0 && v !== 0),
        "also under the mask",
      );
      for (let i = 0; i < gradient.length; i++) {
        near(gradient[i]!, sums.get(name)![i]!, most);
        near(movement[i]!, moved.get(name)![i]!, most);
      }
      assert.ok(
        floats(await t.tracked(name, "movement")).every((v) => v === 0),
        "reset",
      );
      assert.equal(floats(await t.tracked(name, "gradient")), gradient, "not reset");
    }
    t.dispose();
  },
);

gpuTest(test, "held masks track the dense gradient too", async (gpu) => {
  const soft = await trainer(gpu, { masks: "soft", track: ["gradient"] });
  const hold = await trainer(gpu, { masks: "hold", track: ["gradient"] });
  for (const t of [soft, hold]) await t.step(data[0]!.images, data[0]!.targets, rate);
  for (const name of names) {
    const [a, b] = [await soft.tracked(name, "gradient"), await hold.tracked(name, "gradient")].map(floats);
    const most = a!.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
    for (let i = 0; i < a!.length; i++) near(a![i]!, b![i]!, most);
  }
  soft.dispose();
  hold.dispose();
});

gpuTest(
  test,
  "a gate lets no gradient through where the mask is 0, and moves the rest as soft masks do",
  async (gpu) => {
    const gate = await trainer(gpu, { masks: "gate" });
    const soft = await trainer(gpu, { masks: "soft" });
    for (const t of [gate, soft]) {
      for (const name of names) t.setDense(name, dense.weights.get(name)!);
      await t.step(data[0]!.images, data[0]!.targets, rate);
    }
    for (const name of names) {
      const start = floats(dense.weights.get(name)!);
      const [a, b] = [floats(await gate.dense(name)), floats(await soft.dense(name))];
      const hidden = masked.masks.get(name)!.data;
      for (let i = 0; i < a.length; i++) {
        if (hidden[i] === 0) assert.is(a[i], start[i]);
        else near(a[i]!, b[i]!, 1);
      }
      assert.ok(a.some((v, i) => v !== start[i]) && b.some((v, i) => hidden[i] === 0 && v !== start[i]));
    }
    gate.dispose();
    soft.dispose();
  },
);

gpuTest(
  test,
  "a penalty pulls each element by its own factor, on top of the gradient, clipped or not",
  async (gpu) => {
    for (const clipNorm of [undefined, 0.05]) {
      const optimizer = { momentum: 0, ...(clipNorm !== undefined && { clipNorm }) };
      const free = await trainer(gpu, { optimizer }, dense);
      const pulled = await trainer(gpu, { optimizer, penalties: ["conv2"] }, dense);
      const start = floats(dense.weights.get("conv2")!);
      const factors = start.map((_, i) => (i % 3 === 0 ? 0.5 : 0));
      pulled.setPenalty("conv2", tensor(factors, dense.weights.get("conv2")!.shape));
      for (const t of [free, pulled]) await t.step(data[0]!.images, data[0]!.targets, rate);
      const [a, b] = [
        floats((await free.values()).get("conv2")!),
        floats((await pulled.values()).get("conv2")!),
      ];
      for (const [i, w] of start.entries()) near(a[i]! - b[i]!, rate * factors[i]! * w, 0.05);
      free.dispose();
      pulled.dispose();
    }
  },
);

gpuTest(test, "a weight without a mask gets one of ones where it is asked for", async (gpu) => {
  const t = await trainer(gpu, { masked: ["conv2"] }, dense);
  assert.ok(floats(t.mask("conv2")!).every((v) => v === 1));
  assert.is(t.mask("conv1"), undefined);
  await t.step(data[0]!.images, data[0]!.targets, rate);
  assert.equal([...(await t.graph()).masks.keys()], ["conv2"]);
  t.dispose();
});

test.run();
