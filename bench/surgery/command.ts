import { Command } from "commander";
import { addMachineOptions, type CommonOptions, number, print, wholeNumber } from "../../src/cli/context.ts";
import { startProgress } from "../../src/cli/progress.ts";
import { sparsityArgument } from "../../src/cli/pruning-request.ts";
import { openData } from "../../src/data/files.ts";
import { UsageError } from "../../src/errors.ts";
import { openModel } from "../../src/io/files.ts";
import { openGpuWithTuning } from "../../src/plan/tuning-folder.ts";
import { percent } from "../../src/report/format.ts";
import { type AttemptRow, operate } from "./surgery.ts";

interface Options extends CommonOptions {
  readonly data: string;
  readonly sparsity: ReturnType<typeof sparsityArgument>;
  readonly epochs: number;
  readonly lr: number;
  readonly stop: number;
  readonly gamma: number;
  readonly limit?: number;
  readonly json: string;
}

const help = `
Every attempt is a row of FILE; one that was stopped goes on from FILE.….checkpoint when the same command is given again, and
the net of the last one lies in FILE's place with the extension .safetensors.

  npm run bench -- surgery lenet5.safetensors --data mnist:DIR --json surgery.json`;

/** Shares cut by the first operation on LeNet-5; what grows back is about what goes later. */
const usual = "conv1=0.7,conv2=0.95,ip1=0.991,ip2=0.92";

/** `npm run bench -- surgery MODEL …` */
export const surgeryCommand = (): Command =>
  addMachineOptions(new Command("surgery"))
    .description("dynamic network surgery on a trained net: one resumable attempt, recorded with all others")
    .argument("<model>", "MODEL, trained")
    .requiredOption("--data <data>", "DATA to train on, with a test half: mnist:DIR or glyphs")
    .requiredOption("--json <file>", "keeps the attempts")
    .option(
      "--sparsity <list>",
      "share that the first operation cuts, by layer",
      sparsityArgument,
      sparsityArgument(usual),
    )
    .option("--epochs <n>", "epochs", wholeNumber("--epochs", 1), 8)
    .option("--lr <rate>", "learning rate at the start", number("--lr", { above: 0 }), 0.01)
    .option(
      "--stop <share>",
      "share of the training after which masks stay",
      number("--stop", { from: 0 }),
      0.6,
    )
    .option(
      "--gamma <g>",
      "masks change with probability (1 + g · step)^-1",
      number("--gamma", { from: 0 }),
      1e-4,
    )
    .option("--limit <n>", "only the first n training images", wholeNumber("--limit", 1))
    .option("--seed <n>", "seed of the draws and of the order of images", wholeNumber("--seed"), 1)
    .addHelpText("after", help)
    .allowExcessArguments(false)
    .action(async (model: string, options: Options) => {
      const { sparsity } = options;
      if (sparsity.kind !== "layers")
        throw new UsageError("--sparsity takes shares by layer here, such as conv1=0.7,ip1=0.99.");
      const graph = await openModel(model, {});
      const data = await openData(options.data, "train", { limit: options.limit });
      const test = await openData(options.data, "test");
      const gpu = await openGpuWithTuning({ adapter: options.adapter });
      const progress = startProgress(options);
      try {
        const row = await operate(
          gpu,
          {
            sparsity: sparsity.shares,
            epochs: options.epochs,
            rate: options.lr,
            seed: options.seed ?? 1,
            settings: { stop: options.stop, gamma: options.gamma },
          },
          {
            graph,
            data,
            test,
            file: options.json,
            onProgress: (p) =>
              progress.update(
                `epoch ${p.epoch}/${p.epochs} | loss ${p.loss.toFixed(4)}`,
                (p.epoch - 1) * p.steps + p.step,
                p.epochs * p.steps,
              ),
          },
        );
        progress.stop();
        print(options, told(row));
      } finally {
        progress.stop();
        gpu.dispose();
      }
    });

const told = (r: AttemptRow): string =>
  `${r.compression.toFixed(1)}x fewer learned values, test error ${percent(1 - r.test)} (validation ${percent(1 - r.validation)})
  kept      ${Object.entries(r.kept)
    .map(([name, share]) => `${name} ${(100 * share).toFixed(2)} %`)
    .join(", ")}
  channels  ${Object.entries(r.channels)
    .map(([name, n]) => `${name} ${n}`)
    .join(", ")} after compaction`;
