import { suite } from "uvu";
import * as assert from "uvu/assert";
import { glyphs } from "../../src/data/glyphs.ts";
import { subset } from "../../src/data/split.ts";
import { SecateurError } from "../../src/errors.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { prune } from "../../src/prune/prune.ts";
import { seeded } from "../../src/tensor/random.ts";
import { type Checkpoint, readCheckpoint, writeCheckpoint } from "../../src/train/checkpoint.ts";
import type { TrainOptions } from "../../src/train/options.ts";
import { recalibrate } from "../../src/train/recalibrate.ts";
import { train } from "../../src/train/train.ts";
import { sameTensor } from "../support/files.ts";
import { gpuTest } from "../support/gpu.ts";

const test = suite("the training loop");
const data = glyphs("train", 400, 1);
const quick: TrainOptions = { epochs: 3, batch: 32, seed: 1, rate: 0.1 };

const code = (e: unknown): string | undefined => (e instanceof SecateurError ? e.code : undefined);

async function refused(work: Promise<unknown>, expected: string, words: RegExp): Promise<void> {
  const error = await work.then(
    () => undefined,
    (e: unknown) => e,
  );
  assert.is(code(error), expected, String(error));
  assert.match((error as Error).message, words);
}

const sameWeights = (a: Graph, b: Graph): void => {
  for (const [name, t] of a.weights) sameTensor(b.weights.get(name)!, t, name);
};

gpuTest(
  test,
  "loss falls, validation chooses the best epoch, the test images are measured once",
  async (gpu) => {
    const epochs: number[] = [];
    const result = await train(gpu, buildNet("lenet300", { seed: 1 }), data, {
      ...quick,
      test: glyphs("test", 100, 1),
      onEpoch: (_, epoch) => epochs.push(epoch),
    });
    assert.equal(epochs, [1, 2, 3]);
    assert.ok(result.epochs[2]!.loss < 0.6 * result.epochs[0]!.loss);
    const best = Math.max(...result.epochs.map((e) => e.validation!.top1));
    assert.is(result.best.top1, best);
    assert.is(result.best.epoch, 1 + result.epochs.findIndex((e) => e.validation!.top1 === best));
    assert.is(result.manifest.validation.images, 40);
    assert.is(result.manifest.data.images, 360);
    assert.is(result.test!.images, 100);
    assert.is(result.gap, result.train.top1 - result.test!.top1);
    assert.ok(result.graph.metadata.get("secateur.training")!.includes('"seed":1'));
  },
);

for (const kind of ["sgd", "adam"] as const) {
  for (const arch of ["lenet300", "glyphnet"] as const) {
    gpuTest(
      test,
      `${arch} by ${kind}: stopped anywhere and resumed, the same weights as in one go`,
      async (gpu) => {
        const few = arch === "glyphnet" ? subset(data, { from: 0, to: 96 }) : data;
        const options: TrainOptions = {
          ...quick,
          epochs: 2,
          batch: arch === "glyphnet" ? 16 : 32,
          rate: kind === "sgd" ? 0.05 : 0.002,
          optimizer: { kind, nesterov: false },
        };
        const net = buildNet(arch, { seed: 3 });
        const whole = await train(gpu, net, few, options);
        const again = await train(gpu, net, few, options);
        sameWeights(again.graph, whole.graph);
        const stop = new AbortController();
        const kept: Uint8Array[] = [];
        const stopped = train(gpu, net, few, {
          ...options,
          signal: stop.signal,
          onProgress: (p) => p.epoch === 2 && stop.abort(),
          checkpointSeconds: 1e-9,
          onCheckpoint: (c) => {
            kept.push(writeCheckpoint(c));
            if (c.progress.epoch === 1) stop.abort();
          },
        });
        await refused(stopped, "E_ABORTED", /Resume from its checkpoint/);
        const last = readCheckpoint(kept.at(-1)!);
        assert.is(last.progress.epoch, 1);
        assert.is(last.progress.step, 1, "it was stopped within an epoch");
        const resumed = await train(gpu, net, few, { ...options, resume: last });
        sameWeights(resumed.graph, whole.graph);
        assert.equal(
          resumed.epochs.map((e) => e.validation),
          whole.epochs.map((e) => e.validation),
        );
        const other = train(gpu, net, few, { ...options, rate: 0.5, resume: last });
        await refused(other, "E_INPUT", /rate is 0\.5, but the checkpoint has/);
      },
    );
  }
}

gpuTest(test, "another seed gives other weights", async (gpu) => {
  const net = buildNet("lenet300", { seed: 1 });
  const one = await train(gpu, net, data, { ...quick, epochs: 1 });
  const two = await train(gpu, net, data, { ...quick, epochs: 1, seed: 2 });
  assert.is.not(one.graph.weights.get("ip3.weight")!.data[0], two.graph.weights.get("ip3.weight")!.data[0]);
});

gpuTest(test, "divergence stops with the last good checkpoint behind it", async (gpu) => {
  const kept: Checkpoint[] = [];
  const run = train(gpu, buildNet("lenet300", { seed: 1 }), data, {
    ...quick,
    rate: 1e6,
    onCheckpoint: (c) => void kept.push(c),
  });
  await refused(run, "E_DIVERGED", /Use a lower learning rate than 1000000/);
  for (const c of kept)
    for (const t of c.snapshot.state.values()) assert.ok((t.data as Float32Array).every(Number.isFinite));
});

gpuTest(test, "what was pruned stays pruned, in every form", async (gpu) => {
  const net = buildNet("lenet300", { seed: 1 });
  for (const granularity of ["element", "block8x1"] as const) {
    const { graph } = await prune(net, { method: "magnitude", granularity, sparsity: 0.8 });
    const result = await train(gpu, graph, data, { ...quick, optimizer: { weightDecay: 1e-3 } });
    for (const [name, mask] of graph.masks) {
      const weight = result.graph.weights.get(name)!;
      mask.data.forEach((kept, i) => {
        if (!kept) assert.is(weight.data[i], 0, `${name}[${i}]`);
      });
      sameTensor(result.graph.masks.get(name)!, mask, name);
    }
    const bare = { ...graph, masks: new Map() };
    const zeros = await train(gpu, bare, data, { ...quick, epochs: 1, maskZeros: true });
    for (const [name, w] of graph.weights)
      if (w.shape.length > 1)
        w.data.forEach((v, i) => {
          if (Number(v) === 0) assert.is(zeros.graph.weights.get(name)!.data[i], 0, `${name}[${i}]`);
        });
  }
  const { graph: smaller } = await prune(net, { method: "magnitude", granularity: "filter", sparsity: 0.5 });
  const result = await train(gpu, smaller, data, quick);
  assert.equal(result.graph.weights.get("ip1.weight")!.shape, smaller.weights.get("ip1.weight")!.shape);
  assert.ok(result.epochs[2]!.loss < result.epochs[0]!.loss);
});

gpuTest(test, "a teacher, smoothing and augmentation each change what is learned", async (gpu) => {
  const net = buildNet("lenet300", { seed: 1 });
  const teacher = { graph: buildNet("lenet5", { seed: 2 }), temperature: 4, alpha: 0.5 };
  const last = async (more: TrainOptions): Promise<number> =>
    Number(
      (await train(gpu, net, data, { ...quick, epochs: 1, ...more })).graph.weights.get("ip3.weight")!
        .data[0],
    );
  const values = [
    await last({}),
    await last({ teacher }),
    await last({ labelSmoothing: 0.1 }),
    await last({ augment: { pad: 2 } }),
  ];
  assert.is(new Set(values).size, 4, String(values));
});

gpuTest(
  test,
  "without validation the last epoch counts; fewer images than a batch make one batch",
  async (gpu) => {
    const few = subset(data, { from: 0, to: 20 });
    const result = await train(gpu, buildNet("lenet300", { seed: 1 }), few, { ...quick, validation: 0 });
    assert.is(result.best.epoch, 3);
    assert.is(result.manifest.batch, 20);
    assert.is(result.gap, undefined);
  },
);

gpuTest(test, "data and settings that do not fit are refused at once", async (gpu) => {
  const net = buildNet("lenet300", { seed: 1 });
  const cifar = buildNet("resnet20", { seed: 1 });
  await refused(train(gpu, cifar, data, quick), "E_INPUT", /takes \[.*3, 32, 32\], but glyphs has/);
  await refused(train(gpu, net, { ...data, classes: 12 }, quick), "E_INPUT", /10 classes, but glyphs has 12/);
  await refused(train(gpu, net, data, { ...quick, epochs: 0 }), "E_INPUT", /epochs/);
  await refused(train(gpu, net, data, { ...quick, rate: -1 }), "E_INPUT", /rate is -1/);
  await refused(train(gpu, net, data, { ...quick, optimizer: { momentum: 2 } }), "E_INPUT", /momentum is 2/);
  await refused(train(gpu, net, data, { ...quick, validation: 400 }), "E_INPUT", /400/);
});

gpuTest(test, "a damaged checkpoint is refused by an error of ours", async (gpu) => {
  let bytes = new Uint8Array();
  await train(gpu, buildNet("lenet300", { seed: 1 }), subset(data, { from: 0, to: 40 }), {
    ...quick,
    epochs: 1,
    onCheckpoint: (c) => {
      bytes = writeCheckpoint(c) as Uint8Array<ArrayBuffer>;
    },
  });
  readCheckpoint(bytes);
  const random = seeded(4);
  let faults = 0;
  for (let i = 0; i < 60; i++) {
    const damaged = i % 2 ? bytes.slice(0, random.below(bytes.length)) : bytes.slice();
    if (i % 2 === 0) damaged[random.below(4000)] = random.below(256);
    try {
      readCheckpoint(damaged);
    } catch (e) {
      assert.ok(e instanceof SecateurError, String(e));
      faults++;
    }
  }
  assert.ok(faults >= 30, `${faults} faults`);
});

gpuTest(test, "recalibration brings back what wrong statistics cost, without labels", async (gpu) => {
  const net = buildNet("glyphnet");
  const spoilt = new Map(net.weights);
  for (const [name, t] of net.weights) {
    const factor = name.endsWith("running_var") ? 4 : name.endsWith("running_mean") ? -1 : undefined;
    if (factor) spoilt.set(name, { ...t, data: (t.data as Float32Array).map((v) => v * factor) });
  }
  const blank = { ...data, labels: new Uint8Array(data.length) };
  const right = await recalibrate(gpu, { ...net, weights: spoilt }, blank, { images: 400, batch: 100 });
  for (const name of ["bn1.running_mean", "bn1.running_var"]) {
    const [was, is] = [net.weights.get(name)!, right.weights.get(name)!].map((t) => t.data as Float32Array);
    const scale = Math.max(...was!.map(Math.abs));
    for (let i = 0; i < was!.length; i++)
      assert.ok(Math.abs(was![i]! - is![i]!) < 0.15 * scale, `${name}[${i}]: ${is![i]}, was ${was![i]}`);
  }
  await refused(
    recalibrate(gpu, buildNet("lenet300", { seed: 1 }), data),
    "E_INPUT",
    /no BatchNormalization whose statistics/,
  );
});

test.run();
