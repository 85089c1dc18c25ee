import { suite } from "uvu";
import * as assert from "uvu/assert";
import { glyphs } from "../../src/data/glyphs.ts";
import { subset } from "../../src/data/split.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import type { TuningStore } from "../../src/plan/tuning.ts";
import { prune } from "../../src/prune/prune.ts";
import { compile } from "../../src/run/compile.ts";
import { evaluate } from "../../src/run/evaluate.ts";
import { preprocessingOf } from "../../src/run/preprocessing.ts";
import type { Sensitivity } from "../../src/sensitivity/curve.ts";
import { parseSensitivity } from "../../src/sensitivity/curve.ts";
import { latenciesOf, layerLatency } from "../../src/sensitivity/latency.ts";
import { sensitivity } from "../../src/sensitivity/scan.ts";
import { fails } from "../support/error.ts";
import { gpuTest } from "../support/gpu.ts";

const test = suite("sensitivity scan");
const net = buildNet("glyphnet");
/** Few layers, for what is timed. */
const small = buildNet("lenet5", { seed: 1 });
const data = glyphs("train", 120, 1);
const shown = subset(data, { from: 70, to: 120 });

/** The slow way: a graph of its own, compiled as it stands. */
async function scored(gpu: Gpu, graph: Graph): Promise<{ top1: number; loss: number }> {
  const session = await compile(gpu, graph, { batch: 25 });
  try {
    return await evaluate(session, shown, preprocessingOf(net, data), { batch: 25 });
  } finally {
    session.dispose();
  }
}

for (const granularity of ["element", "filter"]) {
  gpuTest(test, `${granularity}: each point is what the pruned net scores by itself`, async (gpu) => {
    const shares = [0.5, 0.9];
    const scan = await sensitivity(gpu, net, data, { granularity, shares, images: 50, batch: 20 });
    const whole = await scored(gpu, net);
    assert.is(scan.dense.top1, whole.top1);
    assert.ok(scan.layers.length >= (granularity === "filter" ? 4 : 10), `${scan.layers.length} layers`);
    for (const [i, { layer, layers, points }] of scan.layers.entries()) {
      assert.is(points.length, 2, layer);
      // Both shares in turn: every net of the slow way is compiled.
      for (const { share, top1, loss, removed } of points.filter((_, k) => k === i % 2)) {
        const sparsity = Object.fromEntries(layers.map((name) => [name, share]));
        const pruned = await prune(net, { method: "magnitude", granularity, sparsity });
        const step = pruned.record.steps.at(-1)!;
        assert.ok(step.kind === "prune");
        assert.is(
          removed,
          step.layers.reduce((n, l) => n + l.removed, 0),
        );
        const alone = await scored(gpu, pruned.graph);
        assert.is(top1, alone.top1, `${layer} at ${share}`);
        assert.ok(
          Math.abs(loss - alone.loss) <= 1e-4 * Math.max(1, alone.loss),
          `${layer} at ${share}: loss ${loss}, not ${alone.loss}`,
        );
      }
    }
  });
}

gpuTest(test, "stopped in the middle, it goes on with the layer it had come to", async (gpu) => {
  const options = { shares: [0.8], images: 20 };
  const whole = await sensitivity(gpu, net, data, options);
  const stop = new AbortController();
  let saved: Sensitivity | undefined;
  await fails(
    () =>
      sensitivity(gpu, net, data, {
        ...options,
        signal: stop.signal,
        onLayer: (soFar) => {
          saved = parseSensitivity(JSON.stringify(soFar));
          if (soFar.layers.length === 4) stop.abort();
        },
      }),
    "E_ABORTED",
  );
  assert.is(saved!.layers.length, 4);
  const scanned: string[] = [];
  const again = await sensitivity(gpu, net, data, {
    ...options,
    resume: saved!,
    onProgress: (_, __, layer) => scanned.push(layer),
  });
  assert.equal(again, whole);
  assert.is(scanned.length, whole.layers.length - 4);
  await fails(
    () => sensitivity(gpu, net, data, { ...options, shares: [0.7], resume: saved! }),
    "E_INPUT",
    /shares is \[0.7\]/,
  );
  await fails(
    () => sensitivity(gpu, buildNet("glyphnet", { seed: 3 }), data, { ...options, resume: saved! }),
    "E_INPUT",
    /model/,
  );
});

gpuTest(test, "no point compiles a pipeline, and few layers cut the graph anew", async (gpu) => {
  await sensitivity(gpu, net, data, { shares: [0.5], images: 20 });
  const { pipelines, buffers } = gpu.stats();
  await sensitivity(gpu, net, data, { shares: [0.6, 0.7], images: 20 });
  assert.is(gpu.stats().pipelines, pipelines);
  assert.is(gpu.stats().buffers, buffers, "nothing is left behind");
});

gpuTest(test, "N:M and shares out of range are refused", async (gpu) => {
  await fails(() => sensitivity(gpu, net, data, { granularity: "2:4" }), "E_INPUT", /one share/);
  await fails(() => sensitivity(gpu, net, data, { shares: [0.5, 1] }), "E_INPUT", /0.5, 1/);
  await fails(() => sensitivity(gpu, net, data, { skip: ["nothing"] }), "E_PRUNE", /nothing/);
});

function memory(): TuningStore & { readonly texts: Map<string, string> } {
  const texts = new Map<string, string>();
  return {
    texts,
    read: async (name) => texts.get(name),
    write: async (name, text) => void texts.set(name, text),
  };
}

gpuTest(test, "latency: every layer at every share, known the second time", async (gpu) => {
  const store = memory();
  const options = { shares: [0.9], batch: 4, tuning: store };
  const table = await layerLatency(gpu, small, options);
  const [text] = [...store.texts.values()];
  assert.ok(text!.length > 100);
  assert.is(table.units.length, 4);
  for (const { unit, points } of table.units) {
    assert.is(points.length, 1, unit.name);
    const [point] = points;
    assert.is(point!.effects.length, 1, "a layer changes nothing but itself");
    assert.ok(
      point!.effects[0]!.factor > 0 && point!.effects[0]!.factor <= 1,
      "dense is among the candidates",
    );
    assert.is(table.layers[point!.effects[0]!.layer]!.layer, unit.name);
  }
  const started = performance.now();
  const again = await layerLatency(gpu, small, options);
  assert.equal(latenciesOf(again), latenciesOf(table));
  assert.ok(performance.now() - started < 10_000);
});

gpuTest(
  test,
  "latency of filters: the layers that make the channels and those that read them",
  async (gpu) => {
    const table = await layerLatency(gpu, small, {
      granularity: "filter",
      shares: [0.5],
      batch: 4,
      tuning: memory(),
    });
    const names = (effects: readonly { readonly layer: number }[]): string[] =>
      effects.map((e) => table.layers[e.layer]!.layer);
    const block = table.units.find(({ unit }) => unit.layers.length === 1)!;
    const touched = names(block.points[0]!.effects);
    assert.ok(touched.includes(block.unit.name) && touched.length === 2, touched.join(" "));
    for (const { unit, points } of table.units) {
      for (const layer of unit.layers) assert.ok(names(points[0]!.effects).includes(layer.name), layer.name);
    }
  },
);

test.run();
