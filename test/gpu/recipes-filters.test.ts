import { suite } from "uvu";
import * as assert from "uvu/assert";
import { glyphs } from "../../src/data/glyphs.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { type FilterTraining, filterMasking, removalStep } from "../../src/recipes/filter-training.ts";
import { growingTraining, risen } from "../../src/recipes/greg.ts";
import { recipes, runRecipe, settingsOf } from "../../src/recipes/index.ts";
import type { RecipeContext, RecipeOptions } from "../../src/recipes/recipe.ts";
import { pruneInRounds } from "../../src/recipes/rounds.ts";
import { runPruning } from "../../src/recipes/run.ts";
import { softTraining } from "../../src/recipes/sfp.ts";
import { runReference } from "../../src/run/reference.ts";
import { type HostTensor, toNumbers } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import type { Checkpoint } from "../../src/train/checkpoint.ts";
import { train } from "../../src/train/train.ts";
import type { Trainer } from "../../src/train/trainer.ts";
import { assertClose } from "../support/close.ts";
import { fails } from "../support/error.ts";
import { gpuTest } from "../support/gpu.ts";
import { layers, noise } from "../support/prune-graphs.ts";

const test = suite("recipes that remove filters");
const data = glyphs("train", 240, 1);
/** 12 steps an epoch. */
const training = { epochs: 2, batch: 16, validation: 48, rate: 0.02 } as const;

/** Two strided convolutions of 6 and 8 filters, scaled so that they train. */
function net(): Graph {
  const l = layers("small", 2);
  const x = l.b.input("image", [null, 1, 28, 28]);
  const strides = { strides: [2, 2] };
  const a = l.relu("relu0", l.bn("bn0", l.conv("conv0", x, [6, 1, 3, 3], strides), 6));
  const b = l.relu("relu1", l.bn("bn1", l.conv("conv1", a, [8, 6, 3, 3], strides), 8));
  l.head(b, 8, 10);
  return l.b.build();
}
const graph = net();
const convs = ["conv0.weight", "conv1.weight"];
/** trunc(6 · 0.5) and trunc(8 · 0.5) filters stay. */
const half = [3, 4];

function contextOf(gpu: Gpu, name: string, options: RecipeOptions): RecipeContext {
  const recipe = recipes.find((r) => r.name === name)!;
  return { gpu, graph, data, options, setting: settingsOf(recipe, options.settings ?? {}) };
}

/** Trains with somebody looking on after every `before`. */
async function watched(
  context: RecipeContext,
  filters: FilterTraining,
  look: (step: number, trainer: Trainer) => Promise<void>,
  more: object = {},
): Promise<Graph> {
  const masking = filterMasking(context, filters);
  const before = async (step: number, total: number, trainer: Trainer): Promise<void> => {
    await masking.before(step, total, trainer);
    await look(step, trainer);
  };
  const result = await train(context.gpu, graph, data, {
    ...training,
    ...more,
    masking: { ...masking, before },
  });
  return result.graph;
}

/** Which filters hold nothing but zeros. */
function zeroFilters(t: HostTensor): number[] {
  const size = t.data.length / t.shape[0]!;
  const values = toNumbers(t);
  return Array.from({ length: t.shape[0]! }, (_, f) => f).filter((f) =>
    values.slice(f * size, (f + 1) * size).every((v) => v === 0),
  );
}

const widths = (g: Graph): number[] => convs.map((name) => g.weights.get(name)!.shape[0]!);

gpuTest(test, "sfp: filters become zero, go on learning, and the last choice goes for good", async (gpu) => {
  const context = contextOf(gpu, "sfp", { sparsity: 0.5, settings: { every: 5 } });
  const zeros: { step: number; filters: number[][] }[] = [];
  const result = await watched(context, softTraining(context), async (step, trainer) => {
    const filters = [];
    for (const name of convs) filters.push(zeroFilters(await trainer.session.read(name)));
    zeros.push({ step, filters });
  });
  for (const { step, filters } of zeros) {
    const pruned = (step > 0 && step % 5 === 0) || step === 23;
    // Between two prunings they have grown back: momentum and gradients are theirs still.
    const want = pruned ? [3, 4] : [0, 0];
    assert.equal(
      filters.map((f) => f.length),
      want,
      `step ${step}`,
    );
  }
  assert.equal(
    convs.map((name) => zeroFilters(result.weights.get(name)!)),
    zeros.at(-1)!.filters,
  );
  // Chosen by L2 norm, per layer.
  const { graph: small } = await runRecipe(gpu, graph, data, "sfp", {
    sparsity: 0.5,
    settings: { every: 5 },
    train: training,
  });
  assert.equal(widths(small), half);
});

gpuTest(test, "sfp prunes after every epoch unless told otherwise", async (gpu) => {
  const context = contextOf(gpu, "sfp", { sparsity: 0.5, train: training });
  const steps: number[] = [];
  await watched(context, softTraining(context), async (step, trainer) => {
    if (zeroFilters(await trainer.session.read("conv0.weight")).length > 0) steps.push(step);
  });
  assert.equal(steps, [12, 23]);
});

test("a penalty rises by equal steps to its ceiling", () => {
  const steps = Array.from({ length: 12 }, (_, x) => risen(x, 12, 4, 3));
  assertClose(steps, [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3], { rel: 1e-12 });
  assert.is(risen(0, 0, 4, 3), 3);
  assert.is(risen(11, 12, 5, 3), 3, "the last interval may be shorter");
  assert.is(removalStep(0.5, 24), 12);
  assert.is(removalStep(1, 24), 23);
});

gpuTest(
  test,
  "greg 1: a growing penalty on the filters of smallest L1 norm alone, which then go",
  async (gpu) => {
    const settings = { every: 4, ceiling: 8, end: 0.5 };
    const context = contextOf(gpu, "greg", { sparsity: 0.5, settings });
    const first = convs.map((name) => {
      const t = graph.weights.get(name)!;
      const size = t.data.length / t.shape[0]!;
      const norms = Array.from({ length: t.shape[0]! }, (_, f) =>
        toNumbers(t)
          .slice(f * size, (f + 1) * size)
          .reduce((s, v) => s + Math.abs(v), 0),
      );
      const order = norms.map((_, f) => f).sort((a, b) => norms[a]! - norms[b]!);
      return order.slice(0, order.length / 2).sort((a, b) => a - b);
    });
    const shrunk: number[][] = [];
    const result = await watched(
      context,
      growingTraining(context),
      async (step, trainer) => {
        for (const [k, name] of convs.entries()) {
          const factors = await trainer.penalty(name);
          const size = factors.data.length / factors.shape[0]!;
          const want = step >= 12 ? 0 : risen(step, 12, 4, 8);
          for (let i = 0; i < factors.data.length; i++) {
            const f = Math.floor(i / size);
            const expected = first[k]!.includes(f) ? want : 0;
            assertClose(
              [Number(factors.data[i])],
              [expected],
              { rel: 1e-6 },
              `step ${step}, ${name} filter ${f}`,
            );
          }
        }
        if (step === 11) {
          for (const [k, name] of convs.entries()) {
            const now = toNumbers(await trainer.session.read(name));
            const was = toNumbers(graph.weights.get(name)!);
            const size = now.length / graph.weights.get(name)!.shape[0]!;
            const norm = (v: number[], f: number): number => Math.hypot(...v.slice(f * size, (f + 1) * size));
            shrunk.push(first[k]!.map((f) => norm(now, f) / norm(was, f)));
          }
        }
      },
      { penalties: [...convs, "fc.weight"] },
    );
    assert.ok(
      shrunk.flat().every((r) => r < 0.5),
      `norms shrank to ${shrunk}`,
    );
    assert.equal(
      convs.map((name) => zeroFilters(result.weights.get(name)!)),
      first,
    );
    // Their normalisation went with them.
    assert.equal(zeroFilters(result.weights.get("bn1.weight")!), first[1]);
  },
);

gpuTest(test, "greg 2: first on everything, then on what it chooses", async (gpu) => {
  const settings = { version: 2, every: 3, pick: 0.25, picking: 0.6, ceiling: 4, end: 0.5 };
  const context = contextOf(gpu, "greg", { sparsity: 0.5, settings });
  const seen: string[] = [];
  const result = await watched(
    context,
    growingTraining(context),
    async (step, trainer) => {
      const factors = toNumbers(await trainer.penalty("conv1.weight"));
      const values = [...new Set(factors.map((v) => v.toFixed(3)))].sort();
      if (seen.at(-1) !== values.join(" ")) seen.push(values.join(" "));
      assert.is(values.length, step < 6 || step >= 12 ? 1 : 2, `step ${step}`);
    },
    { penalties: [...convs, "fc.weight"] },
  );
  assert.equal(seen, ["0.300", "0.600", "0.000 2.000", "0.000 4.000", "0.000"]);
  assert.equal(
    convs.map((name) => zeroFilters(result.weights.get(name)!).length),
    [3, 4],
  );
});

for (const [name, factor, end] of [
  ["ssl", "train/group-lasso", 0.5],
  ["slimming", "train/l1-scales", 0.5],
] as const) {
  gpuTest(
    test,
    `${name}: penalised, removed, trained on without; the smaller net is the masked one`,
    async (gpu) => {
      const kept: Checkpoint[] = [];
      const options = {
        sparsity: 0.5,
        scope: "layer",
        settings: { end, lambda: 0.02 },
        train: { ...training, onCheckpoint: (c: Checkpoint) => void kept.push(c) },
      } as const;
      const whole = await runRecipe(gpu, graph, data, name, options);
      assert.equal(widths(whole.graph), half);
      assert.is(whole.training.best.epoch, 2, "the first epoch ended before the filters went");
      const [first, last] = kept.map((c) => Number(c.snapshot.state.get(factor)!.data[0]));
      // The first checkpoint is from before step 12, at whose beginning the filters go.
      assert.ok(Math.abs(first! - 0.02) < 1e-6 && last === 0, `${first} ${last}`);
      const masked = await runRecipe(gpu, graph, data, name, { ...options, keepShape: true });
      assert.equal(widths(masked.graph), [6, 8]);
      const random = seeded(3);
      const image = noise([3, 1, 28, 28], random);
      const outputs = [whole, masked].map((r) =>
        toNumbers(Object.values(runReference(r.graph, { image }))[0]!),
      );
      assertClose(outputs[0]!, outputs[1]!, { rel: 1e-9, abs: 1e-9 });
      assert.equal(
        whole.record.steps.map((s) => s.kind),
        ["train", "compact"],
      );
      // Stopped in the middle, it goes on to the same net.
      const again = await runRecipe(gpu, graph, data, name, {
        ...options,
        train: { ...training, resume: kept[0]! },
      });
      for (const [weight, t] of whole.graph.weights) assert.equal(again.graph.weights.get(weight), t, weight);
    },
  );
}

gpuTest(test, "filters in rounds: every share is of the filters that there were at first", async (gpu) => {
  const options = { method: "taylor", sparsity: 0.5, scope: "layer", spacing: "linear", rounds: 3 } as const;
  const { graph: small, record } = await pruneInRounds(gpu, graph, data, {
    ...options,
    collect: { images: 32 },
  });
  assert.equal(widths(small), half);
  // trunc(6 · 5/6) = 5 stay, trunc(6 · 4/6) = 4, then 3; of eight 6, 5, 4.
  const gone = record.steps.map((s) =>
    s.kind === "prune" ? s.layers.map((l) => l.removed).slice(0, 2) : [],
  );
  assert.equal(gone, [
    [1, 2],
    [2, 3],
    [3, 4],
  ]);
  const trained = await runPruning(gpu, graph, data, {
    ...options,
    rounds: 2,
    train: { ...training, epochs: 1 },
  });
  assert.equal(widths(trained.graph), half);
  assert.is(trained.rounds.length, 2);
});

gpuTest(test, "penalties do what they are for before anything goes", async (gpu) => {
  // A large penalty and removal at the last step: what is left of norms and scales is smaller than without.
  const run = async (name: string, lambda: number): Promise<Graph> =>
    (
      await runRecipe(gpu, graph, data, name, {
        sparsity: 0,
        settings: { end: 1, lambda },
        train: training,
      })
    ).graph;
  const size = (g: Graph, name: string): number =>
    toNumbers(g.weights.get(name)!).reduce((s, v) => s + Math.abs(v), 0);
  const scales = [await run("slimming", 0.2), await run("slimming", 1e-12)].map((g) => size(g, "bn1.weight"));
  assert.ok(scales[0]! < 0.8 * scales[1]!, `scales ${scales}`);
  const filters = [await run("ssl", 1), await run("ssl", 1e-12)].map((g) => size(g, "conv1.weight"));
  assert.ok(filters[0]! < 0.9 * filters[1]!, `filters ${filters}`);
});

gpuTest(test, "what they cannot do is refused before anything is trained", async (gpu) => {
  for (const name of ["sfp", "greg", "ssl", "slimming"]) {
    await fails(
      () => runRecipe(gpu, graph, data, name, { train: training }),
      "E_PRUNE",
      /needs the sparsity/,
    );
    await fails(
      () => runRecipe(gpu, graph, data, name, { sparsity: 0.5, settings: { end: 2 } }),
      "E_INPUT",
      /from 0 to 1/,
    );
  }
  const lenet = layers("bare");
  const x = lenet.b.input("image", [null, 1, 28, 28]);
  lenet.head(lenet.relu("relu0", lenet.conv("conv0", x, [4, 1, 3, 3], {}, true)), 4, 10);
  const bare = lenet.b.build();
  const settings = { end: 1 };
  const never = { ...training, onEpoch: () => assert.unreachable("it trained") };
  const run = (more: RecipeOptions, net = graph): Promise<unknown> =>
    runRecipe(gpu, net, data, "slimming", { sparsity: 0.5, settings, train: never, ...more });
  await fails(() => run({}, bare), "E_PRUNE", /no BatchNormalization/);
  await fails(() => run({ granularity: "element" }), "E_PRUNE", /cannot prune by granularity element/);
  await fails(() => run({ recover: "bias" }), "E_PRUNE", /Leave recover out/);
  await fails(() => run({ rounds: 2 }), "E_PRUNE", /one training/);
  await fails(() => run({ sparsity: { nowhere: 0.5 } }), "E_PRUNE", /no prunable layer "nowhere"/);
});

test.run();
