import { existsSync } from "node:fs";
import { Command } from "commander";
import { addMachineOptions, type CommonOptions, print, wholeNumber } from "../../src/cli/context.ts";
import { type Progress, startProgress } from "../../src/cli/progress.ts";
import type { Dataset } from "../../src/data/dataset.ts";
import { openData } from "../../src/data/files.ts";
import { UsageError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { openModel, saveModel } from "../../src/io/files.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { openGpuWithTuning } from "../../src/plan/tuning-folder.ts";
import { allMethods } from "../../src/recipes/index.ts";
import { train } from "../../src/train/train.ts";
import { structuredSparsity, unstructuredSparsity } from "./entrants.ts";
import { runMethods } from "./methods.ts";
import { methodsTable } from "./result.ts";

interface Options extends CommonOptions {
  readonly data: string;
  readonly model?: string;
  readonly method?: readonly string[];
  readonly seeds: number;
  readonly epochs: number;
  readonly limit: number;
  readonly testLimit?: number;
  readonly latency: boolean;
}

const help = `
Unstructured methods leave ${(100 * (1 - unstructuredSparsity)).toFixed(0)} % of the weights, structured ones ${(100 * (1 - structuredSparsity)).toFixed(0)} % of the filters of every layer but the last; all are retrained for
as many epochs on as many images (methods that train by themselves spend the same epochs), with as many seeds. With --json
a run that was stopped goes on: rows that FILE holds under the same settings are not measured again.

  npm run bench -- methods --data mnist:DIR --json methods.json
  npm run bench -- methods --data mnist:DIR --model lenet5.safetensors --method hrank --method random --seeds 5`;

/** `npm run bench -- methods …` */
export const methodsCommand = (): Command =>
  addMachineOptions(new Command("methods"))
    .description(
      "every pruning method on one net: equal kept weights or multiply-adds, equal retraining, beside random",
    )
    .requiredOption("--data <data>", "DATA to retrain on, with a test half: mnist:DIR or glyphs")
    .option("--model <model>", "the trained net that all begin with (default: a LeNet-5 trained here first)")
    .option("--method <name>", "only this method; may be repeated", collectMethod)
    .option("--seeds <n>", "seeds of every row", wholeNumber("--seeds", 1), 3)
    .option("--epochs <n>", "epochs of retraining, an even number", wholeNumber("--epochs", 2), 2)
    .option("--limit <n>", "training images of the retraining", wholeNumber("--limit", 1), 3200)
    .option("--test-limit <n>", "test images (default: all)", wholeNumber("--test-limit", 1))
    .option("--no-latency", "without accuracy against measured latency")
    .option("--json <file>", "keep the rows in this file, and go on from it")
    .addHelpText("after", help)
    .allowExcessArguments(false)
    .action(async (options: Options) => {
      if (options.epochs % 2 !== 0)
        throw new UsageError(
          `--epochs is ${options.epochs}; some methods train twice, so an even number is needed.`,
        );
      const data = await openData(options.data, "train", { limit: options.limit });
      const test = await openData(options.data, "test", { limit: options.testLimit });
      const gpu = await openGpuWithTuning({ adapter: options.adapter });
      const progress = startProgress(options);
      try {
        const graph = await startingNet(gpu, options, data, progress);
        const result = await runMethods(gpu, {
          graph,
          data,
          test,
          seeds: options.seeds,
          epochs: options.epochs,
          latency: options.latency,
          file: options.json,
          ...(options.method && { only: options.method }),
          onProgress: progress.update,
        });
        progress.stop();
        print(options, methodsTable(result));
      } finally {
        progress.stop();
        gpu.dispose();
      }
    });

const names = allMethods().map((m) => m.name);

function collectMethod(name: string, before: readonly string[] = []): readonly string[] {
  if (names.includes(name)) return [...before, name];
  throw new UsageError(`--method is "${name}"; it is one of ${names.join(", ")}.`);
}

/** The net that was named, or a LeNet-5 that is trained once and kept beside the JSON file. */
async function startingNet(
  gpu: Gpu,
  { model, json, data: spec }: Options,
  data: Dataset,
  progress: Progress,
): Promise<Graph> {
  if (model !== undefined) return openModel(model, {});
  const file = json?.replace(/(\.json)?$/, ".lenet5.safetensors");
  if (file !== undefined && existsSync(file)) return openModel(file, {});
  const whole = spec === "glyphs" ? data : await openData(spec, "train");
  const net = buildNet("lenet5", { seed: 1 });
  const { graph } = await train(gpu, net, whole, {
    seed: 1,
    onProgress: (p) =>
      progress.update("training LeNet-5", (p.epoch - 1) * p.steps + p.step, p.epochs * p.steps),
  });
  if (file !== undefined) await saveModel(graph, file);
  return graph;
}
