import type { Graph } from "../graph/graph.ts";
import { inspectGraph } from "../graph/statistics.ts";
import { saveModel } from "../io/files.ts";
import type { PruningManifest } from "../recipes/manifest.ts";
import type { PruningOutcome } from "../recipes/run.ts";
import { count, percent } from "../report/format.ts";
import type { SeedLatency } from "../report/seed-latency.ts";
import { meanOverlap, type Spread, spreadOf } from "../report/stability.ts";
import { textTable } from "../report/table.ts";
import { type CommonOptions, print, writeJson, writeWhole } from "./context.ts";

export interface Repeat {
  readonly seed: number;
  readonly outcome: PruningOutcome;
  readonly manifest: PruningManifest;
  readonly top1?: number;
}

/** A plainer method under the same request. */
export interface Baseline {
  readonly method: string;
  readonly runs: readonly Repeat[];
}

/** Writes the first of the pruned models with its record and manifest. */
export async function saveRuns(
  runs: readonly Repeat[],
  { output }: { readonly output: string },
): Promise<void> {
  const [{ outcome, manifest }] = runs as readonly [Repeat];
  await saveModel(outcome.graph, output);
  writeWhole(`${output}.record.json`, `${JSON.stringify(outcome.record, undefined, 2)}\n`);
  writeWhole(`${output}.manifest.json`, `${JSON.stringify(manifest, undefined, 2)}\n`);
}

/** Says what a pruning came to, on the terminal and as JSON; `extra` goes into the JSON as well. */
export function reportRuns(
  before: Graph,
  runs: readonly Repeat[],
  options: CommonOptions & { readonly output: string },
  beside: readonly Baseline[] = [],
  extra: Readonly<Record<string, unknown>> = {},
  latency?: SeedLatency,
): void {
  const [{ outcome }] = runs as readonly [Repeat];
  const top1 = accuracyOf(runs);
  const jaccard = meanOverlap(runs.map((r) => r.outcome.graph));
  const stability = {
    seeds: runs.map((r) => r.seed),
    ...(top1 && { top1 }),
    ...(jaccard !== undefined && { overlap: jaccard }),
    ...(latency && { latency }),
  };
  writeJson(options, {
    ...outcome.record,
    rounds: outcome.rounds,
    ...extra,
    ...(runs[0]!.top1 !== undefined && { top1: runs[0]!.top1 }),
    ...(runs.length > 1 && { stability }),
    ...(beside.length > 0 && {
      baselines: beside.map((b) => ({
        method: b.method,
        ...(accuracyOf(b.runs) && { top1: accuracyOf(b.runs) }),
      })),
    }),
  });
  const [a, b] = [inspectGraph(before), inspectGraph(outcome.graph)];
  const line = (what: string, x: number, y: number): string =>
    `  ${what.padEnd(11)} ${count(x)} -> ${count(y)} (${x === 0 ? "-" : ((100 * y) / x).toFixed(1)} %)`;
  const rows = [
    `wrote ${options.output}, its record and its manifest`,
    line("parameters", a.parameters, b.parameters),
    line("non-zeros", a.nonzeros, b.nonzeros),
    line("MACs", a.macs, b.macs),
    runs[0]!.top1 !== undefined && `  test top-1  ${percent(runs[0]!.top1)}`,
    runs.length > 1 && top1 && `  ${runs.length} seeds: test top-1 ${shown(top1)}`,
    latency && describeLatency(runs, latency),
    jaccard !== undefined &&
      `  overlap of what was kept, Jaccard index over pairs of seeds: ${jaccard.toFixed(3)}`,
    ...beside.map((b) => {
      const own = accuracyOf(b.runs);
      return own && `  beside it, ${b.method}: test top-1 ${shown(own)}`;
    }),
    "What this buys in milliseconds: secateur compare MODEL PRUNED --data DATA",
  ];
  print(options, rows.filter(Boolean).join("\n"));
}

/** The net of every seed, and what they have in common. */
function describeLatency(runs: readonly Repeat[], latency: SeedLatency): string {
  const { batch, rounds, seeds, ms, speedup, unpruned } = latency;
  const rows = runs.map((run, i) => [
    `${run.seed}`,
    ...(run.top1 === undefined ? [] : [percent(run.top1)]),
    range(seeds[i]!),
    speedup.values[i]!.toFixed(2),
  ]);
  const head = [
    "seed",
    ...(runs[0]!.top1 === undefined ? [] : ["test top-1"]),
    `ms, batch ${batch}`,
    "speed-up",
  ];
  const off = (spread: Spread): string => `${spread.mean.toFixed(2)} ± ${(spread.deviation ?? 0).toFixed(2)}`;
  return [
    `  ${runs.length} seeds: ${off(ms)} ms, ${off(speedup)} times as fast as unpruned, ${range(unpruned)} ms`,
    textTable(head, rows).replace(/^/gm, "  "),
    `  Median (10th-90th percentile) of ${rounds} interleaved rounds on ${latency.adapter}; deviations are over the seeds.`,
  ].join("\n");
}

const range = (s: SeedLatency["unpruned"]): string =>
  `${s.median.toFixed(2)} (${s.p10.toFixed(2)}-${s.p90.toFixed(2)})`;

/** Test accuracy over the seeds; undefined where nothing was measured. */
function accuracyOf(runs: readonly Repeat[]): Spread | undefined {
  const tops = runs.flatMap((r) => (r.top1 === undefined ? [] : [r.top1]));
  return tops.length === 0 ? undefined : spreadOf(tops);
}

const shown = ({ mean, deviation }: Spread): string =>
  deviation === undefined ? percent(mean) : `${percent(mean)} ± ${(deviation * 100).toFixed(2)} points`;
