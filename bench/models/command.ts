import { existsSync, readFileSync } from "node:fs";
import { Command } from "commander";
import {
  addMachineOptions,
  addPrecisionOption,
  oneOf,
  print,
  wholeNumber,
  writeJson,
} from "../../src/cli/context.ts";
import { startProgress } from "../../src/cli/progress.ts";
import { FileError, UsageError } from "../../src/errors.ts";
import { environmentLine } from "../../src/report/environment.ts";
import { count } from "../../src/report/format.ts";
import { textTable } from "../../src/report/table.ts";
import { layoutsTable, runLayouts } from "./layouts.ts";
import {
  type Granularity,
  granularities,
  label,
  type ModelsOptions,
  type ModelsResult,
  modelCases,
  otherPlans,
  runModels,
} from "./models.ts";

interface Options {
  readonly quick?: boolean;
  readonly full?: boolean;
  readonly model?: readonly string[];
  readonly sparsity?: readonly number[];
  readonly granularity?: readonly Granularity[];
  readonly plans?: boolean;
  readonly batch?: number;
  readonly tuningCache: boolean;
  readonly json?: string;
  readonly precision?: ModelsOptions["precision"];
  readonly seed: number;
  readonly adapter: ModelsOptions["adapter"];
  readonly quiet?: boolean;
}

const names = modelCases.map((c) => c.arch);

const collectModel = (name: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  oneOf("--model", names)(name),
];

const collectGranularity = (name: string, before: readonly Granularity[] = []): readonly Granularity[] => [
  ...before,
  oneOf("--granularity", granularities)(name),
];

function collectSparsity(text: string, before: readonly number[] = []): readonly number[] {
  const value = Number(text);
  if (!(value > 0 && value < 1))
    throw new UsageError(`--sparsity is ${text}; it is a share between 0 and 1, as in 0.9.`);
  return [...before, value];
}

const noTuningCache = [
  "--no-tuning-cache",
  "neither use nor keep what was measured on this adapter before",
] as const;

const help = `
Images at a time: ${modelCases.map((c) => `${c.batch} for ${c.arch}`).join(", ")}.
Without --full: ${names.slice(0, 3).join(", ")} at 90 %. --full: also ${names.slice(3).join(", ")}, at 50, 70, 80, 90 and 95 %.
--json FILE is written after every net; rows that it holds of other nets stay, if they are of this machine, version and precision.
Every layer is pruned to the same share, by magnitude, with seeded weights: time is measured here, accuracy by \`secateur compare\`.`;

/** `npm run bench -- models …` */
export const modelsCommand = (): Command =>
  addPrecisionOption(addMachineOptions(new Command("models")))
    .description(
      "whole nets, dense and pruned in every granularity, planned by measurement and timed in turn",
    )
    .option("--quick", "one small net and few rounds: a check that all works, not a measurement")
    .option("--full", "all nets and sparsities")
    .option("--model <name>", `only this net (${names.join(", ")}); may be repeated`, collectModel)
    .option("--sparsity <s>", "only this share removed; may be repeated", collectSparsity)
    .option(
      "--granularity <kind>",
      `only this one (${granularities.join(", ")}); may be repeated`,
      collectGranularity,
    )
    .option(
      "--plans",
      "every pruned net also as estimated, dense, csr and block: does the measured plan ever lose?",
    )
    .option("--batch <n>", "images at a time in place of each net's own number", wholeNumber("--batch", 1))
    .option("--json <file>", "also write the result as JSON")
    .option("--seed <n>", "seed of weights and images", wholeNumber("--seed"), 1)
    .option(...noTuningCache)
    .addHelpText("after", help)
    .allowExcessArguments(false)
    .action(async (options: Options) => {
      if (options.quick && options.full) throw new UsageError("--quick and --full exclude each other.");
      const progress = startProgress(options);
      try {
        const usual = options.quick ? ["vgg16"] : options.full ? names : names.slice(0, 3);
        const result = await runModels({
          models: options.model ?? usual,
          sparsities: options.sparsity ?? (options.full ? [0.5, 0.7, 0.8, 0.9, 0.95] : [0.9]),
          ...(options.granularity && { granularities: options.granularity }),
          ...(options.plans && { otherPlans }),
          seed: options.seed,
          adapter: options.adapter,
          tuningCache: options.tuningCache,
          ...(options.batch && { batch: options.batch }),
          quick: options.quick ?? false,
          precision: options.precision,
          before: readBefore(options.json),
          onNet: (soFar) => writeJson(options, soFar),
          onProgress: progress.update,
        });
        progress.stop();
        print(options, table(result));
      } finally {
        progress.stop();
      }
    });

/** `npm run bench -- layouts …` */
export const layoutsCommand = (): Command =>
  addMachineOptions(new Command("layouts"))
    .description(
      "whole nets with batch-innermost and with planar activations, each planned by measurement, in turn",
    )
    .option("--quick", "one net, one batch and few rounds: a check that all works, not a measurement")
    .option("--json <file>", "also write the result as JSON")
    .option("--seed <n>", "seed of weights and images", wholeNumber("--seed"), 1)
    .option(...noTuningCache)
    .allowExcessArguments(false)
    .action(async (options: Options) => {
      const progress = startProgress(options);
      try {
        const result = await runLayouts({
          quick: options.quick ?? false,
          seed: options.seed,
          adapter: options.adapter,
          tuningCache: options.tuningCache,
          onProgress: progress.update,
        });
        progress.stop();
        writeJson(options, result);
        const [head, ...rows] = layoutsTable(result);
        print(options, `${environmentLine(result.environment)}\n\n${textTable(head!, rows)}`);
      } finally {
        progress.stop();
      }
    });

/** The file that the result goes to, where there is one that is such a result already. */
function readBefore(file: string | undefined): ModelsResult | undefined {
  if (file === undefined || !existsSync(file)) return undefined;
  let found: Partial<ModelsResult> | undefined;
  try {
    found = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new FileError("E_FORMAT", `${file} is no JSON: ${(error as Error).message}. Give another --json.`);
  }
  const known = (r: Partial<ModelsResult["rows"][number]>): boolean =>
    modelCases.some((c) => c.arch === r?.model);
  if (found?.environment && Array.isArray(found.rows) && found.rows.every(known))
    return found as ModelsResult;
  throw new FileError("E_FORMAT", `${file} is no result of this benchmark. Give another --json.`);
}

function table({ environment, rows }: ModelsResult): string {
  const head = [
    "model",
    "batch",
    "pruned",
    "ms",
    "speed-up",
    "non-zeros",
    "MACs",
    "layers by format",
    "ms to start",
  ];
  const text = textTable(
    head,
    rows.map((r) => [
      r.model,
      String(r.batch),
      label(r),
      `${r.ms.median.toFixed(1)} (${r.ms.p10.toFixed(1)}-${r.ms.p90.toFixed(1)})`,
      `${r.speedup.median.toFixed(2)} (${r.speedup.p10.toFixed(2)}-${r.speedup.p90.toFixed(2)})x`,
      count(r.nonzeros),
      count(r.macs),
      Object.entries(r.formats)
        .sort((a, b) => b[1] - a[1])
        .map(([format, n]) => `${n} ${format}`)
        .join(", "),
      r.cpuMs.toFixed(2),
    ]),
  );
  return `${environmentLine(environment)}\n\n${text}`;
}
