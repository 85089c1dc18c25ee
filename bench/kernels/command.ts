import { Command } from "commander";
import { addMachineOptions, print, wholeNumber, writeJson } from "../../src/cli/context.ts";
import { startProgress } from "../../src/cli/progress.ts";
import { SecateurError, UsageError } from "../../src/errors.ts";
import { environmentLine } from "../../src/report/environment.ts";
import { textTable } from "../../src/report/table.ts";
import { impossible } from "./contest.ts";
import { crossoverTable, runCrossover } from "./crossover.ts";
import { runF16 } from "./f16.ts";
import { type KernelsOptions, runKernels } from "./kernels.ts";
import { maskRows, runNm } from "./nm.ts";
import { type KernelsResult, kernelsTable, summaryTable } from "./result.ts";
import type { ShapeSet } from "./shapes.ts";

interface Options {
  readonly quick?: boolean;
  readonly full?: boolean;
  readonly resnet56?: boolean;
  readonly batch?: readonly number[];
  readonly only?: string;
  readonly json?: string;
  readonly seed: number;
  readonly adapter: KernelsOptions["adapter"];
  readonly quiet?: boolean;
}

const collect = (text: string, before: readonly number[] = []): readonly number[] => [
  ...before,
  wholeNumber("--batch", 1)(text),
];

function base(name: string, description: string, help: string): Command {
  return shared(new Command(name))
    .description(description)
    .option("--quick", "one shape, few cases and rounds: a check that all works, not a measurement")
    .option("--full", "more shapes")
    .option("--resnet56", "the shapes of ResNet-56 for CIFAR, of 32 images unless said")
    .option("--batch <n>", "images at a time; may be repeated (1 and 8 unless said)", collect)
    .addHelpText("after", help);
}

/** What every benchmark of kernels takes. */
const shared = (command: Command): Command =>
  addMachineOptions(command)
    .option("--only <text>", 'only shapes whose name contains this, as in "3x3"')
    .option("--json <file>", "also write the result as JSON")
    .option("--seed <n>", "seed of the patterns", wholeNumber("--seed"), 1)
    .allowExcessArguments(false);

const explain = `
Times are medians (10th to 90th percentile); "x direct" and "x best" are the times of the fastest dense kernel without and with
Winograd over this one's, round by round. Every kernel is checked against double precision before it is timed.`;

/** `npm run bench -- kernels …` */
export const kernelsCommand = (): Command =>
  base(
    "kernels",
    "dense, CSR and 8x1 kernels per shape and sparsity, in turn on one adapter",
    explain,
  ).action(async (options: Options) => {
    const result = await measure(options, runKernels);
    print(
      options,
      `${environmentLine(result.environment)}\n\n${rooflineLine(result)}\n\n${kernelsTable(result.rows)}\n\n${summaryTable(result)}`,
    );
    refuseImpossible(result);
  });

/** `npm run bench -- crossover …` */
export const crossoverCommand = (): Command =>
  base(
    "crossover",
    "the sparsity from which each format is faster than dense, per shape",
    `${explain}
Every format is measured at 30, 60 and 90 %, then where by these it draws level with the fastest dense kernel without Winograd.`,
  ).action(async (options: Options) => {
    const result = await measure(options, runCrossover);
    const [head, ...rows] = crossoverTable(result);
    print(options, `${environmentLine(result.environment)}\n\n${textTable(head!, rows)}`);
    refuseImpossible(result);
  });

interface NmOptions extends Omit<Options, "quick" | "full" | "batch"> {
  readonly rows?: readonly number[];
}

const collectRows = (text: string, before: readonly number[] = []): readonly number[] => {
  if (!maskRows.map(String).includes(text))
    throw new UsageError(`--rows is "${text}"; it is one of ${maskRows.join(", ")}.`);
  return [...before, Number(text)];
};

/** `npm run bench -- nm …` */
export const nmCommand = (): Command =>
  shared(new Command("nm"))
    .description("masks of N:M in every format that holds them, against dense")
    .option("--rows <n>", "rows that share a mask; may be repeated (1, 4 and 8 unless said)", collectRows)
    .addHelpText("after", explain)
    .action(async (options: NmOptions) => {
      const progress = startProgress(options);
      try {
        const result = await runNm({ ...options, onProgress: progress.update }, options.rows ?? maskRows);
        writeJson(options, result);
        print(options, `${environmentLine(result.environment)}\n\n${kernelsTable(result.rows)}`);
        refuseImpossible(result);
      } finally {
        progress.stop();
      }
    });

/** `npm run bench -- f16 …` */
export const f16Command = (): Command =>
  shared(new Command("f16"))
    .description("kernels that load activations in half precision, and matrix units, beside those in f32")
    .addHelpText("after", explain)
    .action(async (options: Omit<Options, "quick" | "full" | "batch">) => {
      const progress = startProgress(options);
      try {
        const result = await runF16({ ...options, onProgress: progress.update });
        writeJson(options, result);
        print(options, `${environmentLine(result.environment)}\n\n${kernelsTable(result.rows)}`);
        refuseImpossible(result);
      } finally {
        progress.stop();
      }
    });

const batchesOf: Readonly<Record<ShapeSet, readonly number[]>> = {
  quick: [8],
  default: [1, 8],
  full: [1, 8],
  resnet56: [32],
};

async function measure<T>(options: Options, run: (how: KernelsOptions) => Promise<T>): Promise<T> {
  const sets = (["quick", "full", "resnet56"] as const).filter((set) => options[set]);
  if (sets.length > 1)
    throw new UsageError(`${sets.map((set) => `--${set}`).join(" and ")} exclude each other.`);
  const [set = "default"] = sets;
  const progress = startProgress(options);
  try {
    const result = await run({
      set,
      batches: options.batch ?? batchesOf[set],
      only: options.only,
      seed: options.seed,
      adapter: options.adapter,
      onProgress: progress.update,
    });
    writeJson(options, result);
    return result;
  } finally {
    progress.stop();
  }
}

function rooflineLine({ rooflines: r }: KernelsResult): string {
  const shown = (rates: Readonly<Record<string, number>>): string =>
    Object.entries(rates)
      .map(([rows, rate]) => `${rows}: ${rate.toFixed(0)}`)
      .join(", ");
  return (
    `rooflines: ${r.fmaGflops.toFixed(0)} GFLOP/s out of registers, ${r.copyGBs.toFixed(1)} GB/s copied; GFLOP/s with so many ` +
    `multiply-adds per vec4 loaded from memory: ${shown(r.reuseGflops)}` +
    (r.texelGflops ? `; from a texture: ${shown(r.texelGflops)}` : "")
  );
}

function refuseImpossible({ rows }: Pick<KernelsResult, "rows">): void {
  const [worst] = impossible(rows);
  if (!worst) return;
  throw new SecateurError(
    "E_VERIFY",
    `${worst.kind} at ${(100 * worst.sparsity).toFixed(0)} % of ${worst.shape}, batch ${worst.batch}, is ${worst.vsDirect.median.toFixed(2)} times as fast as dense; ` +
      `leaving the zeros out gives at most ${(1 / (1 - worst.sparsity)).toFixed(2)}. The dense side is weak there, or the machine was busy: measure again.`,
  );
}
