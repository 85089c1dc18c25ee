// What is a really pruned net worth run dense, run sparse, and with its dead structure removed?
//   npm run bench -- dead lenet5:dns-lenet5-mnist.safetensors --data mnist:DIR --json dead.json
import { Command } from "commander";
import { addMachineOptions, type CommonOptions, print, wholeNumber, writeJson } from "../src/cli/context.ts";
import { startProgress } from "../src/cli/progress.ts";
import { openData } from "../src/data/files.ts";
import { inspectGraph } from "../src/graph/statistics.ts";
import { openModel } from "../src/io/files.ts";
import { type Spread, spread } from "../src/plan/stats.ts";
import { openGpuWithTuning } from "../src/plan/tuning-folder.ts";
import { compact } from "../src/prune/compact.ts";
import { prunableLayers } from "../src/prune/layers.ts";
import { staticTypes } from "../src/prune/types.ts";
import { type Environment, environment, environmentLine } from "../src/report/environment.ts";
import { count } from "../src/report/format.ts";
import { nodeHost } from "../src/report/host.ts";
import { textTable } from "../src/report/table.ts";
import { compile } from "../src/run/compile.ts";
import { evaluate } from "../src/run/evaluate.ts";
import type { CompileOptions } from "../src/run/options.ts";
import { preprocessingOf } from "../src/run/preprocessing.ts";
import type { Session } from "../src/run/session.ts";
import { checkBatch, firstBatch, timeInTurn } from "../src/run/timing.ts";

interface Options extends CommonOptions {
  readonly data: string;
  readonly batch: readonly number[];
  readonly rounds: number;
}

export interface DeadRow {
  readonly model: string;
  readonly batch: number;
  readonly way: string;
  /** Output channels of every layer with weights. */
  readonly channels: string;
  /** Dense multiply-adds of what is run. */
  readonly macs: number;
  readonly nonzeros: number;
  readonly ms: Spread;
  /** Time of the dense way over this one's, round by round. */
  readonly speedup: Spread;
  readonly formats: readonly string[];
  /** Largest relative difference from double precision. */
  readonly maxError: number;
  readonly top1: number;
}

export interface DeadResult {
  readonly environment: Environment;
  readonly rows: readonly DeadRow[];
}

const ways: readonly { readonly way: string; readonly options: CompileOptions }[] = [
  { way: "dense", options: { plan: "dense", compact: false } },
  { way: "CSR", options: { plan: "csr", compact: false } },
  { way: "measured", options: { plan: "measured", compact: false } },
  { way: "compacted, dense", options: { plan: "dense" } },
  { way: "compacted, measured", options: { plan: "measured" } },
];

/** `npm run bench -- dead MODEL …` */
export const deadCommand = (): Command =>
  addMachineOptions(new Command("dead"))
    .description("a really pruned net run dense, sparse, and without its dead structure, timed in turn")
    .argument("<models...>", "MODELs with zeros")
    .requiredOption("--data <data>", "DATA whose test images are run")
    .option(
      "--batch <n>",
      "images per run; may be repeated (1 and 64)",
      (text: string, before: readonly number[] = []) => [...before, wholeNumber("--batch", 1)(text)],
    )
    .option("--rounds <n>", "rounds of timing", wholeNumber("--rounds", 3), 25)
    .option("--json <file>", "also write the result as JSON")
    .allowExcessArguments(false)
    .action(async (models: string[], options: Options) => {
      const test = await openData(options.data, "test");
      const gpu = await openGpuWithTuning({ adapter: options.adapter });
      const progress = startProgress(options);
      const rows: DeadRow[] = [];
      try {
        for (const spec of models) {
          const graph = await openModel(spec, {});
          const { graph: small } = await compact(graph);
          const preprocessing = preprocessingOf(graph, test);
          for (const batch of options.batch ?? [1, 64]) {
            const sessions: Session[] = [];
            try {
              const checked: Pick<DeadRow, "maxError" | "top1">[] = [];
              for (const { way, options: how } of ways) {
                progress.update(`${graph.name}, batch ${batch}: ${way}`, sessions.length, ways.length);
                const session = await compile(gpu, graph, { ...how, batch });
                sessions.push(session);
                const maxError = await checkBatch(
                  session,
                  graph,
                  firstBatch(test, batch, preprocessing, session),
                  2,
                );
                const { top1 } = await evaluate(session, test, preprocessing, {
                  batch,
                  ...(batch < 16 && { limit: 1000 }),
                });
                checked.push({ maxError, top1 });
              }
              const times = await timeInTurn(sessions, options.rounds);
              for (const [i, { way, options: how }] of ways.entries()) {
                const run = how.compact === false ? graph : small;
                const { macs, nonzeros } = inspectGraph(run);
                rows.push({
                  model: graph.name,
                  batch,
                  way,
                  channels: prunableLayers(run, staticTypes(run))
                    .map((l) => l.rows)
                    .join("-"),
                  macs,
                  nonzeros,
                  ms: spread(times[i]!),
                  speedup: spread(times[i]!.map((ms, round) => times[0]![round]! / ms)),
                  formats: sessions[i]!.plan.layers.map((l) => l.format),
                  ...checked[i]!,
                });
              }
            } finally {
              for (const session of sessions) session.dispose();
            }
          }
        }
        const result: DeadResult = { environment: environment(gpu.adapter, nodeHost()), rows };
        progress.stop();
        writeJson(options, result);
        const [head, ...table] = deadTable(result);
        print(options, `${environmentLine(result.environment)}\n\n${textTable(head!, table)}`);
      } finally {
        progress.stop();
        gpu.dispose();
      }
    });

/** Head first. */
export function deadTable({ rows }: DeadResult): string[][] {
  const head = ["model", "batch", "run", "channels", "MACs", "ms", "speed-up", "formats", "top-1 %"];
  return [
    head,
    ...rows.map((r) => [
      r.model,
      String(r.batch),
      r.way,
      r.channels,
      count(r.macs),
      `${r.ms.median.toFixed(3)} (${r.ms.p10.toFixed(3)}-${r.ms.p90.toFixed(3)})`,
      `${r.speedup.median.toFixed(2)} (${r.speedup.p10.toFixed(2)}-${r.speedup.p90.toFixed(2)})x`,
      r.formats.join(" "),
      (100 * r.top1).toFixed(2),
    ]),
  ];
}
