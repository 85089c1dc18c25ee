import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Dataset, firstImages } from "../../src/data/dataset.ts";
import { glyphs } from "../../src/data/glyphs.ts";
import { subset } from "../../src/data/split.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { modelFromBytes, modelToBytes } from "../../src/io/model.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { preprocessingFor } from "../../src/nets/preprocessing.ts";
import { prune } from "../../src/prune/prune.ts";
import { compile } from "../../src/run/compile.ts";
import { evaluate } from "../../src/run/evaluate.ts";
import type { EpochResult } from "../../src/train/checkpoint.ts";
import type { TrainingProgress, TrainOptions } from "../../src/train/options.ts";
import { train } from "../../src/train/train.ts";
import { fails } from "../support/error.ts";
import { sameTensor } from "../support/files.ts";
import { gpuTest } from "../support/gpu.ts";

const training = suite("train");
const data = glyphs("train", 700, 1);
const few = firstImages(data, 96);
const lenet = buildNet("lenet300", { seed: 4 });
const three: TrainOptions = { epochs: 3, batch: 32, seed: 2 };
const quick: TrainOptions = { epochs: 1, batch: 16, seed: 2, rate: 0.05, schedule: { kind: "constant" } };

/** Every weight of both, bit by bit. */
function sameWeights(a: Graph, b: Graph): void {
  assert.equal([...a.weights.keys()], [...b.weights.keys()]);
  for (const [name, t] of a.weights) sameTensor(b.weights.get(name)!, t, name);
}

const floats = (graph: Graph, name: string): Float32Array => graph.weights.get(name)!.data as Float32Array;

function furthest(a: Graph, b: Graph): number {
  let most = 0;
  for (const [name, t] of a.weights) {
    if (t.dtype !== "f32") continue;
    const other = floats(b, name);
    for (const [i, v] of (t.data as Float32Array).entries()) most = Math.max(most, Math.abs(v - other[i]!));
  }
  return most;
}

/** The data set, and how often its labels were asked for. */
function watched(set: Dataset): { readonly set: Dataset; readonly asked: () => number } {
  let asked = 0;
  const looking = {
    ...set,
    get labels() {
      asked++;
      return set.labels;
    },
  };
  return { set: looking, asked: () => asked };
}

gpuTest(training, "what is reported is what the net that is given back scores", async (gpu) => {
  const test = watched(glyphs("test", 250, 1));
  const asked: number[] = [];
  const epochs: EpochResult[] = [];
  const progress: TrainingProgress[] = [];
  const result = await train(gpu, lenet, data, {
    ...three,
    test: test.set,
    onProgress: (p) => progress.push(p),
    onEpoch: (e, epoch) => {
      asked.push(test.asked());
      assert.is(epoch, epochs.push(e));
    },
  });
  assert.equal(asked, [0, 0, 0], "test labels were looked at during training");
  assert.ok(test.asked() > 0);
  assert.equal(result.epochs, epochs);
  const losses = epochs.map((e) => e.loss);
  assert.ok(losses[2]! < losses[1]! && losses[1]! < losses[0]!, String(losses));
  const validation = epochs.map((e) => e.validation!.top1);
  const best = validation.indexOf(Math.max(...validation));
  assert.equal(result.best, { ...epochs[best]!.validation!, epoch: best + 1 });
  assert.is(result.gap, result.train.top1 - result.test!.top1);
  assert.is(result.work.steps, 3 * Math.floor(630 / 32));

  // The same by other means: a session of its own, of the graph as a file would hold it.
  const again = modelFromBytes(modelToBytes(result.graph, "safetensors"), { name: "again.safetensors" });
  const session = await compile(gpu, again, { batch: 50 });
  const score = (set: Dataset) =>
    evaluate(session, set, preprocessingFor("lenet300", "glyphs"), { batch: 50 });
  const sets = [
    [result.train, subset(data, { from: 0, to: 630 })],
    [result.test!, test.set],
    [{ ...result.best, images: 70 }, subset(data, { from: 630, to: 700 })],
  ] as const;
  for (const [reported, set] of sets) {
    const { top1, loss, images } = await score(set);
    assert.is(reported.top1, top1);
    assert.is(reported.images, images);
    assert.ok(Math.abs(reported.loss - loss) < 1e-4 * loss, `${reported.loss} reported, ${loss} found`);
  }
  session.dispose();

  const last = progress.at(-1)!;
  assert.equal([last.epoch, last.epochs, last.step, last.steps], [3, 3, 19, 19]);
  assert.is(last.secondsLeft, 0);
  assert.is(last.loss, losses[2]);
  for (const p of progress) {
    assert.ok(p.imagesPerSecond > 0 && Number.isFinite(p.imagesPerSecond) && p.secondsLeft >= 0);
    assert.ok(p.loss > 0 && p.top1 >= 0 && p.top1 <= 1 && p.rate > 0);
  }
});

gpuTest(training, "the same seed gives the same bits in every weight, another seed does not", async (gpu) => {
  for (const net of [lenet, buildNet("glyphnet", { seed: 4 })]) {
    const set = firstImages(data, 48);
    const runs = [];
    for (const seed of [7, 7, 8]) runs.push(await train(gpu, net, set, { ...quick, seed }));
    sameWeights(runs[0]!.graph, runs[1]!.graph);
    assert.equal(runs[0]!.best, runs[1]!.best);
    assert.ok(furthest(runs[0]!.graph, runs[2]!.graph) > 1e-4);
    assert.is(runs[0]!.graph.metadata.get("secateur.training"), JSON.stringify(runs[0]!.manifest));
  }
});

gpuTest(training, "the net that was given is left as it was", async (gpu) => {
  const before = modelToBytes(lenet, "safetensors");
  await train(gpu, lenet, few, quick);
  assert.equal(modelToBytes(lenet, "safetensors"), before);
});

/** Indices at which a tensor is zero. */
const zerosOf = (values: ArrayLike<unknown>): number[] =>
  Array.from({ length: values.length }, (_, i) => i).filter((i) => Number(values[i]) === 0);

gpuTest(training, "a pruned net keeps its zeros, through either file format", async (gpu) => {
  const { graph } = await prune(lenet, { method: "magnitude", granularity: "element", sparsity: 0.8 });
  for (const masks of ["hold", "soft"] as const) {
    const trained = (await train(gpu, graph, few, { ...quick, masks })).graph;
    assert.equal([...trained.masks.keys()].sort(), [...graph.masks.keys()].sort());
    for (const format of ["safetensors", "onnx"] as const) {
      const read = modelFromBytes(modelToBytes(trained, format), { name: `again.${format}` });
      for (const [name, mask] of graph.masks) {
        assert.equal(zerosOf(floats(read, name)), zerosOf(mask.data), `${masks}, ${format}, ${name}`);
        sameTensor(read.masks.get(name)!, mask, name);
      }
      sameWeights(read, trained);
    }
    assert.ok(furthest(graph, trained) > 1e-4, "nothing was learned");
  }
});

gpuTest(
  training,
  "zeros without a mask are held only when asked for, and then masks go with the net",
  async (gpu) => {
    const { graph } = await prune(lenet, { method: "magnitude", granularity: "element", sparsity: 0.8 });
    const bare: Graph = { ...graph, masks: new Map() };
    const free = (await train(gpu, bare, few, quick)).graph;
    assert.ok(zerosOf(floats(free, "ip2.weight")).length < 0.5 * zerosOf(floats(bare, "ip2.weight")).length);
    const held = (await train(gpu, bare, few, { ...quick, maskZeros: true })).graph;
    for (const name of graph.masks.keys()) {
      assert.equal(zerosOf(floats(held, name)), zerosOf(floats(bare, name)), name);
      assert.equal(zerosOf(held.masks.get(name)!.data), zerosOf(floats(bare, name)), name);
    }
    // Biases of a new net are all zero, and must learn nevertheless.
    assert.ok(floats(held, "ip1.bias").some((v) => v !== 0));
  },
);

gpuTest(training, "a net with fewer filters trains, and no smaller one comes of it", async (gpu) => {
  const net = buildNet("glyphnet", { seed: 4 });
  const { graph } = await prune(net, { method: "magnitude", granularity: "filter", sparsity: 0.5 });
  const set = firstImages(data, 48);
  const result = await train(gpu, graph, set, { ...quick, epochs: 3 });
  for (const [name, t] of graph.weights) assert.equal(result.graph.weights.get(name)!.shape, t.shape, name);
  assert.ok(result.epochs[2]!.loss < result.epochs[0]!.loss);
  assert.ok(result.graph.weights.get("conv1.weight")!.shape[0]! < net.weights.get("conv1.weight")!.shape[0]!);
});

gpuTest(training, "a teacher that knows just what its student knows teaches it nothing", async (gpu) => {
  const plain = { ...quick, optimizer: { weightDecay: 0, nesterov: false } };
  const taught = async (graph: Graph, alpha: number): Promise<Graph> =>
    (await train(gpu, lenet, few, { ...plain, teacher: { graph, temperature: 3, alpha } })).graph;
  const alone = (await train(gpu, lenet, few, plain)).graph;
  const moved = furthest(lenet, alone);
  assert.ok(furthest(lenet, await taught(lenet, 1)) < 0.01 * moved);
  assert.ok(furthest(alone, await taught(lenet, 0)) < 0.01 * moved, "with alpha 0 the labels alone count");
  const other = buildNet("lenet5", { seed: 9 });
  assert.ok(furthest(alone, await taught(other, 0.9)) > 0.05 * moved);
});

gpuTest(
  training,
  "smoothed targets leave a loss of at least their entropy; augmentation changes images",
  async (gpu) => {
    const labelSmoothing = 0.5;
    const share = labelSmoothing / 10;
    const own = 1 - labelSmoothing + share;
    const entropy = -own * Math.log(own) - 9 * share * Math.log(share);
    const one = firstImages(data, 16);
    const many: TrainOptions = { ...quick, epochs: 30, validation: 0 };
    const smooth = await train(gpu, lenet, one, { ...many, labelSmoothing });
    const last = smooth.epochs.at(-1)!.loss;
    assert.ok(last > entropy && last < entropy + 0.2, `${last}, entropy ${entropy}`);
    // Learned by heart from sixteen images; those shifted in every epoch are harder.
    const sharp = await train(gpu, lenet, one, many);
    const shifted = await train(gpu, lenet, one, { ...many, augment: { pad: 3 } });
    assert.ok(sharp.epochs.at(-1)!.loss < 0.5 * shifted.epochs.at(-1)!.loss);
  },
);

gpuTest(training, "frozen weights stay; every other one moves", async (gpu) => {
  const frozen = ["ip1.weight", "ip2.bias"];
  const { graph } = await train(gpu, lenet, few, { ...quick, frozen });
  for (const [name, t] of lenet.weights) {
    const same = floats(graph, name).every((v, i) => v === t.data[i]);
    assert.is(same, frozen.includes(name), name);
  }
  const typo = train(gpu, lenet, few, { ...quick, frozen: ["ip1.wieght"] });
  await fails(() => typo, "E_INPUT", /frozen names "ip1\.wieght"/);
});

gpuTest(training, "Adam needs no rate, nor a word about Nesterov", async (gpu) => {
  for (const kind of ["adam", "adamw"] as const) {
    const result = await train(gpu, lenet, data, { epochs: 2, batch: 32, optimizer: { kind } });
    assert.ok(
      result.epochs[1]!.loss < 0.8 * result.epochs[0]!.loss,
      `${kind}: ${result.epochs.map((e) => e.loss)}`,
    );
    assert.ok(result.epochs[0]!.loss < 2.3);
  }
});

gpuTest(
  training,
  "no validation, fewer images than a batch, a single image, a set of one's own",
  async (gpu) => {
    const none = await train(gpu, lenet, few, { ...quick, epochs: 3, validation: 0 });
    assert.equal(none.best, { top1: none.epochs[2]!.top1, loss: none.epochs[2]!.loss, epoch: 3 });
    assert.is(none.epochs[0]!.validation, undefined);
    assert.is(none.gap, undefined);
    const small = await train(gpu, lenet, firstImages(data, 20), { ...quick, batch: 500 });
    assert.equal([small.manifest.batch, small.manifest.validation.images, small.work.steps], [18, 2, 1]);
    const one = await train(gpu, lenet, firstImages(data, 1), quick);
    assert.equal([one.train.images, one.manifest.validation.images], [1, 0]);
    const validation = glyphs("test", 30, 2);
    const given = await train(gpu, lenet, few, { ...quick, validation });
    assert.equal([given.manifest.data.images, given.manifest.validation.images], [96, 30]);
    assert.is(given.gap, given.train.top1 - given.best.top1);
  },
);

gpuTest(training, "what does not fit is refused before any step", async (gpu) => {
  const colour: Dataset = {
    name: "cifar10",
    classes: 10,
    shape: [3, 32, 32],
    images: new Uint8Array(20 * 3072),
    labels: new Uint8Array(20),
    length: 20,
  };
  const dozen = { ...glyphs("test", 20, 1), classes: 12 };
  const cases: readonly [string, Dataset, TrainOptions, RegExp][] = [
    ["data of another shape", colour, {}, /takes \[\?, 1, 28, 28\], but cifar10 has images of \[3, 32, 32\]/],
    ["validation of another shape", few, { validation: colour }, /cifar10 has images of/],
    ["test of another shape", few, { test: colour }, /cifar10 has images of/],
    ["test of more classes", few, { test: dozen }, /10 classes, but glyphs has 12/],
    ["an empty test", few, { test: firstImages(few, 0) }, /no images/],
    ["no data", firstImages(few, 0), { validation: 0 }, /leave none|no images/],
    [
      "a label beyond",
      { ...few, labels: few.labels.map((l, i) => (i === 5 ? 10 : l)) },
      {},
      /image 5 .* label 10/,
    ],
    ["half a validation image", few, { validation: 2.5 }, /2\.5/],
    ["a batch of none", few, { batch: 0 }, /batch is 0/],
    ["a seed too large", few, { seed: 2 ** 32 }, /seed is 4294967296/],
    ["smoothing of all", few, { labelSmoothing: 1 }, /labelSmoothing is 1/],
    ["padding beyond the image", few, { augment: { pad: 28 } }, /pad is 28/],
    [
      "a warm-up too long",
      few,
      { schedule: { kind: "cosine", warmup: { unit: "epochs", value: 9 } } },
      /warm-up of/,
    ],
    ["an unknown optimizer", few, { optimizer: { kind: "lion" as "sgd" } }, /"lion"; use sgd, adam or adamw/],
    ["Adam with Nesterov", few, { optimizer: { kind: "adam", nesterov: true } }, /nesterov belongs to sgd/],
    ["a teacher's weight", few, { teacher: { graph: lenet, temperature: 0, alpha: 1 } }, /temperature is 0/],
  ];
  for (const [name, set, options, words] of cases) {
    let steps = 0;
    const run = () => train(gpu, lenet, set, { ...quick, ...options, onProgress: () => steps++ });
    await fails(run, "E_INPUT", words).catch((error: unknown) => {
      throw new Error(`${name}: ${error}`);
    });
    assert.is(steps, 0, name);
  }
});

training.run();
