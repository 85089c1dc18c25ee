import { existsSync } from "node:fs";
import { Command } from "commander";
import { openData } from "../../data/files.ts";
import { SecateurError, UsageError } from "../../errors.ts";
import { openModel } from "../../io/files.ts";
import { percent } from "../../report/format.ts";
import { latenciesOf, layerLatency } from "../../sensitivity/latency.ts";
import { sensitivity, usualImages } from "../../sensitivity/scan.ts";
import {
  addCommonOptions,
  type CommonOptions,
  numbers,
  oneOf,
  print,
  wholeNumber,
  withGpu,
  writeJson,
} from "../context.ts";
import { addPreprocessingOptions, type PreprocessingOptions, preprocessingOption } from "../preprocessing.ts";
import { startProgress } from "../progress.ts";
import { interruptible, readScan, writeScan } from "../scan-file.ts";
import { accuracyTable, latencyTable } from "../sensitivity-table.ts";

interface Options extends CommonOptions, PreprocessingOptions {
  readonly data: string;
  readonly method: string;
  readonly granularity?: string;
  readonly sparsities?: number[];
  readonly images: number;
  readonly skip: string[];
  readonly roundTo?: number;
  readonly norm?: "l1" | "l2";
  readonly batch: number;
  readonly latency: boolean;
  readonly resume?: string;
}

const help = `
Every layer is pruned alone, at every share, and two things are measured: the accuracy of the whole net on the last training
images, and the milliseconds of the layer by its fastest kernel on this adapter. Layers whose curve stays flat bear pruning;
those that get faster are worth it. Filters whose channels hang together (residual adds) are one row.

  secateur sensitivity glyphnet --data glyphs
  secateur sensitivity resnet56:w.safetensors --data cifar10:train.bin.gz --resume scan.json
  secateur sensitivity resnet56:w.safetensors --data cifar10:train.bin.gz --granularity filter --no-latency
  secateur prune resnet56:w.safetensors --target-ms 20 --data cifar10:train.bin.gz --sensitivity scan.json -o fast.safetensors

--resume FILE is written whole after every layer: Ctrl-C loses one layer at most, and the same command goes on. What was timed
is kept in the tuning cache of the adapter.`;

export function sensitivityCommand(): Command {
  const command = addCommonOptions(new Command("sensitivity"))
    .description("what each layer bears, and what it gains: accuracy and milliseconds by share removed")
    .argument("<model>", "MODEL, see secateur --help")
    .requiredOption("--data <data>", "DATA, see secateur --help; the last of its training images are used")
    .option("--method <name>", "how weights are scored (secateur methods)", "magnitude")
    .option("--granularity <g>", "element, block2x1 … block16x1 or filter (default: the method's)")
    .option(
      "--sparsities <s,s,…>",
      "shares tried (default: 0.5,0.7,0.8,0.9,0.95; of filters 0.125,0.25,0.375,0.5,0.75)",
      numbers("--sparsities"),
    )
    .option("--images <n>", "images that accuracy is measured on", wholeNumber("--images", 1), usualImages)
    .option(
      "--skip <name>",
      "leave this layer alone; may be repeated",
      (name, list) => [...list, name],
      [] as string[],
    )
    .option("--round-to <n>", "keep channel counts at multiples of n (filter)", wholeNumber("--round-to", 1))
    .option("--norm <norm>", "l1 or l2 for magnitude", oneOf("--norm", ["l1", "l2"]))
    .option(
      "--batch <n>",
      "images of one run that milliseconds are measured at",
      wholeNumber("--batch", 1),
      32,
    )
    .option("--no-latency", "measure accuracy alone")
    .option("--resume <file>", "go on from this file if it is there, and keep what is measured in it")
    .addHelpText("after", help);
  return addPreprocessingOptions(command).action(run);
}

async function run(spec: string, options: Options): Promise<void> {
  if (options.budget !== undefined && !options.latency)
    throw new UsageError("--budget bounds the measuring of milliseconds, which --no-latency leaves out.");
  const graph = await openModel(spec, { seed: options.seed });
  const data = await openData(options.data, "train");
  const resume = await readScan(options.resume);
  const progress = startProgress(options);
  const shared = {
    ...(options.granularity !== undefined && { granularity: options.granularity }),
    ...(options.sparsities && { shares: options.sparsities }),
    ...(options.roundTo !== undefined && { roundTo: options.roundTo }),
    skip: options.skip,
  };
  await withGpu(options, (gpu) =>
    interruptible(async (signal) => {
      try {
        const scan = await sensitivity(gpu, graph, data, {
          ...shared,
          method: options.method,
          images: options.images,
          ...(options.norm && { norm: options.norm }),
          ...(options.seed !== undefined && { seed: options.seed }),
          preprocessing: preprocessingOption(graph, data, options),
          ...(resume && { resume }),
          signal,
          onLayer: (soFar) => writeScan(options.resume, soFar),
          onProgress: (done, total, layer) => progress.update(`accuracy of ${layer}`, done, total),
        });
        const { granularity, shares } = scan.settings;
        const latency = options.latency
          ? latenciesOf(
              await layerLatency(gpu, graph, {
                ...shared,
                granularity,
                shares,
                batch: options.batch,
                ...(options.budget !== undefined && { budget: options.budget }),
                onProgress: (done, total, layer) => progress.update(`timing ${layer}`, done, total),
              }),
            )
          : undefined;
        progress.stop();
        const result = { ...scan, ...(latency && { latency }) };
        writeScan(options.resume, result);
        writeJson(options, result);
        const { model, dense, layers } = scan;
        print(
          options,
          `${model.name}, ${scan.settings.method} by ${granularity}: top-1 on ${scan.data.images} training images, ${percent(dense.top1)} unpruned`,
        );
        print(options, accuracyTable(result));
        for (const { layer, note } of layers) if (note) print(options, `${layer}: ${note}`);
        if (!latency) return;
        print(
          options,
          `\nmilliseconds of one run of ${latency.batch} images on ${gpu.adapter.description}, layer alone`,
        );
        if (gpu.adapter.software)
          print(options, "(a software adapter: ratios count, its milliseconds do not)");
        print(options, latencyTable(result));
      } catch (error) {
        progress.stop();
        const stopped = error instanceof SecateurError && error.code === "E_ABORTED";
        if (stopped && options.resume !== undefined && existsSync(options.resume))
          print(options, `${options.resume} holds what was measured; the same command goes on from it.`);
        throw error;
      } finally {
        progress.stop();
      }
    }),
  );
}
