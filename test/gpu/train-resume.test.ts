import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Dataset, firstImages } from "../../src/data/dataset.ts";
import { glyphs } from "../../src/data/glyphs.ts";
import { SecateurError } from "../../src/errors.ts";
import { graphBuilder } from "../../src/graph/builder.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { modelToBytes } from "../../src/io/model.ts";
import { readSafetensors, writeSafetensors } from "../../src/io/safetensors.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { prune } from "../../src/prune/prune.ts";
import { scalar } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import { type Checkpoint, readCheckpoint, writeCheckpoint } from "../../src/train/checkpoint.ts";
import type { TrainOptions, TrainResult } from "../../src/train/options.ts";
import { train } from "../../src/train/train.ts";
import { fails } from "../support/error.ts";
import { refuses, sameTensor } from "../support/files.ts";
import { gpuTest } from "../support/gpu.ts";
import { values } from "../support/kernel-cases.ts";

const resuming = suite("train: checkpoints");
const data = firstImages(glyphs("train", 128, 1), 96);
const lenet = buildNet("lenet300", { seed: 4 });
/** Two epochs of five steps, and a checkpoint after every step. */
const two: TrainOptions = { epochs: 2, batch: 16, seed: 2, rate: 0.05, checkpointSeconds: 1e-9 };

/** Flatten, Gemm, Relu, Dropout, Gemm. */
function dropoutNet(): Graph {
  const v = values(3);
  const b = graphBuilder("dropout net");
  const flat = b.node("Flatten", [b.input("image", [null, 1, 28, 28])]);
  const dense = (x: string, name: string, inner: number, outer: number): string =>
    b.node("Gemm", [x, b.weight(name, v.normal([outer, inner], 1 / Math.sqrt(inner)))], { transB: 1 });
  const hidden = b.node("Relu", [dense(flat, "fc1", 784, 32)]);
  const dropped = b.node("Dropout", [hidden, b.constant(scalar(0.4), "ratio")]);
  b.node("Gemm", [dropped, b.weight("fc2", v.normal([10, 32], 0.2))], { transB: 1 }, { outputs: ["logits"] });
  b.output("logits", [null, 10]);
  return b.build();
}

const sparse = async (graph: Graph): Promise<Graph> =>
  (await prune(graph, { method: "magnitude", granularity: "element", sparsity: 0.8 })).graph;

/** Weights and the choice of the best epoch, bit by bit; seconds and what was summed up at other times not. */
function sameResult(a: TrainResult, b: TrainResult, what: string): void {
  for (const [name, t] of a.graph.weights) sameTensor(b.graph.weights.get(name)!, t, `${what}: ${name}`);
  for (const [name, t] of a.graph.masks) sameTensor(b.graph.masks.get(name)!, t, `${what}: mask of ${name}`);
  assert.equal([...b.graph.metadata], [...a.graph.metadata], what);
  assert.equal([b.best, b.train, b.gap], [a.best, a.train, a.gap], what);
  for (const [i, e] of a.epochs.entries()) {
    const other = b.epochs[i]!;
    assert.equal([other.validation, other.top1, other.rate], [e.validation, e.top1, e.rate], what);
    assert.ok(Math.abs(other.loss - e.loss) < 1e-5 * e.loss, `${what}: losses ${other.loss} and ${e.loss}`);
  }
}

const cases: readonly [string, () => Graph | Promise<Graph>, TrainOptions, number][] = [
  ["momentum", () => lenet, { optimizer: { momentum: 0.9, nesterov: true, weightDecay: 1e-3 } }, 96],
  ["Adam under masks", () => sparse(lenet), { optimizer: { kind: "adam" }, rate: 0.002 }, 96],
  [
    "soft masks, a teacher, clipping, augmentation",
    () => sparse(lenet),
    {
      masks: "soft",
      teacher: { graph: buildNet("lenet300", { seed: 9 }), temperature: 3, alpha: 0.5 },
      optimizer: { clipNorm: 1, l1: 1e-5, groupLasso: 1e-5 },
      augment: { pad: 2, flip: true },
      labelSmoothing: 0.1,
    },
    96,
  ],
  ["dropout", dropoutNet, { schedule: { kind: "one-cycle" } }, 96],
  ["BatchNormalization and momentum", () => buildNet("glyphnet", { seed: 4 }), { batch: 8 }, 27],
  [
    "BatchNormalization and AdamW",
    () => buildNet("glyphnet", { seed: 4 }),
    { batch: 8, optimizer: { kind: "adamw", weightDecay: 0.01 }, rate: 0.002 },
    27,
  ],
];

for (const [name, make, more, images] of cases) {
  gpuTest(resuming, `${name}: resumed from anywhere, the result of a training in one go`, async (gpu) => {
    const net = await make();
    const set = firstImages(data, images);
    const options = { ...two, ...more };
    const files: Uint8Array[] = [];
    const onCheckpoint = (c: Checkpoint): void => {
      for (const t of c.snapshot.state.values()) assert.ok((t.data as Float32Array).every(Number.isFinite));
      files.push(writeCheckpoint(c));
    };
    const watched = await train(gpu, net, set, { ...options, onCheckpoint });
    sameResult(await train(gpu, net, set, options), watched, "without checkpoints");
    const steps = watched.work.steps / 2;
    const places = files.map((bytes) => {
      const { epoch, step } = readCheckpoint(bytes).progress;
      return `${epoch}.${step}`;
    });
    const last = files.length - 1;
    assert.is(places[0], "0.1");
    assert.is(places[last], "2.0", "the last is from the end");
    assert.ok(places.includes("1.0") && places.includes(`1.${steps}`), String(places));
    // Within the first epoch, within the second, before its end was judged, and after everything.
    for (const at of [1, steps + 2, last - 1, last]) {
      const resume = readCheckpoint(files[at]!);
      sameResult(watched, await train(gpu, net, set, { ...options, resume }), `from ${places[at]}`);
    }
  });
}

gpuTest(resuming, "stopped by its signal: E_ABORTED after one more step and a checkpoint", async (gpu) => {
  const kept: Checkpoint[] = [];
  const stop = new AbortController();
  const run = train(gpu, lenet, data, {
    ...two,
    epochs: 50,
    checkpointSeconds: 1e6,
    signal: stop.signal,
    onEpoch: (_, epoch) => epoch === 2 && stop.abort(),
    onCheckpoint: (c) => void kept.push(c),
  });
  await fails(() => run, "E_ABORTED", /in epoch 3 after step 1 of 5\. Resume from its checkpoint/);
  assert.equal(
    kept.map(({ progress }) => [progress.epoch, progress.step]),
    [
      [1, 0],
      [2, 0],
      [2, 1],
    ],
  );
});

/** A checkpoint from the middle of the second epoch. */
async function middle(gpu: Parameters<typeof train>[0]): Promise<Checkpoint> {
  const kept: Checkpoint[] = [];
  await train(gpu, lenet, data, { ...two, onCheckpoint: (c) => void kept.push(c) });
  return readCheckpoint(writeCheckpoint(kept.find((c) => c.progress.epoch === 1 && c.progress.step === 2)!));
}

gpuTest(resuming, "other settings, data or nets are refused by name", async (gpu) => {
  const resume = await middle(gpu);
  const teacher = { graph: lenet, temperature: 4, alpha: 0.5 };
  const others: readonly [string, TrainOptions][] = [
    ["seed", { seed: 3 }],
    ["epochs", { epochs: 3 }],
    ["batch", { batch: 8 }],
    ["rate", { rate: 0.04 }],
    ["schedule", { schedule: { kind: "linear" } }],
    ["optimizer", { optimizer: { momentum: 0.8 } }],
    ["augment", { augment: { flip: true } }],
    ["labelSmoothing", { labelSmoothing: 0.1 }],
    ["masks", { masks: "soft" }],
    ["maskZeros", { maskZeros: true }],
    ["freezeNorms", { freezeNorms: true }],
    ["frozen", { frozen: ["ip1.bias"] }],
    ["teacher", { teacher }],
    ["preprocessing", { preprocessing: { scale: 1 / 255, mean: [0], std: [1] } }],
    ["data", { validation: 10 }],
    ["validation", { validation: firstImages(data, 9) }],
  ];
  const refused = (name: string, net: Graph, set: Dataset, options: TrainOptions) =>
    fails(
      () => train(gpu, net, set, { ...two, ...options, resume }),
      "E_INPUT",
      new RegExp(`cannot be resumed: ${name} is .*, but the checkpoint has .*Use the settings it began with`),
    );
  for (const [name, options] of others)
    await refused(name, lenet, name === "validation" ? firstImages(data, 87) : data, options);
  await refused("model", buildNet("lenet300", { seed: 5 }), data, {});
  await refused("data", lenet, glyphs("train", 96, 2), {});
});

type Parts = { -readonly [K in keyof Checkpoint]: Checkpoint[K] };

gpuTest(resuming, "a checkpoint whose parts contradict each other is refused", async (gpu) => {
  const good = await middle(gpu);
  const [first] = good.snapshot.state.keys();
  const without = <T>(map: ReadonlyMap<string, T>): Map<string, T> =>
    new Map([...map].filter(([name]) => name !== first));
  const progress = (change: object) => (c: Parts) => {
    c.progress = { ...c.progress, ...change };
  };
  const snapshot = (change: object) => (c: Parts) => {
    c.snapshot = { ...c.snapshot, ...change };
  };
  const reshaped = (bytes: number[]) => new Map([...good.best, [first!, { ...scalar(1), shape: bytes }]]);
  const faults: readonly [string, (c: Parts) => void][] = [
    ["an epoch too far", progress({ epoch: 9 })],
    ["an epoch that has no end", progress({ epoch: 2, step: 0, images: 0 })],
    ["a step too far", progress({ step: 99 })],
    ["half a step", progress({ step: 1.5 })],
    ["images that no step has seen", progress({ images: 1000 })],
    ["no best epoch", progress({ best: undefined })],
    ["steps of before", snapshot({ steps: -1 })],
    ["no weight", snapshot({ state: without(good.snapshot.state) })],
    ["no best weight", (c) => (c.best = without(c.best))],
    ["a best weight of another shape", (c) => (c.best = reshaped([1]))],
    ["a plan of another net", (c) => (c.plan = { ...c.plan, layers: [] })],
  ];
  for (const [name, change] of faults) {
    const resume: Parts = { ...good };
    change(resume);
    const error = await train(gpu, lenet, data, { ...two, resume }).then(
      () => undefined,
      (e: unknown) => e,
    );
    assert.ok(error instanceof SecateurError, `${name}: ${error}`);
    assert.ok(["E_METADATA", "E_INPUT", "E_PLAN"].includes(error.code), `${name}: ${error.code}`);
  }
});

gpuTest(
  resuming,
  "damaged, cut off and foreign bytes: an error of ours, or a checkpoint like any other",
  async (gpu) => {
    const good = writeCheckpoint(await middle(gpu));
    const header = 8 + Number(new DataView(good.buffer, good.byteOffset).getBigUint64(0, true));
    const { tensors, metadata } = readSafetensors(good);
    const words = metadata.get("secateur.checkpoint")!;
    const foreign: readonly [string, Uint8Array][] = [
      ["nothing", new Uint8Array(0)],
      ["text", new TextEncoder().encode("not a checkpoint at all")],
      ["a model", modelToBytes(lenet, "safetensors")],
      ["an ONNX model", modelToBytes(lenet, "onnx")],
      ["no JSON", writeSafetensors(tensors, new Map([["secateur.checkpoint", words.slice(0, -1)]]))],
      ["other JSON", writeSafetensors(tensors, new Map([["secateur.checkpoint", "[]"]]))],
      [
        "a number that is none",
        writeSafetensors(
          tensors,
          new Map([["secateur.checkpoint", words.replace(/"lossSum":[^,]+/, '"lossSum":null')]]),
        ),
      ],
    ];
    for (const [name, bytes] of foreign)
      refuses(
        () => readCheckpoint(bytes),
        ["E_FORMAT", "E_METADATA", "E_TRUNCATED", "E_HEADER_SIZE", "E_HEADER_SYNTAX", "E_LIMIT", "E_SIZE"],
        name,
      );
    const random = seeded(5);
    let read = 0;
    let tried = 0;
    for (let i = 0; i < 90; i++) {
      const bytes = i % 3 === 2 ? good.slice(0, random.below(good.length)) : good.slice();
      // In the header, where it matters, and anywhere.
      if (i % 3 < 2) bytes[random.below(i % 3 === 0 ? header : good.length)]! ^= 1 << random.below(8);
      let resume: Checkpoint;
      try {
        resume = readCheckpoint(bytes);
        read++;
      } catch (error) {
        assert.ok(error instanceof SecateurError, `case ${i}: ${error}`);
        continue;
      }
      assert.ok(i % 3 < 2, "cut off, and read nevertheless");
      if (i % 3 === 1 || tried++ > 8) continue;
      await train(gpu, lenet, data, { ...two, resume }).catch((error: unknown) => {
        assert.ok(error instanceof SecateurError, `case ${i}: ${error}`);
      });
    }
    assert.ok(read >= 25 && read < 60, `${read} were read`);
  },
);

gpuTest(
  resuming,
  "divergence stops, and what is kept from before is finite and can be gone on with",
  async (gpu) => {
    for (const [rate, words] of [
      [
        1e6,
        /diverged in epoch 1, by step \d of 5: .*lower learning rate than 1000000.*last checkpoint is from before/,
      ],
      [1e38, /diverged in epoch 1, by step \d of 5/],
    ] as const) {
      const kept: Uint8Array[] = [];
      const onCheckpoint = (c: Checkpoint) => void kept.push(writeCheckpoint(c));
      const options: TrainOptions = {
        ...two,
        rate,
        // The first step does next to nothing, so that there is something to go back to.
        schedule: { kind: "constant", warmup: { unit: "steps", value: 4 } },
        optimizer: { momentum: 0 },
      };
      await fails(() => train(gpu, lenet, data, { ...options, onCheckpoint }), "E_DIVERGED", words);
      for (const bytes of kept) {
        const c = readCheckpoint(bytes);
        for (const t of c.snapshot.state.values()) assert.ok((t.data as Float32Array).every(Number.isFinite));
      }
      if (kept.length === 0) continue;
      const again = train(gpu, lenet, data, { ...options, resume: readCheckpoint(kept.at(-1)!) });
      await fails(() => again, "E_DIVERGED");
    }
  },
);

gpuTest(resuming, "divergence in the last step of all is found too", async (gpu) => {
  const options: TrainOptions = { ...two, epochs: 1, batch: 1000, schedule: { kind: "constant" } };
  const stops = async (more: TrainOptions, where: RegExp): Promise<void> => {
    const error = await fails(() => train(gpu, lenet, data, { ...options, ...more }), "E_DIVERGED", where);
    assert.not.match(error.message, /last checkpoint/, "there is none");
  };
  await stops({ rate: 1e20, validation: 0 }, /at the end: the loss on 96 images of glyphs is NaN/);
  const onCheckpoint = () => assert.unreachable("a checkpoint that nothing can be made of");
  for (const rate of [1e20, 3e38])
    await stops(
      { rate, onCheckpoint, checkpointSeconds: 1e6 },
      /in epoch 1, by step 1 of 1: the loss on 9 images/,
    );
});

resuming.run();
