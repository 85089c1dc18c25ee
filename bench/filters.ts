// What filter pruning costs in accuracy on a trained net, method by method beside random draws, before and after retraining:
//   node --import tsx bench/filters.ts MODEL --train DATA --test DATA --json FILE [--layers PATTERN] [--rates 0.1,0.2,0.3]
//     [--methods hrank,magnitude] [--seeds 5] [--images 640] [--limit N] [--retrain EPOCHS] [--recover bias|least-squares]
// Resumable: a row that FILE holds already is not measured again; one with other settings is. PATTERN picks layers by name, such as
// '\.conv1$' for the first convolution of every block. Test images judge and choose nothing.
import { existsSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type { Dataset } from "../src/data/dataset.ts";
import { openData } from "../src/data/files.ts";
import { collectEvidence } from "../src/evidence/collect.ts";
import { openGpuInNode } from "../src/gpu/dawn.ts";
import type { Graph } from "../src/graph/graph.ts";
import { openModel, writeFileWhole } from "../src/io/files.ts";
import type { Evidence } from "../src/prune/evidence.ts";
import { prunableLayers } from "../src/prune/layers.ts";
import { findMethod } from "../src/prune/methods/index.ts";
import { neededEvidence, prune } from "../src/prune/prune.ts";
import type { Recovery } from "../src/prune/recover.ts";
import { staticTypes } from "../src/prune/types.ts";
import { compile } from "../src/run/compile.ts";
import { evaluate } from "../src/run/evaluate.ts";
import { preprocessingOf } from "../src/run/preprocessing.ts";
import { train } from "../src/train/train.ts";

interface Row {
  readonly method: string;
  readonly rate: number;
  readonly seed: number;
  readonly settings: string;
  readonly top1: number;
  /** After retraining. */
  readonly retrained?: number;
}

const { values: o, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    train: { type: "string" },
    test: { type: "string" },
    json: { type: "string" },
    layers: { type: "string", default: "." },
    rates: { type: "string", default: "0.1,0.2,0.3" },
    methods: { type: "string", default: "hrank,magnitude" },
    seeds: { type: "string", default: "5" },
    images: { type: "string", default: "640" },
    limit: { type: "string", default: "1000000" },
    retrain: { type: "string", default: "0" },
    recover: { type: "string" },
  },
});
const [spec] = positionals;
if (!spec || !o.train || !o.test || !o.json) {
  console.error("MODEL, --train, --test and --json are needed; see the head of this file.");
  process.exit(2);
}
const gpu = await openGpuInNode();
const graph = await openModel(spec, {});
const data = await openData(o.train, "train");
const test = await openData(o.test, "test", { limit: Number(o.limit) });
const recover = o.recover as Recovery | undefined;
const pattern = new RegExp(o.layers);
const layers = prunableLayers(graph, staticTypes(graph)).filter((l) => pattern.test(l.name));
const epochs = Number(o.retrain);
const settings = JSON.stringify({
  spec,
  test: test.length,
  layers: o.layers,
  images: o.images,
  recover,
  epochs,
});
const rows: Row[] = existsSync(o.json) ? JSON.parse(readFileSync(o.json, "utf8")).rows : [];
const gathered = new Map<string, Evidence>();

/** Evidence is gathered once per method, and only where a row is missing. */
async function evidenceFor(method: string): Promise<Evidence> {
  const needs = neededEvidence(findMethod(method), recover, "filter");
  const known = gathered.get(method);
  if (known || needs.length === 0) return known ?? {};
  const found = await collectEvidence(gpu, graph, data, needs, { images: Number(o.images) });
  gathered.set(method, found);
  return found;
}

async function accuracy(net: Graph, set: Dataset): Promise<number> {
  const session = await compile(gpu, net, { plan: "estimated", batch: 100 });
  const { top1 } = await evaluate(session, set, preprocessingOf(net, set), { batch: 100 });
  session.dispose();
  return top1;
}

async function measured(method: string, rate: number, seed: number): Promise<Row> {
  const before = rows.find(
    (r) => r.method === method && r.rate === rate && r.seed === seed && r.settings === settings,
  );
  if (before) return before;
  const { graph: pruned } = await prune(graph, {
    method,
    granularity: "filter",
    sparsity: Object.fromEntries(layers.map((l) => [l.name, rate])),
    rounding: "removed",
    seed,
    evidence: await evidenceFor(method),
    ...(recover && { recover }),
  });
  const top1 = await accuracy(pruned, test);
  const again = { epochs, fineTune: true, validation: 0, test, seed: 1 };
  const retrained = epochs > 0 ? (await train(gpu, pruned, data, again)).test!.top1 : undefined;
  const row = { method, rate, seed, settings, top1, ...(retrained !== undefined && { retrained }) };
  rows.push(row);
  await writeFileWhole(o.json!, JSON.stringify({ adapter: gpu.adapter.description, dense, rows }, null, 1));
  return row;
}

const shown = (list: readonly (number | undefined)[]): string => {
  const known = list.filter((v) => v !== undefined);
  if (known.length === 0) return "";
  const mean = known.reduce((a, b) => a + b, 0) / known.length;
  const spread = Math.sqrt(known.reduce((s, v) => s + (v - mean) ** 2, 0) / Math.max(1, known.length - 1));
  return `${(100 * mean).toFixed(2)}${known.length > 1 ? ` ± ${(100 * spread).toFixed(2)}` : ""}`;
};

const dense = await accuracy(graph, test);
console.log(`${spec}: ${(100 * dense).toFixed(2)} % of ${test.length} images on ${gpu.adapter.description}`);
console.log(`${layers.length} layers; method, rate, top-1 %${epochs > 0 ? `, after ${epochs} epochs` : ""}`);
for (const rate of o.rates.split(",").map(Number)) {
  for (const method of [...o.methods.split(","), "random"]) {
    const found: Row[] = [];
    const draws = method === "random" ? Number(o.seeds) : 1;
    for (let seed = 1; seed <= draws; seed++) found.push(await measured(method, rate, seed));
    console.log(
      [method, rate, shown(found.map((r) => r.top1)), shown(found.map((r) => r.retrained))].join("\t"),
    );
  }
}
gpu.dispose();
process.exit();
