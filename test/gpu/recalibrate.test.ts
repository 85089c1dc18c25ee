import { suite } from "uvu";
import * as assert from "uvu/assert";
import { firstImages, preprocess } from "../../src/data/dataset.ts";
import { glyphs } from "../../src/data/glyphs.ts";
import { subset } from "../../src/data/split.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { type Graph, makeGraph, withWeights } from "../../src/graph/graph.ts";
import { modelToBytes } from "../../src/io/model.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { preprocessingFor } from "../../src/nets/preprocessing.ts";
import { prune } from "../../src/prune/prune.ts";
import { compile } from "../../src/run/compile.ts";
import { evaluate } from "../../src/run/evaluate.ts";
import { runReference } from "../../src/run/reference.ts";
import { type HostTensor, toNumbers } from "../../src/tensor/host-tensor.ts";
import { recalibrate } from "../../src/train/recalibrate.ts";
import { fails } from "../support/error.ts";
import { sameTensor } from "../support/files.ts";
import { gpuTest } from "../support/gpu.ts";

const recalibrating = suite("recalibrate");
const net = buildNet("glyphnet");
const preprocessing = preprocessingFor("glyphnet", "glyphs");
const data = glyphs("train", 300, 3);

const isStatistic = (name: string): boolean => /running_(mean|var)$/.test(name);

/** The net with its running statistics changed, entry by entry. */
const changed = (graph: Graph, by: (v: number, name: string) => number): Graph =>
  withWeights(
    graph,
    new Map(
      [...graph.weights]
        .filter(([name]) => isStatistic(name))
        .map(([name, t]) => [name, { ...t, data: (t.data as Float32Array).map((v) => by(v, name)) }]),
    ),
  );

const spoilt = changed(net, (v, name) => (name.endsWith("var") ? 6 * v : 0.5 - v));

async function accuracy(gpu: Gpu, graph: Graph): Promise<number> {
  const session = await compile(gpu, graph, { batch: 50 });
  const { top1 } = await evaluate(session, glyphs("test", 200, 1), preprocessing, { batch: 50 });
  session.dispose();
  return top1;
}

function near(actual: HostTensor, wanted: readonly number[], tolerance: number, what: string): void {
  assert.is(actual.data.length, wanted.length);
  const scale = Math.max(...wanted.map(Math.abs));
  for (const [i, v] of wanted.entries())
    assert.ok(
      Math.abs(Number(actual.data[i]) - v) <= tolerance * scale,
      `${what}[${i}] is ${actual.data[i]}, not ${v}`,
    );
}

gpuTest(recalibrating, "wrong statistics cost accuracy, which comes back", async (gpu) => {
  const before = modelToBytes(spoilt, "safetensors");
  const right = await accuracy(gpu, net);
  const wrong = await accuracy(gpu, spoilt);
  assert.ok(right > 0.9 && wrong < right - 0.2, `${right} before, ${wrong} spoilt`);
  const again = await recalibrate(gpu, spoilt, data, { images: 300, batch: 60 });
  const found = await accuracy(gpu, again);
  assert.ok(found >= right - 0.03, `${found} after, ${right} before`);
  assert.equal(modelToBytes(spoilt, "safetensors"), before, "the net that was given has changed");
  for (const [name, t] of spoilt.weights)
    if (!isStatistic(name)) sameTensor(again.weights.get(name)!, t, name);
  assert.equal([...again.metadata], [...spoilt.metadata]);
});

gpuTest(
  recalibrating,
  "the first layer's mean and variance are those over all images, in double precision",
  async (gpu) => {
    const node = net.nodes.find((n) => n.op === "BatchNormalization")!;
    const [x, , , meanName, varianceName] = node.inputs as [string, string, string, string, string];
    const before = makeGraph({
      ...net,
      nodes: net.nodes.slice(0, net.nodes.indexOf(node)),
      outputs: [{ name: x, dtype: "f32", shape: [] }],
      masks: new Map(),
    });
    // 45 images asked for make 4 batches of 10; the last five fill none.
    const done: string[] = [];
    const again = await recalibrate(gpu, spoilt, data, {
      images: 45,
      batch: 10,
      onProgress: (at, total) => done.push(`${at}/${total}`),
    });
    assert.equal(done, ["10/40", "20/40", "30/40", "40/40"]);
    const image = preprocess(data, 0, 40, preprocessing);
    const input = runReference(before, { image })[x]!;
    const [, channels, height, width] = input.shape as [number, number, number, number];
    const plane = height * width;
    const values = toNumbers(input);
    const of = (c: number): number[] =>
      Array.from({ length: 40 * plane }, (_, i) => {
        const n = Math.floor(i / plane);
        return values[(n * channels + c) * plane + (i % plane)]!;
      });
    const average = (v: readonly number[]): number => v.reduce((sum, a) => sum + a, 0) / v.length;
    const means = Array.from({ length: channels }, (_, c) => average(of(c)));
    const variances = means.map((mean, c) => average(of(c).map((v) => (v - mean) ** 2)));
    near(again.weights.get(meanName)!, means, 1e-4, meanName);
    near(again.weights.get(varianceName)!, variances, 1e-4, varianceName);
  },
);

gpuTest(recalibrating, "nothing depends on the statistics of before, labels, or the run", async (gpu) => {
  const options = { images: 40, batch: 20 };
  const one = await recalibrate(gpu, net, data, options);
  const two = await recalibrate(gpu, spoilt, { ...data, labels: new Uint8Array(300) }, options);
  for (const [name, t] of one.weights) sameTensor(two.weights.get(name)!, t, name);
});

gpuTest(
  recalibrating,
  "a pruned net keeps masks and zeros; one with fewer channels has fewer statistics",
  async (gpu) => {
    for (const granularity of ["element", "filter"] as const) {
      const { graph } = await prune(net, { method: "magnitude", granularity, sparsity: 0.5 });
      const again = await recalibrate(gpu, graph, data, { images: 40, batch: 20 });
      for (const [name, t] of graph.weights) {
        const now = again.weights.get(name)!;
        assert.equal(now.shape, t.shape, name);
        if (!isStatistic(name)) sameTensor(now, t, name);
        else assert.ok((now.data as Float32Array).every(Number.isFinite), name);
      }
      assert.equal([...again.masks.keys()], [...graph.masks.keys()]);
    }
  },
);

gpuTest(recalibrating, "nets and images that do not fit are refused", async (gpu) => {
  const lenet = buildNet("lenet300", { seed: 1 });
  await fails(() => recalibrate(gpu, lenet, data), "E_INPUT", /"lenet300" has no BatchNormalization/);
  await fails(() => recalibrate(gpu, buildNet("resnet20", { seed: 1 }), data), "E_INPUT", /3, 32, 32/);
  for (const images of [0, 1]) {
    const few = firstImages(data, images);
    await fails(() => recalibrate(gpu, net, few), "E_INPUT", new RegExp(`has ${images} images`));
    await fails(() => recalibrate(gpu, net, data, { images }), "E_INPUT", /images is/);
  }
  await fails(() => recalibrate(gpu, net, data, { batch: 1 }), "E_INPUT", /batch is 1/);
  const two = await recalibrate(gpu, net, subset(data, { from: 0, to: 2 }));
  for (const [name, t] of two.weights)
    if (isStatistic(name)) assert.ok((t.data as Float32Array).every(Number.isFinite), name);
});

recalibrating.run();
