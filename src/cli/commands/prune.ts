import { Command } from "commander";
import { openData } from "../../data/files.ts";
import { UsageError } from "../../errors.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import type { Graph } from "../../graph/graph.ts";
import { inspectGraph } from "../../graph/statistics.ts";
import { openModel, readFileLimited, saveModel } from "../../io/files.ts";
import { allocations } from "../../prune/allocations/index.ts";
import { granularityNames, parseGranularity } from "../../prune/granularity.ts";
import { findMethod } from "../../prune/methods/index.ts";
import { recoveries } from "../../prune/recover.ts";
import { allMethods, findRecipe } from "../../recipes/index.ts";
import {
  type PruningManifest,
  parsePruningManifest,
  pruningManifest,
  repeatPruning,
} from "../../recipes/manifest.ts";
import { type PruningOutcome, type PruningRequest, requirements, runPruning } from "../../recipes/run.ts";
import { count, percent } from "../../report/format.ts";
import { meanOverlap, type Spread, spreadOf } from "../../report/stability.ts";
import { compile } from "../../run/compile.ts";
import { evaluate } from "../../run/evaluate.ts";
import {
  addCommonOptions,
  type CommonOptions,
  number,
  oneOf,
  print,
  wholeNumber,
  withGpu,
  writeJson,
  writeWhole,
} from "../context.ts";
import { addPreprocessingOptions, type PreprocessingOptions, preprocessingOption } from "../preprocessing.ts";
import { startProgress } from "../progress.ts";
import { type PruneArguments, requestOf, sparsityArgument } from "../pruning-request.ts";
import { wasTrained } from "../trained.ts";

interface Options extends CommonOptions, PreprocessingOptions, PruneArguments {
  readonly data?: string;
  readonly test?: string;
  readonly limit?: number;
  readonly seeds?: number;
  readonly baselines?: boolean;
  readonly repeat?: string;
  readonly output: string;
}

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
  secateur prune lenet300.safetensors --method han --sparsity published:han --data mnist:DIR --retrain 10 -o han.safetensors

--sparsity is one share for the net, shares of layers (conv1=0.3,ip1=0.9; others are left alone), a published list
(published:han), or Han's thresholds in standard deviations of each layer (quality:conv1=0.25,ip1=0.875). --retrain trains after every round, under the masks, by the defaults of the net; --set gives a method
that trains its own settings (secateur methods --json FILE lists them).`;

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
    .option("--retrain <epochs>", "train this long after every round", wholeNumber("--retrain", 1))
    .option("--lr <rate>", "learning rate of --retrain (default: the net's)", number("--lr", { above: 0 }))
    .option("--batch <n>", "images per step of --retrain", wholeNumber("--batch", 1))
    .option("--weight-decay <d>", "L2 penalty of --retrain", number("--weight-decay", { from: 0 }))
    .option("--l1 <l>", "L1 penalty of --retrain", number("--l1", { from: 0 }))
    .option("--from-scratch", "--retrain from new weights: what is the pruned shape worth by itself?")
    .option("--recover <how>", "make up for what went without training", oneOf("--recover", recoveries))
    .option("--recalibrate", "measure BatchNormalization's statistics anew in the end")
    .option("--set <name=value>", "a setting of a method that trains; may be repeated", collect, [])
    .option(
      "--seeds <n>",
      "repeat with n seeds, and say how accuracy and masks vary; the first is written",
      wholeNumber("--seeds", 1),
    )
    .option("--baselines", "also prune by random and by magnitude, everything else the same, and compare")
    .option("--repeat <manifest>", "do what OUT.manifest.json says again, and see that the same comes out")
    .requiredOption(
      "-o, --output <file>",
      ".safetensors or .onnx; the record goes beside it as FILE.record.json",
    )
    .addHelpText("after", help);
  return addPreprocessingOptions(command).action(run);
}

interface Repeat {
  readonly seed: number;
  readonly outcome: PruningOutcome;
  readonly manifest: PruningManifest;
  readonly top1?: number;
}

/** A plainer method under the same request. */
interface Baseline {
  readonly method: string;
  readonly runs: readonly Repeat[];
}

async function run(spec: string, options: Options): Promise<void> {
  if (!/\.(safetensors|onnx)$/.test(options.output)) {
    throw new UsageError(`-o is "${options.output}"; its extension must be .safetensors or .onnx.`);
  }
  if (options.repeat !== undefined) return repeat(spec, options, options.repeat);
  checkSparsity(options);
  const graph = await openModel(spec, { seed: options.seed });
  const request = requestOf(graph, options);
  const needed = requirements(request);
  if (needed.data && options.data === undefined) {
    throw new UsageError(
      `${options.retrain !== undefined || options.fromScratch ? "--retrain" : `method ${options.method}`} looks at images: give --data DATA (mnist:DIR, cifar10:FILE, digits:FILE, or glyphs).`,
    );
  }
  const repeats = options.seeds ?? 1;
  if (options.baselines && options.data === undefined && options.test === undefined)
    throw new UsageError("--baselines compares accuracies: give --test DATA, or --data with a test half.");
  if (!needed.gpu && options.data === undefined && options.test === undefined) {
    // Without images there is nothing to measure, and without a GPU nothing to open.
    const runs: Repeat[] = [];
    for (let i = 0; i < repeats; i++) {
      const seed = (options.seed ?? 1) + i;
      const model = i === 0 ? graph : await again(spec, options, seed);
      const asked = seeded(request, options, i);
      const outcome = await runPruning(undefined, model, undefined, asked);
      const manifest = await pruningManifest(undefined, model, undefined, asked, outcome);
      runs.push({ seed, outcome, manifest });
    }
    return finish(graph, runs, options);
  }
  await withGpu(options, async (gpu) => {
    const runs: Repeat[] = [];
    const beside: Baseline[] = [];
    const progress = startProgress(options);
    try {
      for (let i = 0; i < repeats; i++) runs.push(await once(gpu, spec, i, graph, options, progress));
      for (const method of options.baselines ? ["random", "magnitude"] : []) {
        if (method === options.method) continue;
        const plain = { ...options, method, set: [] };
        const own: Repeat[] = [];
        for (let i = 0; i < repeats; i++) own.push(await once(gpu, spec, i, graph, plain, progress));
        beside.push({ method, runs: own });
      }
    } finally {
      progress.stop();
    }
    await finish(graph, runs, options, beside);
  });
}

async function repeat(spec: string, options: Options, file: string): Promise<void> {
  const manifest = parsePruningManifest(new TextDecoder().decode(await readFileLimited(file)));
  const seed = manifest.request["seed"];
  const graph = await openModel(spec, {
    seed: options.seed ?? (typeof seed === "number" ? seed : undefined),
  });
  if (manifest.data && options.data === undefined)
    throw new UsageError(`${file} was made with images of ${manifest.data.name}: give the same --data.`);
  const data =
    manifest.data && options.data !== undefined
      ? await openData(options.data, "train", { limit: options.limit })
      : undefined;
  const again = async (gpu?: Gpu): Promise<void> => {
    const outcome = await repeatPruning(gpu, graph, data, manifest);
    await finish(graph, [{ seed: Number(seed ?? 0), outcome, manifest }], options);
  };
  await (manifest.adapter === undefined ? again() : withGpu(options, again));
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

/** The model for another seed: a bare ARCH has other weights, a trained one the same. */
const again = (spec: string, options: Options, seed: number): Promise<Graph> =>
  openModel(spec, { seed: wasTrained(spec, options.seed) ? undefined : seed });

/** The request with the seed of repeat `i`; without --seed and --seeds, prune's own default. */
const seeded = (request: ReturnType<typeof requestOf>, options: Options, i: number) =>
  options.seed === undefined && options.seeds === undefined
    ? request
    : { ...request, seed: (options.seed ?? 1) + i };

async function once(
  gpu: Gpu,
  spec: string,
  i: number,
  first: Graph,
  options: Options,
  progress: ReturnType<typeof startProgress>,
): Promise<Repeat> {
  const seed = (options.seed ?? 1) + i;
  const graph = i === 0 ? first : await again(spec, options, seed);
  const data =
    options.data === undefined ? undefined : await openData(options.data, "train", { limit: options.limit });
  const request = seeded(requestOf(graph, options), options, i);
  const preprocessing = data && preprocessingOption(graph, data, options);
  const asked: PruningRequest = {
    ...request,
    collect: {
      ...request.collect,
      ...(preprocessing && { preprocessing }),
      onProgress: (done, total) => progress.update("gathering evidence", done, total),
    },
    // Methods that train do so by the defaults of the net where nothing is said.
    ...((request.train || findRecipe(request.method)?.kind === "training") && {
      train: {
        fineTune: wasTrained(spec, options.seed),
        ...request.train,
        ...(preprocessing && { preprocessing }),
        onProgress: (p) =>
          progress.update(
            `epoch ${p.epoch}/${p.epochs} | loss ${p.loss.toFixed(4)}`,
            (p.epoch - 1) * p.steps + p.step,
            p.epochs * p.steps,
          ),
      },
    }),
    onRound: (r) => {
      progress.stop();
      print(
        options,
        `round ${r.round} of ${r.rounds}: ${percent(r.sparsity)} removed, validation top-1 ${percent(r.top1)}`,
      );
    },
  };
  const outcome = await runPruning(gpu, graph, data, asked);
  const manifest = await pruningManifest(gpu, graph, data, asked, outcome);
  const own = options.data && /^(mnist:|glyphs$)/.test(options.data) ? options.data : undefined;
  const test = options.test ?? own;
  if (test === undefined) return { seed, outcome, manifest };
  const unseen = await openData(test, "test", { limit: options.limit });
  const session = await compile(gpu, outcome.graph, { batch: Math.min(100, unseen.length) });
  try {
    const { top1 } = await evaluate(session, unseen, preprocessingOption(outcome.graph, unseen, options), {
      batch: 100,
      onProgress: (done, total) => progress.update("measuring", done, total),
    });
    return { seed, outcome, manifest, top1 };
  } finally {
    session.dispose();
    progress.stop();
  }
}

async function finish(
  before: Graph,
  runs: readonly Repeat[],
  options: Options,
  beside: readonly Baseline[] = [],
): Promise<void> {
  const [{ outcome, manifest }] = runs as readonly [Repeat];
  await saveModel(outcome.graph, options.output);
  writeWhole(`${options.output}.record.json`, `${JSON.stringify(outcome.record, undefined, 2)}\n`);
  writeWhole(`${options.output}.manifest.json`, `${JSON.stringify(manifest, undefined, 2)}\n`);
  const top1 = accuracyOf(runs);
  const jaccard = meanOverlap(runs.map((r) => r.outcome.graph));
  const stability = {
    seeds: runs.map((r) => r.seed),
    ...(top1 && { top1 }),
    ...(jaccard !== undefined && { overlap: jaccard }),
  };
  writeJson(options, {
    ...outcome.record,
    rounds: outcome.rounds,
    ...(runs[0]!.top1 !== undefined && { top1: runs[0]!.top1 }),
    ...(runs.length > 1 && { stability }),
    ...(beside.length > 0 && {
      baselines: beside.map((b) => ({
        method: b.method,
        ...(accuracyOf(b.runs) && { top1: accuracyOf(b.runs) }),
      })),
    }),
  });
  const [a, b] = [inspectGraph(before), inspectGraph(outcome.graph)];
  const line = (what: string, x: number, y: number): string =>
    `  ${what.padEnd(11)} ${count(x)} -> ${count(y)} (${x === 0 ? "-" : ((100 * y) / x).toFixed(1)} %)`;
  const rows = [
    `wrote ${options.output}, its record and its manifest`,
    line("parameters", a.parameters, b.parameters),
    line("non-zeros", a.nonzeros, b.nonzeros),
    line("MACs", a.macs, b.macs),
    runs[0]!.top1 !== undefined && `  test top-1  ${percent(runs[0]!.top1)}`,
    runs.length > 1 && top1 && `  ${runs.length} seeds: test top-1 ${shown(top1)}`,
    jaccard !== undefined &&
      `  overlap of what was kept, Jaccard index over pairs of seeds: ${jaccard.toFixed(3)}`,
    ...beside.map((b) => {
      const own = accuracyOf(b.runs);
      return own && `  beside it, ${b.method}: test top-1 ${shown(own)}`;
    }),
    "What this buys in milliseconds: secateur compare MODEL PRUNED --data DATA",
  ];
  print(options, rows.filter(Boolean).join("\n"));
}

/** Test accuracy over the seeds; undefined where nothing was measured. */
function accuracyOf(runs: readonly Repeat[]): Spread | undefined {
  const tops = runs.flatMap((r) => (r.top1 === undefined ? [] : [r.top1]));
  return tops.length === 0 ? undefined : spreadOf(tops);
}

const shown = ({ mean, deviation }: Spread): string =>
  deviation === undefined ? percent(mean) : `${percent(mean)} ± ${(deviation * 100).toFixed(2)} points`;
