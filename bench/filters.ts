// What filter pruning costs in accuracy on a trained net, method by method beside random draws, before and after retraining:
//   node --import tsx bench/filters.ts MODEL --train DATA --test DATA --json FILE [--layers PATTERN] [--rates 0.1,0.2,0.3]
//     [--methods hrank,magnitude] [--seeds 5] [--images 640] [--limit N] [--retrain EPOCHS] [--lr RATE] [--recover bias|least-squares]
// Resumable: a row that FILE holds already is not measured again; one with other settings is. PATTERN picks layers by name, such as
// '\.conv1$' for the first convolution of every block. Test images judge and choose nothing.
import { parseArgs } from "node:util";
import { openData } from "../src/data/files.ts";
import { collectEvidence } from "../src/evidence/collect.ts";
import { openGpuInNode } from "../src/gpu/dawn.ts";
import { openModel } from "../src/io/files.ts";
import type { Evidence } from "../src/prune/evidence.ts";
import { prunableLayers } from "../src/prune/layers.ts";
import { findMethod } from "../src/prune/methods/index.ts";
import { neededEvidence, prune } from "../src/prune/prune.ts";
import type { Recovery } from "../src/prune/recover.ts";
import { staticTypes } from "../src/prune/types.ts";
import { type Environment, environment } from "../src/report/environment.ts";
import { nodeHost } from "../src/report/host.ts";
import { train } from "../src/train/train.ts";
import { top1 } from "./accuracy.ts";
import { type Identified, keptRows, netId } from "./kept-rows.ts";
import { known, points } from "./methods/result.ts";

export interface FiltersResult {
  readonly environment: Environment;
  /** Top-1 before pruning. */
  readonly dense: number;
  readonly settings: { readonly train: number; readonly test: number; readonly epochs: number };
  readonly rows: readonly FilterRow[];
}

export interface FilterRow extends Identified {
  readonly method: string;
  readonly rate: number;
  readonly seed: number;
  /** Learning rate of the retraining; that of the net's defaults where there is none. */
  readonly trainedAt?: number;
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
    lr: { type: "string" },
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
const rateOfTraining = o.lr === undefined ? undefined : Number(o.lr);
const settings = {
  model: await netId(graph),
  train: data.length,
  test: test.length,
  layers: o.layers,
  images: Number(o.images),
  epochs,
  ...(rateOfTraining !== undefined && { rate: rateOfTraining }),
  ...(recover && { recover }),
};
const kept = keptRows<FilterRow>(o.json);
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

async function measured(method: string, rate: number, seed: number): Promise<FilterRow> {
  const id = JSON.stringify({ ...settings, method, rate, seed });
  const before = kept.find(id);
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
  const accuracy = await top1(gpu, pruned, test);
  const again = {
    epochs,
    fineTune: true,
    validation: 0,
    test,
    seed: 1,
    ...(rateOfTraining !== undefined && { rate: rateOfTraining }),
  };
  const retrained = epochs > 0 ? (await train(gpu, pruned, data, again)).test!.top1 : undefined;
  const row = {
    id,
    method,
    rate,
    seed,
    ...(rateOfTraining !== undefined && { trainedAt: rateOfTraining }),
    top1: accuracy,
    ...(retrained !== undefined && { retrained }),
  };
  await kept.add(row);
  return row;
}

const shown = (list: readonly (number | undefined)[]): string =>
  known(list).length === 0 ? "" : points(known(list));

const dense = await top1(gpu, graph, test);
await kept.write({ environment: environment(gpu.adapter, nodeHost()), dense, settings });
console.log(`${spec}: ${(100 * dense).toFixed(2)} % of ${test.length} images on ${gpu.adapter.description}`);
console.log(`${layers.length} layers; method, rate, top-1 %${epochs > 0 ? `, after ${epochs} epochs` : ""}`);
for (const rate of o.rates.split(",").map(Number)) {
  for (const method of [...o.methods.split(","), "random"]) {
    const found: FilterRow[] = [];
    const draws = method === "random" ? Number(o.seeds) : 1;
    for (let seed = 1; seed <= draws; seed++) found.push(await measured(method, rate, seed));
    console.log(
      [method, rate, shown(found.map((r) => r.top1)), shown(found.map((r) => r.retrained))].join("\t"),
    );
  }
}
gpu.dispose();
process.exit();
