import { existsSync, rmSync } from "node:fs";
import { Command } from "commander";
import type { Augmentation } from "../../data/batches.ts";
import { openData } from "../../data/files.ts";
import { FileError, printable, SecateurError, UsageError } from "../../errors.ts";
import type { Graph } from "../../graph/graph.ts";
import { openModel, readFileLimited, saveModel } from "../../io/files.ts";
import { percent } from "../../report/format.ts";
import { type Checkpoint, readCheckpoint, writeCheckpoint } from "../../train/checkpoint.ts";
import { defaultsFor } from "../../train/defaults.ts";
import type { TrainOptions, TrainResult } from "../../train/options.ts";
import { parseSchedule } from "../../train/schedule.ts";
import { train } from "../../train/train.ts";
import {
  addCommonOptions,
  type CommonOptions,
  number,
  oneOf,
  planOption,
  print,
  wholeNumber,
  withGpu,
  writeJson,
  writeWhole,
} from "../context.ts";
import { addPreprocessingOptions, type PreprocessingOptions, preprocessingOption } from "../preprocessing.ts";
import { startProgress } from "../progress.ts";
import { wasTrained } from "../trained.ts";

interface Options extends CommonOptions, PreprocessingOptions {
  readonly data: string;
  readonly test?: string;
  readonly validation?: number;
  readonly epochs?: number;
  readonly batch?: number;
  readonly lr?: number;
  readonly schedule?: string;
  readonly optimizer?: "sgd" | "adam" | "adamw";
  readonly momentum?: number;
  readonly nesterov?: boolean;
  readonly weightDecay?: number;
  readonly l1?: number;
  readonly l1Scales?: number;
  readonly groupLasso?: number;
  readonly clip?: number;
  readonly labelSmoothing?: number;
  readonly augment?: Augmentation;
  readonly mask: "hold" | "zeros";
  readonly freezeNorms?: boolean;
  readonly teacher?: string;
  readonly temperature?: number;
  readonly alpha?: number;
  readonly limit?: number;
  readonly checkpointEvery: number;
  readonly resume?: boolean | string;
  readonly output?: string;
}

const help = (): string => `
Every setting has a default for the net at hand: secateur train lenet300 --data mnist:DIR is a whole recipe.
Masks hold: what was pruned stays zero. The last tenth of the training images chooses the best epoch, the test
images are measured once, at the end. A checkpoint lies beside OUT until the training is done: after Ctrl-C, or worse,
the same command with --resume goes on to the same result.

  secateur train lenet5 --data mnist:DIR --epochs 12 --lr 0.01 --schedule cosine -o lenet5.safetensors
  secateur prune resnet20:w.safetensors --sparsity 0.8 -o pruned.safetensors
  secateur train pruned.safetensors --data cifar10:train.bin --test cifar10:test.bin --epochs 10 -o tuned.safetensors

SCHEDULE is constant, cosine, linear, one-cycle or step:0.5,0.75@0.1 (times 0.1 at half and three quarters). Each takes
,warmup=0.05 and ,rewind=0.6 (the last 40 % of a longer schedule), one-cycle also ,pct-start= ,div= and ,final-div=;
a length is a share (0.05), epochs (3epochs) or steps (500steps).

Defaults from seeded weights; weights that were trained before get 10 epochs at a fifth of the rate:
${defaults()}`;

/** One line per net, from the very table that training uses. */
function defaults(): string {
  const line = (net: string, arch: string | undefined): string => {
    const d = defaultsFor(arch, false);
    const { pad, flip } = d.augment;
    const augment = [pad && `pad:${pad}`, flip && "flip"].filter(Boolean).join(",") || "no augmentation";
    const warm = d.schedule.warmup ? ",warmup=0.05" : "";
    return `  ${net.padEnd(22)} ${d.epochs} epochs, batch ${d.batch}, lr ${d.rate}, ${d.schedule.kind}${warm}, weight decay ${d.optimizer.weightDecay}, ${augment}`;
  };
  const nets: readonly (readonly [string, string | undefined])[] = [
    ["lenet300", "lenet300"],
    ["lenet5", "lenet5"],
    ["glyphnet", "glyphnet"],
    ["vgg16", "vgg16"],
    ["resnet20 to resnet110", "resnet20"],
    ["densenet40, googlenet", "densenet40"],
    ["ImageNet nets", "resnet50"],
    ["any other", undefined],
  ];
  return nets.map(([net, arch]) => line(net, arch)).join("\n");
}

export function trainCommand(): Command {
  const command = addCommonOptions(new Command("train"))
    .description("trains or retrains a model under its masks")
    .argument(
      "<model>",
      "MODEL, see secateur --help; ARCH alone starts from seeded weights (glyphnet only with --seed)",
    )
    .requiredOption("--data <data>", "DATA, see secateur --help; its training images are used")
    .option("--test <data>", "DATA measured at the end (default: the test half of mnist and glyphs)")
    .option(
      "--validation <n>",
      "the last n training images choose the best epoch (default a tenth; 0 for none)",
      wholeNumber("--validation"),
    )
    .option("--limit <n>", "only the first n training images", wholeNumber("--limit", 1))
    .option("--epochs <n>", "passes over the training images", wholeNumber("--epochs", 1))
    .option("--batch <n>", "images per step", wholeNumber("--batch", 1))
    .option("--lr <rate>", "base learning rate", number("--lr", { above: 0 }))
    .option("--schedule <schedule>", "how the rate moves, see below")
    .option("--optimizer <name>", "sgd, adam or adamw", oneOf("--optimizer", ["sgd", "adam", "adamw"]))
    .option("--momentum <m>", "of sgd, or Adam's beta 1", number("--momentum", { from: 0, below: 1 }))
    .option("--nesterov", "Nesterov's momentum (sgd)")
    .option("--no-nesterov", "plain momentum")
    .option(
      "--weight-decay <d>",
      "L2 penalty on weights, not on biases",
      number("--weight-decay", { from: 0 }),
    )
    .option("--l1 <l>", "L1 penalty on weights", number("--l1", { from: 0 }))
    .option(
      "--l1-scales <l>",
      "L1 penalty on the scales of BatchNormalization (slimming)",
      number("--l1-scales", { from: 0 }),
    )
    .option("--group-lasso <l>", "penalty on the norms of filters", number("--group-lasso", { from: 0 }))
    .option("--clip <norm>", "cut the gradients down to this norm", number("--clip", { above: 0 }))
    .option(
      "--label-smoothing <e>",
      "share of every target spread over all classes",
      number("--label-smoothing", { from: 0, below: 1 }),
    )
    .option("--augment <list>", "pad:N (pad and crop), flip, both with a comma, or none", augmentation)
    .option(
      "--mask <which>",
      "hold: keep the model's masks; zeros: also make masks of its zeros",
      oneOf("--mask", ["hold", "zeros"]),
      "hold",
    )
    .option("--freeze-norms", "BatchNormalization keeps its running statistics")
    .option("--teacher <model>", "MODEL whose answers are learned too (distillation)")
    .option(
      "--temperature <t>",
      "softens both answers (4 unless said)",
      number("--temperature", { above: 0 }),
    )
    .option(
      "--alpha <a>",
      "weight of the teacher's answers against the labels' (0.9 unless said)",
      number("--alpha", { from: 0, to: 1 }),
    )
    .option(
      "--checkpoint-every <seconds>",
      "beside the one at every epoch's end",
      number("--checkpoint-every", { above: 0 }),
      60,
    )
    .option("--resume [file]", "go on from the checkpoint (default: the one beside OUT)")
    .option("-o, --output <file>", ".safetensors or .onnx (default: NAME.trained.safetensors)")
    .addHelpText("after", help());
  return addPreprocessingOptions(command).action(run);
}

function augmentation(text: string): Augmentation {
  if (text === "none") return {};
  let chosen: Augmentation = {};
  for (const part of text.split(",")) {
    const pad = /^pad:(\d+)$/.exec(part);
    if (pad) chosen = { ...chosen, pad: Number(pad[1]) };
    else if (part === "flip") chosen = { ...chosen, flip: true };
    else throw new UsageError(`--augment is "${text}"; use pad:N, flip, pad:N,flip or none.`);
  }
  return chosen;
}

async function run(spec: string, options: Options): Promise<void> {
  const schedule = options.schedule === undefined ? undefined : parseSchedule(options.schedule);
  if (options.nesterov && options.optimizer && options.optimizer !== "sgd")
    throw new UsageError(`--nesterov belongs to sgd; --optimizer is ${options.optimizer}.`);
  const plan = options.plan === undefined ? undefined : storedPlan(options.plan);
  if (options.budget !== undefined)
    throw new UsageError("--budget bounds the measuring of --plan measured, which training does not take.");
  if (options.teacher === undefined && (options.temperature ?? options.alpha) !== undefined)
    throw new UsageError("--temperature and --alpha belong to --teacher, which is missing.");
  const graph = await openModel(spec, { seed: options.seed ?? (spec === "glyphnet" ? undefined : 1) });
  // A model's own name may be anything, also a path.
  const output = options.output ?? `${graph.name.replace(/[^\w.-]+/g, "_")}.trained.safetensors`;
  if (!/\.(safetensors|onnx)$/.test(output))
    throw new UsageError(`-o is "${output}"; its extension must be .safetensors or .onnx.`);
  const teacher = options.teacher === undefined ? undefined : await openModel(options.teacher);
  const data = await openData(options.data, "train", { limit: options.limit });
  const own = /^(mnist:|glyphs$)/.test(options.data) ? options.data : undefined;
  const test = options.test ?? own;
  const testData = test === undefined ? undefined : await openData(test, "test");
  const checkpoint = `${output}.checkpoint`;
  const resumed = await resumeFrom(options, checkpoint);
  if (!resumed && existsSync(checkpoint))
    print(
      options,
      `${checkpoint} of an earlier training will be replaced; --resume would have gone on from it.`,
    );
  const stop = new AbortController();
  // The second Ctrl-C ends the process as it always does.
  const onInterrupt = (): void => stop.abort();
  process.once("SIGINT", onInterrupt);
  await withGpu(options, async (gpu) => {
    const progress = startProgress(options);
    try {
      const result = await train(gpu, graph, data, {
        ...settings(options),
        ...(schedule && { schedule }),
        ...(testData && { test: testData }),
        ...(teacher && {
          teacher: { graph: teacher, temperature: options.temperature ?? 4, alpha: options.alpha ?? 0.9 },
        }),
        ...(plan !== undefined && { plan }),
        ...(resumed && { resume: resumed }),
        fineTune: wasTrained(spec, options.seed),
        preprocessing: preprocessingOption(graph, data, options),
        signal: stop.signal,
        onProgress: (p) =>
          progress.update(
            `epoch ${p.epoch}/${p.epochs} | loss ${p.loss.toFixed(4)} | top-1 ${percent(p.top1)} | ${Math.round(p.imagesPerSecond)} images/s | ${duration(p.secondsLeft)} left`,
            (p.epoch - 1) * p.steps + p.step,
            p.epochs * p.steps,
          ),
        onEpoch: (e, epoch) => {
          progress.stop();
          const speed = `${e.seconds.toFixed(1)} s, ${Math.round(e.images / Math.max(1e-9, e.seconds))} images/s`;
          const validation = e.validation ? `, validation ${percent(e.validation.top1)}` : "";
          print(
            options,
            `epoch ${epoch}: loss ${e.loss.toFixed(4)}, top-1 ${percent(e.top1)}${validation}, ${speed}`,
          );
        },
        onCheckpoint: (c) => writeWhole(checkpoint, writeCheckpoint(c)),
      });
      progress.stop();
      await saveModel(result.graph, output);
      writeJson(options, asJson(result, gpu.adapter.key));
      rmSync(checkpoint, { force: true });
      print(options, summary(graph, result, output));
    } catch (error) {
      progress.stop(); // before anything is printed
      if (error instanceof SecateurError && error.code === "E_ABORTED")
        print(options, `wrote ${checkpoint}; the same command with --resume goes on from it.`);
      throw error;
    } finally {
      process.removeListener("SIGINT", onInterrupt);
      progress.stop();
    }
  });
}

async function resumeFrom(options: Options, beside: string): Promise<Checkpoint | undefined> {
  if (options.resume === undefined || options.resume === false) return undefined;
  const file = options.resume === true ? beside : options.resume;
  if (!existsSync(file))
    throw new FileError("E_IO", `there is no checkpoint ${file} to resume from. Start without --resume.`, {
      file,
    });
  const bytes = await readFileLimited(file);
  try {
    return readCheckpoint(bytes);
  } catch (cause) {
    if (!(cause instanceof SecateurError)) throw cause;
    throw new FileError(
      cause.code,
      `${printable(file)}: ${cause.message}`,
      { file: printable(file) },
      { cause },
    );
  }
}

function storedPlan(text: string): Exclude<TrainOptions["plan"], undefined> {
  const plan = planOption(text, "estimated");
  if (plan === "estimated" || typeof plan === "object") return plan;
  throw new UsageError(
    `--plan is "${text}"; training takes estimated or the file of a saved plan, so that it can be repeated.`,
  );
}

/** What was said on the command line; the rest is left to the defaults of the net. */
function settings(o: Options): TrainOptions {
  const given = <T extends object>(values: T): Partial<T> =>
    Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>;
  return {
    ...given({
      validation: o.validation,
      epochs: o.epochs,
      batch: o.batch,
      rate: o.lr,
      seed: o.seed,
      augment: o.augment,
      labelSmoothing: o.labelSmoothing,
      freezeNorms: o.freezeNorms,
    }),
    optimizer: given({
      kind: o.optimizer,
      momentum: o.momentum,
      nesterov: o.nesterov,
      weightDecay: o.weightDecay,
      l1: o.l1,
      l1Scales: o.l1Scales,
      groupLasso: o.groupLasso,
      clipNorm: o.clip,
    }),
    maskZeros: o.mask === "zeros",
    checkpointSeconds: o.checkpointEvery,
  };
}

const asJson = ({ graph: _, ...rest }: TrainResult, adapter: string): unknown => ({ ...rest, adapter });

function summary(graph: Graph, r: TrainResult, output: string): string {
  const mib = (r.memory.activations + r.memory.constants + r.memory.uniforms) / 2 ** 20;
  const rate = (2 * r.work.macsPerStep * r.work.steps) / Math.max(1e-9, r.work.seconds) / 1e9;
  const rows = [
    `wrote ${output}: ${graph.name}, best epoch ${r.best.epoch} of ${r.epochs.length}`,
    `  training top-1 ${percent(r.train.top1)} (${r.train.images} images, loss ${r.train.loss.toFixed(4)})`,
    r.test &&
      `  test     top-1 ${percent(r.test.top1)} (${r.test.images} images, loss ${r.test.loss.toFixed(4)})`,
    r.gap !== undefined &&
      `  gap      ${(100 * r.gap).toFixed(2)} points between training and ${r.test ? "test" : "validation"}`,
    `  ${r.work.seconds.toFixed(1)} s in steps, ${rate.toFixed(1)} useful GFLOP/s, ${mib.toFixed(1)} MiB on the device`,
  ];
  return rows.filter(Boolean).join("\n");
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
