import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { type Graph, makeGraph, withWeights } from "../../src/graph/graph.ts";
import { type HostTensor, tensor } from "../../src/tensor/host-tensor.ts";
import { momentsOf } from "../../src/train/optimizer.ts";
import { maskName, metrics, momentName } from "../../src/train/step-graph.ts";
import { makeTrainer, type Snapshot, type Trainer, type TrainerOptions } from "../../src/train/trainer.ts";
import { fails } from "../support/error.ts";
import { gpuTest } from "../support/gpu.ts";
import { values } from "../support/kernel-cases.ts";
import { numbersOf } from "../support/run-lowering.ts";
import {
  batch,
  maskedNet,
  mixedNet,
  type ReferenceTraining,
  referenceTraining,
  residualNet,
  someBatch,
  tiedNet,
} from "../support/training-nets.ts";

const test = suite("training steps");
const data = Array.from({ length: 6 }, (_, i) => someBatch(100 + i));
const floats = (t: HostTensor | undefined): Float32Array => t!.data as Float32Array;

/** Rates differ from step to step, as a schedule's do. */
const rates = [0.05, 0.03, 0.02, 0.05, 0.01, 0.04];

async function steps(trainer: Trainer, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) await trainer.step(data[i]!.images, data[i]!.targets, rates[i]!);
}

/** Everything that steps change is near what the reference has, to a part in 10,000 of the tensor's greatest element. */
async function assertState(trainer: Trainer, reference: ReferenceTraining, what: string): Promise<void> {
  for (const [name, expected] of reference.state) {
    const actual = numbersOf(await trainer.session.read(name));
    const wanted = expected.data as Float64Array;
    const greatest = wanted.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    for (const [i, w] of wanted.entries()) {
      const near = Math.abs(actual[i]! - w) <= 1e-4 * greatest;
      assert.ok(
        near,
        `${what}: ${name}[${i}] is ${actual[i]}, ${w} in double precision (of up to ${greatest})`,
      );
    }
  }
}

/** Three steps on the device and in double precision. */
async function compareSteps(
  gpu: Gpu,
  graph: Graph,
  options: Omit<TrainerOptions, "batch">,
  what: string,
): Promise<{ reference: ReferenceTraining; snapshot: Snapshot }> {
  const trainer = await makeTrainer(gpu, graph, { batch, ...options });
  try {
    const reference = referenceTraining(trainer.stepGraph, trainer.optimizer);
    await steps(trainer, 0, 3);
    for (let i = 0; i < 3; i++) reference.step(data[i]!.images, data[i]!.targets, rates[i]!);
    await assertState(trainer, reference, what);
    const snapshot = await trainer.snapshot();
    const [loss, right] = floats(reference.state.get(metrics));
    const measured = await trainer.metrics();
    assert.is(measured.images, 3 * batch);
    assert.ok(Math.abs(measured.loss - loss! / (3 * batch)) < 1e-5 * measured.loss);
    assert.ok(Math.abs(measured.top1 - right! / (3 * batch)) < 1e-6);
    return { reference, snapshot };
  } finally {
    trainer.dispose();
  }
}

const prunable = { residual: ["conv1", "conv2", "fc"], mixed: ["depthwise", "strided", "up", "head"] };
const residual = residualNet(1);
const mixed = mixedNet(2);
const residualMasked = maskedNet(residual, prunable.residual, 0.5, 3);
const mixedMasked = maskedNet(mixed, prunable.mixed, 0.5, 4);
const teacher = { graph: mixedNet(5), temperature: 3, alpha: 0.7 };

/** Small enough that every step is clipped. */
const clipNorm = 0.05;

const cases: readonly (readonly [string, Graph, Omit<TrainerOptions, "batch">])[] = [
  ["sgd", residual, {}],
  ["sgd, no momentum, decay, clipped", mixed, { optimizer: { momentum: 0, weightDecay: 0.1, clipNorm } }],
  ["nesterov, l1, clipped", residual, { optimizer: { nesterov: true, l1: 0.02, clipNorm } }],
  [
    "nesterov, group lasso, decay",
    mixed,
    { optimizer: { nesterov: true, groupLasso: 0.05, weightDecay: 0.1 } },
  ],
  ["adam, decay", residual, { optimizer: { kind: "adam", weightDecay: 0.1, beta2: 0.9 } }],
  [
    "adam, group lasso, clipped",
    mixed,
    { optimizer: { kind: "adam", epsilon: 1e-3, groupLasso: 0.05, clipNorm } },
  ],
  ["adamw, decay", residual, { optimizer: { kind: "adamw", epsilon: 1e-4, weightDecay: 0.5 } }],
  ["adamw, decay, l1", mixed, { optimizer: { kind: "adamw", weightDecay: 0.5, l1: 0.01 } }],
  ["masks held, sgd", residualMasked, { optimizer: { weightDecay: 0.1 } }],
  ["masks held, adam", mixedMasked, { optimizer: { kind: "adam", epsilon: 1e-4, l1: 0.02 } }],
  ["soft masks, nesterov", mixedMasked, { masks: "soft", optimizer: { nesterov: true, l1: 0.02 } }],
  [
    "soft masks, adamw",
    residualMasked,
    { masks: "soft", optimizer: { kind: "adamw", epsilon: 1e-3, weightDecay: 0.2, groupLasso: 0.02 } },
  ],
  ["tied weight, flat images", tiedNet(6), { optimizer: { nesterov: true, groupLasso: 0.05, l1: 0.01 } }],
  ["penalised scales, clipped", residual, { optimizer: { l1Scales: 0.3, groupLasso: 0.05, clipNorm } }],
  ["teacher", residual, { teacher, optimizer: { weightDecay: 0.01 } }],
  [
    "teacher alone, soft masks, clipped",
    mixedMasked,
    { teacher: { ...teacher, alpha: 1 }, masks: "soft", optimizer: { clipNorm } },
  ],
  ["frozen", residual, { frozen: ["conv1", "norm2.scale", "fc.bias"], optimizer: { weightDecay: 0.1 } }],
  ["norms frozen", residual, { freezeNorms: true, optimizer: { kind: "adam", epsilon: 1e-3 } }],
];

for (const [name, graph, options] of cases) {
  gpuTest(test, `three steps: ${name}`, async (gpu) => {
    const { reference, snapshot } = await compareSteps(gpu, graph, options, name);
    const clipped = options.optimizer?.clipNorm !== undefined;
    assert.is(reference.factors.length, clipped ? 3 : 0);
    assert.ok(
      reference.factors.every((f) => f > 0 && f < 1),
      `factors ${reference.factors}`,
    );
    // Every learned value that is not frozen has moved.
    for (const [weight, { dtype, shape, data: before }] of graph.weights) {
      if (dtype !== "f32" || shape.length === 0) continue;
      const statistic = /mean|variance/.test(weight);
      const still = options.frozen?.includes(weight) || (statistic && options.freezeNorms);
      const after = snapshot.state.get(weight);
      if (still) assert.is(after, undefined, `${weight} is a variable`);
      else
        assert.ok(
          (before as Float32Array).some((w, i) => w !== floats(after)[i]),
          `${weight} stayed`,
        );
    }
  });
}

gpuTest(test, "held weights and moments are exactly zero after fifty steps, whatever decays", async (gpu) => {
  const kinds = [
    { kind: "sgd" },
    { kind: "sgd", nesterov: true },
    { kind: "adam" },
    { kind: "adamw" },
  ] as const;
  for (const [i, kind] of kinds.entries()) {
    for (const penalties of [{}, { weightDecay: 0.1, l1: 0.01, groupLasso: 0.01 }]) {
      const [graph, names] =
        (i % 2 === 0) === "l1" in penalties
          ? [residualMasked, prunable.residual]
          : [mixedMasked, prunable.mixed];
      const trainer = await makeTrainer(gpu, graph, { batch, optimizer: { ...kind, ...penalties } });
      for (let t = 0; t < 50; t++) await trainer.step(data[t % 6]!.images, data[t % 6]!.targets, 0.01);
      for (const name of names) {
        const mask = graph.masks.get(name)!.data;
        const moments = momentsOf(trainer.optimizer).map((moment) => momentName(name, moment));
        for (const held of [name, ...moments]) {
          const now = floats(await trainer.session.read(held));
          const bad = now.findIndex((w, at) => (mask[at] === 0 ? w !== 0 : !Number.isFinite(w)));
          assert.is(bad, -1, `${JSON.stringify(trainer.optimizer)}: ${held}[${bad}] is ${now[bad]}`);
          assert.ok(now.some((w) => w !== 0));
        }
      }
      trainer.dispose();
    }
  }
});

gpuTest(test, "the penalty on scales adds rate · λ · sign to them and to nothing else", async (gpu) => {
  const signs = floats(residual.weights.get("norm1.scale")).map((v, i) => (i % 2 === 0 ? v : -v));
  const signed = withWeights(residual, new Map([["norm1.scale", tensor(signs, [6])]]));
  const after = async (l1Scales: number): Promise<Map<string, HostTensor>> => {
    const trainer = await makeTrainer(gpu, signed, { batch, optimizer: { momentum: 0, l1Scales } });
    await steps(trainer, 0, 1);
    const values = await trainer.values();
    trainer.dispose();
    return values;
  };
  const [plain, penalised] = [await after(0), await after(0.25)];
  for (const [name, t] of plain) {
    const before = signed.weights.get(name)!;
    const scale = /^norm\d\.scale$/.test(name);
    for (let i = 0; i < t.data.length; i++) {
      const pull = scale ? rates[0]! * 0.25 * Math.sign(Number(before.data[i])) : 0;
      const moved = floats(t)[i]! - floats(penalised.get(name))[i]!;
      assert.ok(Math.abs(moved - pull) < 1e-6, `${name}[${i}] is ${moved} lower, not ${pull}`);
    }
  }
});

gpuTest(test, "zeros are held where asked, without a mask in the graph", async (gpu) => {
  const graph = makeGraph({ ...residualMasked, masks: new Map() });
  const trainer = await makeTrainer(gpu, graph, { batch, maskZeros: true });
  await steps(trainer, 0, 3);
  const trained = await trainer.graph();
  assert.equal([...trained.masks.keys()].sort(), [...prunable.residual].sort());
  for (const [name, mask] of residualMasked.masks) {
    assert.equal(trained.masks.get(name), mask);
    const now = floats(trained.weights.get(name));
    assert.ok(now.every((w, i) => (w === 0) === (mask.data[i] === 0)));
  }
  trainer.dispose();
});

const flipped = (mask: HostTensor): HostTensor =>
  tensor(
    Float32Array.from(mask.data as Uint8Array, (kept) => (kept === 0 ? 1 : 0)),
    mask.shape,
  );

for (const masks of ["hold", "soft"] as const) {
  gpuTest(test, `a mask that is replaced holds from the next step on: ${masks}`, async (gpu) => {
    const trainer = await makeTrainer(gpu, residualMasked, { batch, masks, optimizer: { weightDecay: 0.1 } });
    const reference = referenceTraining(trainer.stepGraph, trainer.optimizer);
    const mask = residualMasked.masks.get("conv2")!;
    for (let i = 0; i < 4; i++) {
      if (i === 2) {
        trainer.setMask("conv2", flipped(mask));
        reference.set(maskName("conv2"), flipped(mask));
      }
      await steps(trainer, i, i + 1);
      reference.step(data[i]!.images, data[i]!.targets, rates[i]!);
      await assertState(trainer, reference, `step ${i}`);
      const dense = floats(await trainer.session.read("conv2"));
      const shown = floats((await trainer.values()).get("conv2"));
      for (const [at, m] of (mask.data as Uint8Array).entries()) {
        const kept = i < 2 ? m !== 0 : m === 0;
        assert.is(shown[at], kept ? dense[at] : 0);
        // Gradients move what a soft mask hides, up from the zero that it was.
        assert.is(dense[at] !== 0, kept || masks === "soft", `step ${i}: conv2[${at}] is ${dense[at]}`);
      }
    }
    const now = await trainer.graph();
    assert.equal([...now.masks.get("conv2")!.data], [...floats(flipped(mask))]);
    await fails(() => trainer.setMask("fc.bias", tensor([1], [1])), "E_INPUT", /no mask/);
    await fails(() => trainer.setMask("conv2", tensor([1], [1])), "E_INPUT", /shape/);
    trainer.dispose();
  });
}

function assertSame(a: Snapshot, b: Snapshot): void {
  assert.is(a.steps, b.steps);
  assert.is(a.counted, b.counted);
  assert.equal([...a.state.keys()], [...b.state.keys()]);
  for (const [name, t] of a.state) assert.equal(words(t), words(b.state.get(name)!), name);
}
const words = (t: HostTensor): Uint32Array => new Uint32Array(floats(t).slice().buffer);

const restorable: readonly (readonly [string, Omit<TrainerOptions, "batch">])[] = [
  ["sgd, held", { seed: 9, optimizer: { weightDecay: 0.01, clipNorm: 1 } }],
  ["adamw, soft", { seed: 9, masks: "soft", optimizer: { kind: "adamw", weightDecay: 0.1 } }],
];

for (const [name, options] of restorable) {
  gpuTest(test, `restored into another trainer, training goes on bit for bit: ${name}`, async (gpu) => {
    const first = await makeTrainer(gpu, residualMasked, { batch, ...options });
    await steps(first, 0, 3);
    first.setMask("fc", flipped(residualMasked.masks.get("fc")!));
    const snapshot = await first.snapshot();
    await steps(first, 3, 6);
    const end = await first.snapshot();
    first.dispose();
    const second = await makeTrainer(gpu, residualMasked, { batch, ...options });
    await steps(second, 4, 6); // forgotten
    second.restore(snapshot);
    assertSame(await second.snapshot(), snapshot);
    await steps(second, 3, 6);
    assertSame(await second.snapshot(), end);
    assert.equal(
      [...(await second.graph()).masks.get("fc")!.data],
      [...floats(end.state.get(maskName("fc")))],
    );
    const short = new Map([...snapshot.state].filter(([key]) => key !== "conv1"));
    await fails(() => second.restore({ ...snapshot, state: short }), "E_INPUT", /conv1/);
    second.dispose();
  });
}

gpuTest(test, "the same seed gives the same bits, another seed others", async (gpu) => {
  const ends: Snapshot[] = [];
  for (const seed of [4, 4, 5]) {
    const trainer = await makeTrainer(gpu, residual, { batch, seed, optimizer: { kind: "adam" } });
    await steps(trainer, 0, 4);
    ends.push(await trainer.snapshot());
    trainer.dispose();
  }
  assertSame(ends[0]!, ends[1]!);
  assert.not.equal(words(ends[0]!.state.get("fc")!), words(ends[2]!.state.get("fc")!));
});

gpuTest(test, "steps create no buffers and compile no pipelines", async (gpu) => {
  const trainer = await makeTrainer(gpu, residualMasked, {
    batch,
    optimizer: { kind: "adamw", clipNorm: 1 },
  });
  await steps(trainer, 0, 1);
  const { pipelines, buffers, bytes } = gpu.stats();
  for (let i = 0; i < 12; i++) await steps(trainer, i % 6, (i % 6) + 1);
  const after = gpu.stats();
  assert.equal([after.pipelines, after.buffers, after.bytes], [pipelines, buffers, bytes]);
  await trainer.values();
  await trainer.metrics();
  assert.is(gpu.stats().pipelines, pipelines);
  trainer.dispose();
});

gpuTest(test, "what does not fit is refused", async (gpu) => {
  const v = values(1);
  await fails(() => makeTrainer(gpu, residual, { batch: 0 }), "E_INPUT", /batch/);
  await fails(
    () => makeTrainer(gpu, residual, { batch, teacher: { ...teacher, alpha: 2 } }),
    "E_INPUT",
    /alpha/,
  );
  const trainer = await makeTrainer(gpu, residual, { batch });
  const { targets } = data[0]!;
  await fails(() => trainer.step(v.normal([batch + 1, 2, 5, 7]), targets, 0.1), "E_INPUT");
  await fails(() => trainer.step(data[0]!.images, v.normal([batch, 3]), 0.1), "E_INPUT");
  assert.is(trainer.steps, 0);
  await steps(trainer, 0, 1);
  assert.is(trainer.steps, 1);
  trainer.dispose();
  await fails(() => steps(trainer, 0, 1), "E_DISPOSED");
});

test.run();
