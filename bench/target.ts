// Does solving for every layer's share keep more accuracy than one share for all, at the same measured milliseconds?
//
//   node --import tsx bench/target.ts MODEL TRAIN TEST MS [GRANULARITY] [SCAN.json]
//   node --import tsx bench/target.ts resnet56:w.safetensors cifar10:train.bin.gz cifar10:test.bin.gz 60 filter scan.json
//
// The scan is kept in SCAN.json and gone on with. The uniform nets are pruned by magnitude and to the same multiple of filters, the
// same share in every layer; all are then timed in turn and scored on the test images. The one to compare with is the least pruned
// that is at least as fast. Prints one JSON object.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { openData } from "../src/data/files.ts";
import type { Graph } from "../src/graph/graph.ts";
import { openModel } from "../src/io/files.ts";
import { type Spread, spread } from "../src/plan/stats.ts";
import { openGpuWithTuning } from "../src/plan/tuning-folder.ts";
import { prune } from "../src/prune/prune.ts";
import { alignedFilters, pruneToTarget } from "../src/recipes/target.ts";
import { type Environment, environment } from "../src/report/environment.ts";
import { nodeHost } from "../src/report/host.ts";
import { compile } from "../src/run/compile.ts";
import { preprocessingOf } from "../src/run/preprocessing.ts";
import { checkBatch, firstBatch, timeInTurn } from "../src/run/timing.ts";
import { parseSensitivity } from "../src/sensitivity/curve.ts";
import { top1 } from "./accuracy.ts";

export interface TargetNet {
  /** Of the filters of every layer, removed. */
  readonly share: number;
  readonly ms: Spread;
  readonly top1: number;
}

export interface TargetResult {
  readonly environment: Environment;
  readonly model: string;
  readonly batch: number;
  readonly targetMs: number;
  readonly granularity: string;
  /** Images that judge. */
  readonly images: number;
  readonly dense: Omit<TargetNet, "share">;
  readonly solved: Omit<TargetNet, "share"> & {
    readonly predicted: number;
    /** When it was solved; `ms` is that of the turns that all nets were timed in. */
    readonly measured: Spread;
    readonly attempts: number;
    readonly shares: Readonly<Record<string, number>>;
  };
  /** The same share in every layer, by magnitude. */
  readonly uniform: readonly TargetNet[];
}

const batch = 32;
const rounds = 15;
const uniformShares = [0.1, 0.2, 0.3, 0.4, 0.5];

const [model, trainSpec, testSpec, target, granularity = "filter", file] = process.argv.slice(2);
if (!model || !trainSpec || !testSpec || !(Number(target) > 0)) {
  console.error("usage: bench/target.ts MODEL TRAIN TEST MS [GRANULARITY] [SCAN.json]");
  process.exit(2);
}
const targetMs = Number(target);
const gpu = await openGpuWithTuning();
const graph = await openModel(model);
const data = await openData(trainSpec, "train");
const unseen = await openData(testSpec, "test");
const preprocessing = preprocessingOf(graph, data);

/** Median milliseconds of nets run in turn. */
async function milliseconds(graphs: readonly Graph[]) {
  const sessions = [];
  for (const g of graphs) sessions.push(await compile(gpu, g, { plan: "measured", batch }));
  for (const [i, s] of sessions.entries())
    await checkBatch(s, graphs[i]!, firstBatch(unseen, batch, preprocessing, s), 2);
  const times = await timeInTurn(sessions, rounds);
  for (const s of sessions) s.dispose();
  return times.map(spread);
}

const solved = await pruneToTarget(gpu, graph, data, {
  targetMs,
  batch,
  request: { method: "magnitude", granularity },
  scan: {
    ...(file && existsSync(file) && { resume: parseSensitivity(readFileSync(file, "utf8")) }),
    onLayer: (soFar) => void (file && writeFileSync(file, JSON.stringify(soFar))),
  },
  onAttempt: (a) =>
    console.error(
      `solved: ${a.predicted.toFixed(2)} ms predicted, ${a.measured.median.toFixed(2)} measured, unpruned ${a.dense.median.toFixed(2)}`,
    ),
});

const uniformly = async (sparsity: number): Promise<Graph> =>
  (
    await prune(graph, {
      method: "magnitude",
      granularity,
      sparsity,
      scope: "layer",
      ...(granularity === "filter" && { roundTo: alignedFilters }),
    })
  ).graph;
const nets = [];
for (const share of uniformShares) nets.push(await uniformly(share));
const [dense, own, ...others] = await milliseconds([graph, solved.outcome.graph, ...nets]);
const uniform: TargetNet[] = [];
for (const [i, share] of uniformShares.entries())
  uniform.push({ share, ms: others[i]!, top1: await top1(gpu, nets[i]!, unseen) });
const result: TargetResult = {
  environment: environment(gpu.adapter, nodeHost()),
  model: graph.name,
  batch,
  targetMs,
  granularity,
  images: unseen.length,
  dense: { ms: dense!, top1: await top1(gpu, graph, unseen) },
  solved: {
    ms: own!,
    top1: await top1(gpu, solved.outcome.graph, unseen),
    predicted: solved.report.predicted,
    measured: solved.report.measured,
    attempts: solved.report.attempts.length,
    shares: solved.report.shares,
  },
  uniform,
};
console.log(JSON.stringify(result, undefined, 2));
gpu.dispose();
process.exit(0);
