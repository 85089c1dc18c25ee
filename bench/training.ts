// Training throughput beside TensorFlow.js on the same WebGPU device, interleaved round by round:
//   node --import tsx bench/peers/install.ts                    once: the peers, TensorFlow.js among them, into a cache folder
//   node --import tsx bench/training.ts [--rounds N] [--json FILE]
// The same weights, the same batch, SGD with momentum 0.9; the losses of the first steps must agree before anything is timed.
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { openGpuInNode } from "../src/gpu/dawn.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import { inspectGraph } from "../src/graph/statistics.ts";
import { buildNet } from "../src/nets/build-net.ts";
import { geometricMean, type Spread, spread } from "../src/plan/stats.ts";
import { environment, environmentLine } from "../src/report/environment.ts";
import { nodeHost } from "../src/report/host.ts";
import { type HostTensor, tensor } from "../src/tensor/host-tensor.ts";
import { seeded } from "../src/tensor/random.ts";
import { sizeOf } from "../src/tensor/shape.ts";
import { makeTrainer } from "../src/train/trainer.ts";
import { openTfjs, type Tfjs } from "./peers/tfjs.ts";
import { makeTfjsStep, type TrainedNet } from "./peers/tfjs-training.ts";

const rate = 0.01;
const momentum = 0.9;
const checkedSteps = 3;
/** Relative; both engines round to f32 in their own order. */
const lossTolerance = 2e-3;

interface Case {
  readonly net: TrainedNet;
  readonly batch: number;
  readonly stepsPerRound: number;
}

const cases: readonly Case[] = [
  { net: "lenet5", batch: 64, stepsPerRound: 4 },
  { net: "lenet5", batch: 128, stepsPerRound: 2 },
  { net: "resnet20", batch: 32, stepsPerRound: 1 },
];

interface Row extends Case {
  readonly ms: Spread;
  readonly tfjsMs: Spread;
  /** TensorFlow.js's time over ours, round by round. */
  readonly speedup: Spread;
  readonly gflops: number;
  readonly memory: { readonly activations: number; readonly constants: number; readonly uniforms: number };
}

async function measure(gpu: Gpu, tfjs: Tfjs, c: Case, rounds: number): Promise<Row> {
  const graph = buildNet(c.net, { seed: 1 });
  const shape = [c.batch, ...graph.inputs[0]!.shape.slice(1).map((d) => d!)];
  const random = seeded(3);
  const data = Float32Array.from({ length: sizeOf(shape) }, () => random.uniform());
  const labels = Uint8Array.from({ length: c.batch }, (_, i) => i % 10);
  const images = tensor(data, shape);
  const oneHot = new Float32Array(c.batch * 10);
  for (const [i, label] of labels.entries()) oneHot[i * 10 + label] = 1;
  const targets: HostTensor = tensor(oneHot, [c.batch, 10]);
  const ours = await makeTrainer(gpu, graph, { batch: c.batch, optimizer: { momentum } });
  const theirs = await makeTfjsStep(c.net, {
    tfjs,
    batch: c.batch,
    optimizer: { lr: rate, momentum },
    weights: graph.weights,
  });
  for (let i = 0; i < checkedSteps; i++) {
    await ours.step(images, targets, rate);
    const { loss } = await ours.metrics();
    const other = await theirs.step(data, labels, true);
    if (!(Math.abs(loss - other!) <= lossTolerance * Math.abs(loss)))
      throw new Error(`${c.net}, step ${i}: the loss is ${loss} here and ${other} in TensorFlow.js.`);
  }
  theirs.load(data, labels);
  const mine = async (): Promise<void> => {
    for (let i = 0; i < c.stepsPerRound; i++) await ours.step(images, targets, rate);
    await gpu.wait();
  };
  const other = (): Promise<void> => theirs.run(c.stepsPerRound);
  const timed = async (work: () => Promise<void>): Promise<number> => {
    const start = performance.now();
    await work();
    return (performance.now() - start) / c.stepsPerRound;
  };
  await mine();
  await other();
  const [a, b]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    a.push(await timed(mine));
    b.push(await timed(other));
  }
  const { macs } = inspectGraph(ours.stepGraph);
  const ms = spread(a);
  const row = {
    ...c,
    ms,
    tfjsMs: spread(b),
    speedup: spread(b.map((t, i) => t / a[i]!)),
    gflops: (2 * macs) / ms.median / 1e6,
    memory: ours.session.memory(),
  };
  ours.dispose();
  theirs.dispose();
  return row;
}

const { values } = parseArgs({ options: { rounds: { type: "string" }, json: { type: "string" } } });
const rounds = Number(values.rounds ?? 15);
const gpu = await openGpuInNode();
const tfjs = await openTfjs(gpu);
const rows: Row[] = [];
const show = (s: Spread): string => `${s.median.toFixed(2)} (${s.p10.toFixed(2)}-${s.p90.toFixed(2)})`;
console.log(
  "| step | ms | TensorFlow.js ms | speed-up | useful GFLOP/s | MiB |\n|---|---:|---:|---:|---:|---:|",
);
for (const c of cases) {
  const row = await measure(gpu, tfjs, c, rounds);
  rows.push(row);
  const mib = (row.memory.activations + row.memory.constants + row.memory.uniforms) / 2 ** 20;
  console.log(
    `| ${c.net}, batch ${c.batch} | ${show(row.ms)} | ${show(row.tfjsMs)} | ${show(row.speedup)}x | ${row.gflops.toFixed(1)} | ${mib.toFixed(1)} |`,
  );
}
const facts = environment(gpu.adapter, nodeHost());
console.log(`\n${environmentLine(facts)}. Median (10th-90th percentile) of ${rounds} interleaved rounds.`);
if (values.json) {
  const summary = { trainingVsTfjs: geometricMean(rows.map((r) => r.speedup.median)) };
  writeFileSync(values.json, `${JSON.stringify({ environment: facts, rows, summary }, undefined, 2)}\n`);
}
await tfjs.close();
gpu.dispose();
process.exit();
