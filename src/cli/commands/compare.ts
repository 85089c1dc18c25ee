import { basename } from "node:path";
import { Command } from "commander";
import { openData } from "../../data/files.ts";
import { openModel } from "../../io/files.ts";
import { type Contender, compareModels } from "../../report/compare.ts";
import { comparisonTable, planTable } from "../../report/comparison-table.ts";
import { type CountConvention, countConventions } from "../../report/counts.ts";
import { nodeHost } from "../../report/host.ts";
import {
  addCommonOptions,
  addPrecisionOption,
  type CommonOptions,
  oneOf,
  planOptions,
  print,
  several,
  wholeNumber,
  withGpu,
  writeJson,
} from "../context.ts";
import { addPreprocessingOptions, type PreprocessingOptions, preprocessingOption } from "../preprocessing.ts";
import { startProgress } from "../progress.ts";

interface Options extends CommonOptions, PreprocessingOptions {
  readonly data: string;
  readonly batch: number;
  readonly limit?: number;
  readonly rounds: number;
  readonly layers?: boolean;
  readonly count: readonly CountConvention[];
}

export function compareCommand(): Command {
  const command = addPrecisionOption(addCommonOptions(new Command("compare")))
    .description(
      "the proof: accuracy, size and measured milliseconds of a dense model and its pruned versions",
    )
    .argument("<dense>", "MODEL that the others are compared with")
    .argument("<pruned...>", "MODELs, see secateur --help")
    .requiredOption("--data <data>", "DATA, see secateur --help; its test images are used")
    .option("--batch <n>", "images per run", wholeNumber("--batch", 1), 32)
    .option("--limit <n>", "score only the first n images", wholeNumber("--limit", 1))
    .option("--rounds <n>", "timing rounds; in each, every model runs once", wholeNumber("--rounds", 3), 15)
    .option(
      "--count <convention>",
      "also count MACs and parameters as thop-2020 or filters-only (see inspect --help); may be repeated",
      several(oneOf("--count", countConventions)),
      [],
    )
    .option("--layers", "also print the plan of every model, layer by layer");
  return addPreprocessingOptions(command).action(
    async (dense: string, pruned: string[], options: Options) => {
      const dataset = await openData(options.data, "test", { limit: options.limit });
      const contenders: Contender[] = [];
      for (const spec of [dense, ...pruned]) {
        const graph = await openModel(spec, { seed: options.seed });
        contenders.push({
          name: nameOf(spec),
          graph,
          preprocessing: preprocessingOption(graph, dataset, options),
        });
      }
      await withGpu(options, async (gpu) => {
        const progress = startProgress(options);
        try {
          const result = await compareModels(gpu, contenders, dataset, {
            batch: options.batch,
            rounds: options.rounds,
            ...planOptions(options, "measured"),
            counts: options.count,
            host: nodeHost(),
            onProgress: progress.update,
          });
          progress.stop();
          writeJson(options, result);
          print(options, comparisonTable(result));
          if (options.layers) print(options, planTable(result));
        } finally {
          progress.stop();
        }
      });
    },
  );
}

const nameOf = (spec: string): string => basename(spec).replace(/\.(safetensors|onnx)$/, "");
