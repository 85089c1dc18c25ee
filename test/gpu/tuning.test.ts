import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openGpuInNode } from "../../src/gpu/dawn.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { graphBuilder } from "../../src/graph/builder.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { saveModel } from "../../src/io/files.ts";
import { writeNpy } from "../../src/io/npy.ts";
import { columnsPlaces } from "../../src/plan/columns-place.ts";
import { fieldOf, weightFor } from "../../src/plan/contenders.ts";
import { assignLayouts } from "../../src/plan/layouts.ts";
import { race, tuning } from "../../src/plan/measure.ts";
import { type Plan, parsePlan, planToJson } from "../../src/plan/plan.ts";
import { simplify } from "../../src/plan/simplify.ts";
import type { TuningStore } from "../../src/plan/tuning.ts";
import { compile } from "../../src/run/compile.ts";
import { type HostTensor, tensor } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import { sizeOf } from "../../src/tensor/shape.ts";
import { secateurIn } from "../support/command-line.ts";
import { fails } from "../support/error.ts";
import { gpuTest } from "../support/gpu.ts";

const test = suite("tuning");

const dir = mkdtempSync(join(tmpdir(), "secateur-tuning-"));
const at = (name: string): string => join(dir, name);

const random = seeded(5);
/** Values of which only the share `density` is not zero. */
const values = (shape: number[], density = 1): HostTensor =>
  tensor(
    Float32Array.from({ length: sizeOf(shape) }, () =>
      random.uniform() < density ? 0.1 + random.uniform() : 0,
    ),
    shape,
  );

/**
 * Two equal dense convolutions; a third that is told from them by the halo of its output; the one that costs most; and a
 * sparse product.
 */
function net(): Graph {
  const b = graphBuilder("small");
  let x = b.input("image", [null, 8, 6, 6]);
  const conv = (name: string, rows: number, k: number): string =>
    b.node(
      "Conv",
      [x, b.weight(`${name}.weight`, values([rows, 8, k, k]))],
      { pads: [k >> 1, k >> 1, k >> 1, k >> 1] },
      { name },
    );
  x = conv("first", 8, 1);
  x = conv("second", 8, 1);
  x = conv("third", 8, 1);
  x = conv("large", 16, 3);
  x = b.node("GlobalAveragePool", [x]);
  x = b.node("Flatten", [x]);
  x = b.node("Gemm", [x, b.weight("last.weight", values([16, 4], 0.2))], {}, { name: "last" });
  b.output(x, [null, 4]);
  return b.build();
}

const graph = net();
/** Measuring layouts against each other is another test's business: test/gpu/activation-layouts. */
const measured = { plan: "measured", activations: "batch-innermost" } as const;
const image = values([2, 8, 6, 6]);
const kernelsOf = ({ layers }: Plan): string[] => layers.map((l) => `${l.format} ${l.kernel}`);

/** A store in memory that counts. */
function countingStore(): TuningStore & { readonly texts: Map<string, string>; writes: number } {
  const texts = new Map<string, string>();
  return {
    texts,
    writes: 0,
    read: async (name) => texts.get(name),
    async write(name, text) {
      this.writes++;
      texts.set(name, text);
    },
  };
}

async function onFreshGpu<T>(work: (gpu: Gpu) => Promise<T>): Promise<T> {
  const gpu = await openGpuInNode({ label: "a fresh GPU" });
  try {
    return await work(gpu);
  } finally {
    gpu.dispose();
  }
}

gpuTest(test, "what one Gpu measured, the next one knows: no race is run again", async () => {
  const store = countingStore();
  const order: string[] = [];
  const cold = await onFreshGpu(async (gpu) => {
    const onProgress = (_done: number, _total: number, what: string): number => order.push(what);
    const s = await compile(gpu, graph, { ...measured, batch: 2, tuning: store, onProgress });
    await s.verify({ image }, { tolerance: 1e-4 });
    return parsePlan(planToJson(s.plan));
  });
  // The equal layers are one race, the other dense ones one each, the sparse one two: dense variants, then all.
  assert.equal({ ...cold.tuning, seconds: 0 }, { races: 5, now: 5, before: 0, skipped: 0, seconds: 0 });
  assert.ok(cold.tuning!.seconds > 0);
  assert.equal(new Set(order), new Set(["large", "first", "third", "last"]));
  assert.is(order[0], "large", "what costs most comes first");
  assert.is(store.writes, 1);
  const by = new Map(cold.layers.map((l) => [l.layer, l]));
  assert.is(by.get("second")!.kernel, by.get("first")!.kernel);
  assert.match(
    by.get("first")!.reason,
    /^fastest of \d+, dense: nothing to skip, rank \d+ by the cost model$/,
  );
  assert.match(by.get("second")!.reason, /^as first: fastest of /);
  assert.match(by.get("last")!.reason, /(faster than dense|the best sparse, [\w-]+, )/);
  for (const { candidates, format, kernel } of cold.layers) {
    const chosen = candidates.find((c) => c.format === format && c.kernel === kernel)!;
    assert.ok(chosen.ms! > 0 && chosen.samples! > 0 && chosen.estimate! >= 0);
  }

  const warm = await onFreshGpu(async (gpu) => {
    const s = await compile(gpu, graph, { ...measured, batch: 2, tuning: store });
    assert.match(s.plan.toString(), /5 known from before\n/);
    await s.verify({ image }, { tolerance: 1e-4 });
    const other = await compile(gpu, graph, { ...measured, batch: 8, tuning: store });
    assert.ok(other.plan.tuning!.races > 0, "another batch is another shape");
    return s.plan;
  });
  assert.equal(warm.tuning, { races: 0, now: 0, before: 5, skipped: 0, seconds: 0 });
  assert.equal(kernelsOf(warm), kernelsOf(cold));
  assert.equal(
    warm.layers.map((l) => l.candidates),
    cold.layers.map((l) => l.candidates),
    "with the same numbers",
  );
  for (const { reason } of warm.layers) assert.match(reason, /^measured before: /);
});

gpuTest(test, "sessions on one Gpu share what they measure, without any store", async () => {
  await onFreshGpu(async (gpu) => {
    const first = await compile(gpu, graph, { ...measured, batch: 2 });
    const second = await compile(gpu, graph, { ...measured, batch: 2 });
    assert.is(first.plan.tuning!.races, 5);
    assert.is(second.plan.tuning!.races, 0);
  });
});

gpuTest(
  test,
  "without time nothing is measured: the cost model decides, and the plan says so",
  async (gpu) => {
    const store = countingStore();
    const none = await compile(gpu, graph, { ...measured, batch: 2, budget: 0, tuning: store });
    const estimated = await compile(gpu, graph, { ...measured, plan: "estimated", batch: 2 });
    assert.equal(none.plan.tuning, { races: 0, now: 0, before: 0, skipped: 5, seconds: 0 });
    assert.equal(kernelsOf(none.plan), kernelsOf(estimated.plan));
    for (const { reason, candidates } of none.plan.layers) {
      assert.match(
        reason,
        /^not measured: the budget of 0 s was used up; cheapest of \d+ by the cost model$/,
      );
      assert.ok(candidates.every((c) => c.ms === undefined && c.estimate !== undefined));
    }
    assert.match(none.plan.toString(), /; 5 left to the cost model\n/);
    assert.is(store.writes, 0);
    await none.verify({ image }, { tolerance: 1e-4 });

    const all = await compile(gpu, graph, { ...measured, batch: 2, budget: 100, tuning: store });
    assert.is(all.plan.tuning!.skipped, 0);
    const known = await compile(gpu, graph, { ...measured, batch: 2, budget: 0, tuning: store });
    assert.is(known.plan.tuning!.before, 5, "what is known costs no time");
    // One session's budget is one, however many shapes it meets.
    const spent = await compile(gpu, graph, { ...measured, batch: 2, budget: 0, tuning: store });
    await spent.run({ image: values([3, 8, 6, 6]) });
    assert.is(spent.plan.tuning!.skipped, 5);
  },
);

gpuTest(test, "a race that its deadline cuts short tells of the contenders that it reached", async (gpu) => {
  const program = simplify(graph, new Map([["image", [2, 8, 6, 6]]]), new Map(), new Set());
  const [place] = columnsPlaces(program, assignLayouts(program)).values();
  const field = fieldOf(place!, { software: true, maxInvocations: 256, subgroup: 0 });
  const contenders = field.dense.map((ranked) => ({ ranked, weight: weightFor(place!) }));
  assert.is(contenders.length, 6);
  /** How a race to the deadline 100 goes when the clock shows these times, the last one from then on. */
  const cut = async (...clock: number[]): Promise<string[]> => {
    const now = (): number => (clock.length > 1 ? clock.shift()! : clock[0]!);
    const results = await race(gpu, place!, contenders, {
      ...tuning,
      rounds: 4,
      drop: 1e9,
      deadline: 100,
      now,
    });
    assert.equal(
      results.map((r) => r.contender),
      contenders,
    );
    return results.map(({ state, times }) => `${state} ${times.length}`);
  };
  const late = (n: number): string[] => Array.from({ length: n }, () => "late 0");
  // The clock is read at the start, before each four contenders, and before each contender.
  assert.equal(await cut(0, 50), late(6), "half of the time is gone before the first");
  assert.equal(await cut(0, 0, 0, 0, 60), ["timed 4", "timed 4", ...late(4)]);
  // Two are reached; then it is read before the next four would enter, before each one's sizing, at the first round's start, and before each sample.
  assert.equal(await cut(0, 0, 0, 0, 60, 60, 60, 60, 60, 60, 100), late(6), "within the first round");
  assert.equal(await cut(0, 0, 0, 0, 60, 60, 60, 60, 60, 60, 60, 60, 100), [
    "timed 2",
    "timed 1",
    ...late(4),
  ]);
  assert.equal(
    await cut(0),
    contenders.map(() => "timed 4"),
  );
});

gpuTest(test, "a budget that bounds nothing, or is no time, is refused", async (gpu) => {
  await fails(() => compile(gpu, graph, { batch: 2, budget: 1 }), "E_INPUT", /plan is "estimated"/);
  await fails(() => compile(gpu, graph, { ...measured, batch: 2, budget: -1 }), "E_INPUT", /budget is -1/);
});

gpuTest(test, "a store that fails costs a warning, not the compile", async (gpu) => {
  const warnings: string[] = [];
  const tuning: TuningStore = {
    read: () => Promise.reject(new Error("no reading")),
    write: () => Promise.reject(new Error("no writing")),
    warn: (message) => warnings.push(message),
  };
  const s = await compile(gpu, graph, { ...measured, batch: 2, tuning });
  assert.is(s.plan.tuning!.now, 5);
  assert.match(warnings.join("\n"), /no reading[\s\S]*no writing/);
});

gpuTest(test, "a session tells what a run costs beside the GPU, compiling left out", async (gpu) => {
  const s = await compile(gpu, graph, { batch: 2 });
  assert.is(s.overhead(), undefined);
  for (let i = 0; i < 3; i++) await s.run({ image });
  const { samples, median, p10 } = s.overhead()!;
  assert.is(samples, 3);
  assert.ok(p10 > 0 && median < 1000);
  await s.run({ image: values([3, 8, 6, 6]) });
  assert.is(s.overhead(), undefined, "the only run at this shape compiled");
  await s.run({ image: values([3, 8, 6, 6]) });
  assert.is(s.overhead()!.samples, 1);
  await s.run({ image });
  assert.is(s.overhead()!.samples, 4);
});

gpuTest(test, "the command line: cold, warm in a second process, and without the cache", async () => {
  await saveModel(graph, at("small.onnx"));
  writeFileSync(at("x.npy"), writeNpy(values([1, 8, 6, 6])));
  const folder = at("cache");
  const secateur = (...args: string[]): string => {
    const run = secateurIn({ SECATEUR_TUNING_CACHE: folder }, ...args);
    assert.is(run.status, 0, run.err);
    return run.out;
  };
  const infer = (...more: string[]): Plan => {
    const args = ["run", at("small.onnx"), "--input", `image=${at("x.npy")}`, "-o", at("out")];
    secateur(...args, "--plan", "measured", "--json", at("run.json"), ...more);
    return (JSON.parse(readFileSync(at("run.json"), "utf8")) as { plan: Plan }).plan;
  };
  const cold = infer();
  assert.is(cold.tuning!.races, 5);
  const file = join(folder, `${cold.adapter}.json`);
  const text = readFileSync(file, "utf8");
  const warm = infer();
  assert.equal(warm.tuning, { races: 0, now: 0, before: 5, skipped: 0, seconds: 0 });
  assert.equal(kernelsOf(warm), kernelsOf(cold));
  assert.is(infer("--no-tuning-cache", "--budget", "0").tuning!.skipped, 5);
  assert.is(readFileSync(file, "utf8"), text);
  assert.match(secateur("doctor", "--json", at("d.json")), /tuning cache {4}\S+cache \(1 file, /);
  const { tuning: kept } = JSON.parse(readFileSync(at("d.json"), "utf8"));
  assert.equal(kept, { folder, files: 1, bytes: statSync(file).size });
});

test.after(() => rmSync(dir, { recursive: true, force: true }));

test.run();
