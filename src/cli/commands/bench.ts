import { Command } from "commander";
import { comparisonTable } from "../../report/comparison-table.ts";
import { nodeHost } from "../../report/host.ts";
import { runMainJob } from "../../report/main-job.ts";
import {
  addCommonOptions,
  type CommonOptions,
  planOptions,
  print,
  wholeNumber,
  withGpu,
  writeJson,
} from "../context.ts";
import { startProgress } from "../progress.ts";

interface Options extends CommonOptions {
  readonly quick?: boolean;
  readonly batch: number;
  readonly rounds?: number;
}

export function benchCommand(): Command {
  return addCommonOptions(new Command("bench"))
    .description(
      "the main job: prunes the built-in net every way and measures what each buys on this machine",
    )
    .option("--quick", "fewer cases and rounds: a check that all works, not a measurement")
    .option("--batch <n>", "images per run", wholeNumber("--batch", 1), 32)
    .option("--rounds <n>", "timing rounds; in each, every model runs once", wholeNumber("--rounds", 3))
    .action(async (options: Options) => {
      await withGpu(options, async (gpu) => {
        const progress = startProgress(options);
        try {
          const result = await runMainJob(gpu, {
            quick: options.quick,
            batch: options.batch,
            rounds: options.rounds,
            seed: options.seed,
            ...planOptions(options, "measured"),
            host: nodeHost(),
            onProgress: progress.update,
          });
          progress.stop();
          const speedups = result.rows.map((r) => [r.name, r.speedup.median] as const);
          writeJson(options, { ...result, summary: { speedup: Object.fromEntries(speedups) } });
          print(options, comparisonTable(result));
        } finally {
          progress.stop();
        }
      });
    });
}
