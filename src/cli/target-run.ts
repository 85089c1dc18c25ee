import { openData } from "../data/files.ts";
import { SecateurError, UsageError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { openModel } from "../io/files.ts";
import type { Spread } from "../plan/stats.ts";
import { parseGranularity } from "../prune/granularity.ts";
import { pruningManifest } from "../recipes/manifest.ts";
import { requirements } from "../recipes/run.ts";
import { pruneToTarget, type TargetReport } from "../recipes/target.ts";
import { percent } from "../report/format.ts";
import { print, withGpu } from "./context.ts";
import { preprocessingOption } from "./preprocessing.ts";
import { startProgress } from "./progress.ts";
import { reportRuns, saveRuns } from "./pruning-output.ts";
import { modelSeed, type PruneCommandOptions, requestFor, testTop1 } from "./pruning-run.ts";
import { interruptible, readScan, writeScan } from "./scan-file.ts";

/** `prune --target-ms` and `--max-drop`: shares are solved for, not given. */
export async function runTarget(spec: string, options: PruneCommandOptions): Promise<void> {
  checkArguments(options);
  const graph = await openModel(spec, { seed: options.seed });
  const data = await openData(options.data!, "train", { limit: options.limit });
  const resume = await readScan(options.sensitivity);
  await withGpu(options, (gpu) => interruptible((signal) => work(gpu, signal)));

  async function work(gpu: Gpu, signal: AbortSignal): Promise<void> {
    const progress = startProgress(options);
    try {
      const { sparsity: _, ...request } = requestFor(spec, graph, data, options, 0, progress);
      const {
        outcome,
        report,
        request: found,
      } = await pruneToTarget(gpu, graph, data, {
        request,
        ...(options.targetMs !== undefined && { targetMs: options.targetMs }),
        ...(options.maxDrop !== undefined && { maxDrop: options.maxDrop / 100 }),
        ...(options.latencyBatch !== undefined && { batch: options.latencyBatch }),
        ...(options.budget !== undefined && { budget: options.budget }),
        preprocessing: preprocessingOption(graph, data, options),
        scan: {
          ...(options.sparsities && { shares: options.sparsities }),
          ...(resume && { resume }),
          signal,
          onLayer: (soFar) => writeScan(options.sensitivity, soFar),
        },
        onProgress: progress.update,
        onAttempt: ({ predicted, measured, top1 }) => {
          progress.stop();
          print(
            options,
            `tried: ${predicted.toFixed(2)} ms predicted, ${shown(measured)} measured, validation top-1 ${percent(top1)}`,
          );
        },
      });
      const needed = requirements(found);
      // Shares that are known need neither images nor a device, unless the method or the training does.
      const manifest = await pruningManifest(
        needed.gpu ? gpu : undefined,
        graph,
        needed.data ? data : undefined,
        found,
        outcome,
        modelSeed(spec, options, 0),
      );
      const top1 = await testTop1(gpu, outcome.graph, options, progress);
      const run = { seed: options.seed ?? 1, outcome, ...(top1 !== undefined && { top1 }) };
      const runs = [{ ...run, manifest: { ...manifest, target: { ...report } } }];
      await saveRuns(runs, options);
      reportRuns(graph, runs, options, [], { target: report });
      print(options, describe(report));
      const { targetMs } = report;
      if (targetMs !== undefined && report.measured.median > targetMs) {
        throw new SecateurError(
          "E_PRUNE",
          `after retraining the net takes ${shown(report.measured)}, more than ${targetMs} ms. It is written all the same; ask for a little less.`,
        );
      }
    } finally {
      progress.stop();
    }
  }
}

function checkArguments(options: PruneCommandOptions): void {
  const aim = options.targetMs !== undefined ? "--target-ms" : "--max-drop";
  const contrary = [
    ["--sparsity", options.sparsity],
    ["--scope", options.scope],
    ["--allocation", options.allocation],
    ["--seeds", options.seeds],
    ["--baselines", options.baselines],
  ] as const;
  const stray = contrary.find(([, value]) => value !== undefined);
  if (stray) throw new UsageError(`${aim} finds the share of every layer: leave ${stray[0]} out.`);
  if (options.data === undefined) {
    throw new UsageError(
      `${aim} measures what each layer bears: give --data DATA (mnist:DIR, cifar10:FILE, digits:FILE, or glyphs).`,
    );
  }
  if (options.plan !== undefined && options.plan !== "measured")
    throw new UsageError(`${aim} compiles with a measured plan: leave --plan out.`);
  const g = options.granularity === undefined ? undefined : parseGranularity(options.granularity);
  if (g?.kind === "n:m")
    throw new UsageError(`granularity ${options.granularity} fixes every share; ${aim} needs another.`);
}

function describe(r: TargetReport): string {
  const { before, after, retrained } = r.top1;
  const speed = r.dense.median / r.measured.median;
  const rows = [
    r.targetMs !== undefined && `  target      ${r.targetMs} ms at batch ${r.batch}`,
    r.maxDrop !== undefined &&
      `  most lost   ${+(100 * r.maxDrop).toFixed(2)} points on ${r.images} validation images`,
    `  predicted   ${r.predicted.toFixed(2)} ms by the layers' own latencies`,
    `  measured    ${shown(r.measured)}; unpruned ${shown(r.dense)}, ${speed.toFixed(2)}x`,
    `  validation  top-1 ${percent(before)} -> ${percent(after)}${retrained === undefined ? "" : ` -> ${percent(retrained)} after retraining`}`,
    `  on          ${r.adapter}; ${Object.keys(r.shares).length} layers pruned, ${r.attempts.length} nets measured`,
  ];
  return rows.filter(Boolean).join("\n");
}

const shown = (s: Spread): string => `${s.median.toFixed(2)} ms (${s.p10.toFixed(2)}-${s.p90.toFixed(2)})`;
