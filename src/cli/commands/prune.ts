import { Command } from "commander";
import { openData } from "../../data/files.ts";
import { UsageError } from "../../errors.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import { openModel, readFileLimited } from "../../io/files.ts";
import { allocations } from "../../prune/allocations/index.ts";
import { granularityNames, parseGranularity } from "../../prune/granularity.ts";
import { findMethod } from "../../prune/methods/index.ts";
import { recoveries } from "../../prune/recover.ts";
import { baselineOf, plainMethods } from "../../recipes/baseline.ts";
import { allMethods, findRecipe } from "../../recipes/index.ts";
import { parsePruningManifest, pruningManifest, repeatPruning } from "../../recipes/manifest.ts";
import { type PruningRequest, requirements, runPruning } from "../../recipes/run.ts";
import { type SeedLatency, seedLatency } from "../../report/seed-latency.ts";
import {
  addCommonOptions,
  number,
  numbers,
  oneOf,
  planOptions,
  print,
  wholeNumber,
  withGpu,
} from "../context.ts";
import { addPreprocessingOptions } from "../preprocessing.ts";
import { startProgress } from "../progress.ts";
import { type Baseline, type Repeat, reportRuns, saveRuns } from "../pruning-output.ts";
import { leftOut, requestOf, sparsityArgument } from "../pruning-request.ts";
import { modelSeed, type PruneCommandOptions, pruneOnce, seeded } from "../pruning-run.ts";
import { runTarget } from "../target-run.ts";

type Options = PruneCommandOptions;

const collect = (value: string, previous: string[]): string[] => [...previous, value];

const help = `
Nothing but a sparsity is needed: the smallest weights go, over the whole net. Every method brings the granularity, scope
and number of images that it was published with. secateur methods lists them all.

  secateur prune lenet5.safetensors --sparsity 0.9 -o pruned.safetensors
  secateur prune resnet20:w.safetensors --granularity block8x1 --sparsity 0.9 -o blocks.safetensors
  secateur prune lenet5.safetensors --method n:m --granularity 2:4x8 -o groups.safetensors
  secateur prune lenet5.safetensors --method wanda --sparsity 0.8 --data mnist:DIR -o wanda.safetensors
  secateur prune lenet5 --method synflow --sparsity 0.99 -o sparse.safetensors
  secateur prune lenet5.safetensors --sparsity 0.95 --data mnist:DIR --retrain 5 --rounds 4 -o rounds.safetensors
  secateur prune lenet5.safetensors --method thinet --sparsity 0.5 --data mnist:DIR --layer-by-layer --retrain 1 -o thinet.safetensors
  secateur prune lenet300.safetensors --method han --sparsity published:han --data mnist:DIR --retrain 10 -o han.safetensors

  secateur prune vgg16:w.safetensors --method hrank --sparsity published:hrankplus-vgg16-104.78M --data cifar10:train.bin.gz -o vgg.safetensors

--sparsity is one share for the net, shares of layers (conv1=0.3,ip1=0.9; others are left alone), published shares (published:NAME of
weights or, with granularity filter, of filters; secateur methods lists the names and their nets), or Han's thresholds in standard deviations of each layer (quality:conv1=0.25,ip1=0.875). --retrain trains
after every round, under the masks, by the defaults of the net; --set gives a method that trains its own settings (secateur methods --json FILE lists them). Where nine of
ten weights go, a rate near the one that the net was first trained with (--lr) repairs more than the gentle default (Renda et al. 2020, arXiv 2003.02389).

--target-ms and --max-drop solve for the share of every layer: what each bears is scanned (secateur sensitivity), what each gains is
timed, the choice is compiled and measured on this adapter, and corrected until it holds. A target that cannot be met is an error that
names the fastest. The record and the manifest hold the shares: --repeat needs no GPU.

  secateur prune resnet56:w.safetensors --target-ms 20 --data cifar10:train.bin.gz --granularity filter -o fast.safetensors
  secateur prune resnet56:w.safetensors --target-ms 20 --max-drop 2 --data cifar10:train.bin.gz --sensitivity scan.json -o fast.safetensors`;

export function pruneCommand(): Command {
  const command = addCommonOptions(new Command("prune"))
    .description("prunes a model by any method and writes it with the record of what was done")
    .argument("<model>", "MODEL, see secateur --help")
    .option(
      "--method <name>",
      allMethods()
        .map((m) => m.name)
        .join(", "),
      "magnitude",
    )
    .option("--granularity <g>", `${granularityNames.join(", ")} (default: the method's, mostly element)`)
    .option(
      "--sparsity <s>",
      "share removed, from 0 to below 1, or by layer; N:M needs none",
      sparsityArgument,
    )
    .option(
      "--scope <scope>",
      "compare scores global, layer or row (default: the method's; layer for filter, else global)",
      oneOf("--scope", ["global", "layer", "row"]),
    )
    .option(
      "--allocation <name>",
      "how the share is spread over layers",
      oneOf(
        "--allocation",
        allocations.map((a) => a.name),
      ),
    )
    .option("--norm <norm>", "l1 or l2 for magnitude", oneOf("--norm", ["l1", "l2"]))
    .option("--skip <name>", "leave this layer or weight alone; may be repeated", collect, [])
    .option("--round-to <n>", "keep channel counts at multiples of n (filter)", wholeNumber("--round-to", 1))
    .option(
      "--rounding <rule>",
      "kept or removed: whether the count of filters that stay or that go is cut to a whole one (default: the method's)",
      oneOf("--rounding", ["kept", "removed"]),
    )
    .option("--keep-shape", "mask filters instead of removing them")
    .option("--data <data>", "DATA whose training images evidence is gathered and training is done on")
    .option("--images <n>", "images that evidence is gathered on", wholeNumber("--images", 1))
    .option("--limit <n>", "only the first n training images", wholeNumber("--limit", 1))
    .option(
      "--test <data>",
      "DATA that the result is measured on (default: the test half of mnist and glyphs)",
    )
    .option(
      "--rounds <n>",
      "prune in n rounds, each looking at what the last has left",
      wholeNumber("--rounds", 1),
    )
    .option(
      "--spacing <s>",
      "geometric or linear: how sparsity rises over rounds",
      oneOf("--spacing", ["geometric", "linear"]),
    )
    .option(
      "--layer-by-layer",
      "prune one layer after the other, front to back, by what the net so far says; --retrain then trains after every layer",
    )
    .option("--retrain <epochs>", "train this long after every round", wholeNumber("--retrain", 1))
    .option("--lr <rate>", "learning rate of --retrain (default: the net's)", number("--lr", { above: 0 }))
    .option("--batch <n>", "images per step of --retrain", wholeNumber("--batch", 1))
    .option("--weight-decay <d>", "L2 penalty of --retrain", number("--weight-decay", { from: 0 }))
    .option("--l1 <l>", "L1 penalty of --retrain", number("--l1", { from: 0 }))
    .option("--from-scratch", "--retrain from new weights: what is the pruned shape worth by itself?")
    .option(
      "--l1-scales <l>",
      "L1 penalty of --retrain on the scales of BatchNormalization; slimming's lambda",
      number("--l1-scales", { from: 0 }),
    )
    .option(
      "--recover <how>",
      "make up for what went without training: bias, least-squares, or none (default: the method's)",
      oneOf("--recover", [...recoveries, "none"]),
    )
    .option("--recalibrate", "measure BatchNormalization's statistics anew in the end")
    .option("--set <name=value>", "a setting of a method that trains; may be repeated", collect, [])
    .option(
      "--seeds <n>",
      "repeat with n seeds, and say how accuracy, latency (where a GPU is used) and masks vary; the first is written",
      wholeNumber("--seeds", 1),
    )
    .option(
      "--target-ms <ms>",
      "find the share of every layer such that one run takes no more than this, measured here",
      number("--target-ms", { above: 0 }),
    )
    .option(
      "--max-drop <points>",
      "lose no more than so many points of top-1 on validation images; alone: as fast as that allows",
      number("--max-drop", { from: 0, below: 100 }),
    )
    .option(
      "--latency-batch <n>",
      "images of the run that --target-ms means and --seeds times (32)",
      wholeNumber("--latency-batch", 1),
    )
    .option("--sparsities <s,s,…>", "shares that --target-ms chooses from", numbers("--sparsities"))
    .option("--sensitivity <file>", "take and keep the scan of --target-ms in this file (see sensitivity)")
    .option("--baselines", "also prune by random and by magnitude, everything else the same, and compare")
    .option("--repeat <manifest>", "do what OUT.manifest.json says again, and see that the same comes out")
    .requiredOption(
      "-o, --output <file>",
      ".safetensors or .onnx; the record goes beside it as FILE.record.json",
    )
    .addHelpText("after", help);
  return addPreprocessingOptions(command).action(run);
}

/** What of the command line a repeat still takes: where to run, the same images, and where to write. */
const repeatable = ["adapter", "quiet", "json", "seed", "data", "limit", "output", "repeat"];

async function run(spec: string, options: Options, command: Command): Promise<void> {
  if (!/\.(safetensors|onnx)$/.test(options.output)) {
    throw new UsageError(`-o is "${options.output}"; its extension must be .safetensors or .onnx.`);
  }
  if (options.repeat !== undefined) {
    const idle = command.options.find(
      (o) =>
        command.getOptionValueSource(o.attributeName()) === "cli" && !repeatable.includes(o.attributeName()),
    );
    if (idle) throw new UsageError(`--repeat takes everything from its manifest: leave ${idle.long} out.`);
    return repeat(spec, options, options.repeat);
  }
  if (options.targetMs !== undefined || options.maxDrop !== undefined) return runTarget(spec, options);
  if (options.latencyBatch !== undefined && (options.seeds ?? 1) === 1)
    throw new UsageError("--latency-batch goes with --target-ms, --max-drop or --seeds: give one of them.");
  const stray = [
    ["--sparsities", options.sparsities],
    ["--sensitivity", options.sensitivity],
  ].find(([, value]) => value !== undefined);
  if (stray) throw new UsageError(`${stray[0]} goes with --target-ms or --max-drop: give one of them.`);
  checkSparsity(options);
  const graph = await openModel(spec, { seed: modelSeed(spec, options, 0) });
  const request = requestOf(graph, options);
  const left = leftOut(graph, options.sparsity);
  if (left !== undefined) print(options, left);
  const needed = requirements(request);
  for (const name of idleOptions(request, options, needed.data))
    print(options, `${name} changes nothing here: ${options.method} does not look at it`);
  if (needed.data && options.data === undefined) {
    throw new UsageError(
      `${options.retrain !== undefined || options.fromScratch ? "--retrain" : `method ${options.method}`} looks at images: give --data DATA (mnist:DIR, cifar10:FILE, digits:FILE, or glyphs).`,
    );
  }
  const repeats = options.seeds ?? 1;
  const baselines = options.baselines ? plainMethods.filter((method) => method !== options.method) : [];
  if (options.baselines && options.data === undefined && options.test === undefined)
    throw new UsageError("--baselines compares accuracies: give --test DATA, or --data with a test half.");
  if (!needed.gpu && options.data === undefined && options.test === undefined) {
    // Without images there is nothing to measure, and without a GPU nothing to open.
    const runs: Repeat[] = [];
    for (let i = 0; i < repeats; i++) {
      const weights = modelSeed(spec, options, i);
      const model = i === 0 ? graph : await openModel(spec, { seed: weights });
      const asked = seeded(request, options, i);
      const outcome = await runPruning(undefined, model, undefined, asked);
      const manifest = await pruningManifest(undefined, model, undefined, asked, outcome, weights);
      runs.push({ seed: (options.seed ?? 1) + i, outcome, manifest });
    }
    await saveRuns(runs, options);
    return reportRuns(graph, runs, options);
  }
  await withGpu(options, async (gpu) => {
    const runs: Repeat[] = [];
    const beside: Baseline[] = [];
    let latency: SeedLatency | undefined;
    const progress = startProgress(options);
    try {
      for (let i = 0; i < repeats; i++) runs.push(await pruneOnce(gpu, spec, i, graph, options, progress));
      // Before anything else that may fail: hours may lie behind them.
      await saveRuns(runs, options);
      for (const method of baselines) {
        const own: Repeat[] = [];
        for (let i = 0; i < repeats; i++) {
          const plainly = (asked: PruningRequest): PruningRequest =>
            baselineOf(asked, method, graph, runs[i]!.outcome);
          own.push(await pruneOnce(gpu, spec, i, graph, options, progress, plainly));
        }
        beside.push({ method, runs: own });
      }
      if (repeats > 1) {
        latency = await seedLatency(
          gpu,
          graph,
          runs.map((r) => r.outcome.graph),
          {
            ...planOptions(options, "measured"),
            ...(options.latencyBatch !== undefined && { batch: options.latencyBatch }),
            onProgress: progress.update,
          },
        );
      }
    } finally {
      progress.stop();
    }
    reportRuns(graph, runs, options, beside, {}, latency);
  });
}

async function repeat(spec: string, options: Options, file: string): Promise<void> {
  const manifest = parsePruningManifest(new TextDecoder().decode(await readFileLimited(file)));
  const graph = await openModel(spec, { seed: options.seed ?? manifest.model.seed });
  if (manifest.data && options.data === undefined)
    throw new UsageError(`${file} was made with images of ${manifest.data.name}: give the same --data.`);
  const data =
    manifest.data && options.data !== undefined
      ? await openData(options.data, "train", { limit: options.limit })
      : undefined;
  const again = async (gpu?: Gpu): Promise<void> => {
    const outcome = await repeatPruning(gpu, graph, data, manifest);
    const runs = [{ seed: Number(manifest.request["seed"] ?? 0), outcome, manifest }];
    await saveRuns(runs, options);
    reportRuns(graph, runs, options);
  };
  await (manifest.adapter === undefined ? again() : withGpu(options, again));
}

/** Options that were given and that the method never looks at. */
function idleOptions(request: PruningRequest, { images, norm, spacing }: Options, data: boolean): string[] {
  const idle = [
    ["--images", images !== undefined && !data],
    ["--norm", norm !== undefined && request.method !== "magnitude"],
    ["--spacing", spacing !== undefined && (request.rounds ?? 1) === 1],
  ] as const;
  return idle.filter(([, is]) => is).map(([name]) => name);
}

/** Only N:M and surgery, which has thresholds, know what to do without a sparsity. */
function checkSparsity({ method, granularity, sparsity }: Options): void {
  const found = findRecipe(method) ?? findMethod(method);
  const g = parseGranularity(granularity ?? found.defaults?.granularity ?? "element");
  if (sparsity !== undefined || g.kind === "n:m" || method === "dynamic-network-surgery") return;
  throw new UsageError(
    "--sparsity is missing: the share to remove, from 0 to below 1 (0.9 removes 90 %). Only N:M such as --granularity 2:4 fixes it by itself.",
  );
}
