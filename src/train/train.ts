import { type Batches, batchesOf } from "../data/batches.ts";
import type { Dataset } from "../data/dataset.ts";
import { splitValidation, subset } from "../data/split.ts";
import { InputError, SecateurError, TrainingError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Graph } from "../graph/graph.ts";
import { metadataKeys } from "../graph/metadata.ts";
import { inspectGraph } from "../graph/statistics.ts";
import { checkImages, type Evaluation } from "../run/evaluate.ts";
import { preprocessingOf } from "../run/preprocessing.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import { wholeNumber } from "../tensor/shape.ts";
import { type Checkpoint, checkCheckpoint, type EpochResult, type TrainingState } from "./checkpoint.ts";
import { defaultsFor } from "./defaults.ts";
import { dataFacts, difference, manifestOf, modelFacts, type TrainingManifest } from "./manifest.ts";
import { optimizerOf } from "./optimizer.ts";
import type { TrainOptions, TrainResult } from "./options.ts";
import { learningRateAt } from "./schedule.ts";
import { makeTrainer, type Trainer } from "./trainer.ts";
import { makeValidator, type Validator } from "./validator.ts";

/** A mean cross-entropy above this is no training any more: guessing among a million classes has 14. */
const divergedLoss = 1000;
/** Judged by running statistics, which are rough at first, a net that still learns may do worse than by the batch's. */
const divergedEvaluation = 1e6;
const reportSeconds = 1;
const trainImagesMeasured = 10_000;

/**
 * Trains a net under its masks. The last tenth of the images (unless said) is kept for validation and chooses the best epoch;
 * test images are measured once, at the end. Same settings, plan, adapter and driver: same weights, in one go or resumed.
 * Throws E_INPUT for settings and data that do not fit, E_DIVERGED, E_ABORTED after `signal`, and what the device throws.
 */
export async function train(
  gpu: Gpu,
  graph: Graph,
  data: Dataset,
  options: TrainOptions = {},
): Promise<TrainResult> {
  const run = await prepare(gpu, graph, data, options);
  try {
    if (options.resume) run.resume(options.resume);
    while (run.state.epoch < run.manifest.epochs) {
      await run.stepsOfEpoch();
      await run.endOfEpoch();
    }
    return await run.result();
  } finally {
    run.dispose();
  }
}

interface Run {
  readonly manifest: TrainingManifest;
  readonly state: TrainingState;
  resume(checkpoint: Checkpoint): void;
  stepsOfEpoch(): Promise<void>;
  endOfEpoch(): Promise<void>;
  result(): Promise<TrainResult>;
  dispose(): void;
}

async function prepare(gpu: Gpu, graph: Graph, data: Dataset, options: TrainOptions): Promise<Run> {
  const { validation: wanted, test } = options;
  // All of them now: what does not fit must not be found out after the training.
  const sets = [data, ...(typeof wanted === "object" ? [wanted] : []), ...(test ? [test] : [])];
  for (const set of sets) if (graph.inputs[0]) checkImages(graph.inputs[0], set);
  if (test?.length === 0) throw new InputError(`the test data ${test.name} have no images.`);
  const arch = graph.metadata.get(metadataKeys.arch);
  const defaults = defaultsFor(arch, options.fineTune ?? false, options.optimizer?.kind);
  const split =
    typeof wanted === "object"
      ? { train: data, validation: wanted }
      : splitValidation(data, wanted as number | undefined);
  const epochs = wholeNumber(options.epochs ?? defaults.epochs, "epochs", 1);
  const seed = options.seed ?? 1;
  const preprocessing = options.preprocessing ?? preprocessingOf(graph, data);
  const augment = options.augment ?? defaults.augment;
  const labelSmoothing = options.labelSmoothing ?? 0;
  const batches = batchesOf(split.train, {
    batch: wholeNumber(options.batch ?? defaults.batch, "batch", 1),
    seed,
    preprocessing,
    augment,
    labelSmoothing,
  });
  const optimizer = optimizerOf({ ...defaults.optimizer, ...options.optimizer });
  const { teacher } = options;
  const manifest = manifestOf({
    seed,
    model: await modelFacts(graph),
    ...(teacher && {
      teacher: {
        ...(await modelFacts(teacher.graph)),
        temperature: teacher.temperature,
        alpha: teacher.alpha,
      },
    }),
    data: await dataFacts(split.train),
    validation: await dataFacts(split.validation),
    preprocessing,
    epochs,
    batch: batches.batch,
    rate: options.rate ?? defaults.rate,
    schedule: options.schedule ?? defaults.schedule,
    optimizer,
    augment,
    labelSmoothing,
    masks: options.masks ?? "hold",
    ...(options.masking && {
      masking: { name: options.masking.name, settings: options.masking.settings },
    }),
    maskZeros: options.maskZeros ?? false,
    freezeNorms: options.freezeNorms ?? false,
    frozen: options.frozen ?? [],
  });
  if (options.resume) {
    const why = difference(manifest, options.resume.manifest);
    if (why) throw new InputError(`this training cannot be resumed: ${why}. Use the settings it began with.`);
  }
  // Fails for a schedule or rate that cannot be used before anything is compiled.
  learningRateAt(manifest.schedule, manifest.rate, 0, epochs * batches.stepsPerEpoch, batches.stepsPerEpoch);
  const trainer = await makeTrainer(gpu, graph, {
    ...options,
    ...(options.masking && { masked: [...(options.masked ?? []), ...options.masking.weights] }),
    batch: batches.batch,
    seed,
    optimizer,
    plan: options.resume?.plan ?? options.plan ?? "estimated",
  });
  const strange = sets.find((set) => set.classes !== trainer.classes);
  if (strange) {
    trainer.dispose();
    throw new InputError(
      `the model gives ${trainer.classes} classes, but ${strange.name} has ${strange.classes}. Use data with as many.`,
    );
  }
  const validator = makeValidator(gpu, graph, trainer.trained, preprocessing, Math.max(100, batches.batch));
  return runOf(split, { options, manifest, batches, trainer, validator });
}

interface Parts {
  readonly options: TrainOptions;
  readonly manifest: TrainingManifest;
  readonly batches: Batches;
  readonly trainer: Trainer;
  readonly validator: Validator;
}

function runOf(
  data: { readonly train: Dataset; readonly validation: Dataset },
  { options, manifest, batches, trainer, validator }: Parts,
): Run {
  const { stepsPerEpoch } = batches;
  const total = manifest.epochs * stepsPerEpoch;
  const masksSettle = options.masking?.settles(total) ?? -1;
  const began = performance.now();
  let startedAt = 0;
  let best = new Map<string, HostTensor>();
  let state: TrainingState = {
    epoch: 0,
    step: 0,
    lossSum: 0,
    right: 0,
    images: 0,
    seconds: 0,
    epochs: [],
    best: undefined,
  };
  let mark = performance.now();
  let saved = performance.now();

  const rateAt = (step: number): number =>
    learningRateAt(manifest.schedule, manifest.rate, step, total, stepsPerEpoch);

  const inEpoch = (): string => `in epoch ${state.epoch + 1}, by step ${state.step} of ${stepsPerEpoch}`;
  let checkpointed = options.resume !== undefined;
  const diverged = (when: string, what: string): TrainingError =>
    new TrainingError(
      `training diverged ${when}: ${what}. Use a lower learning rate than ${manifest.rate}, a warm-up, or gradient clipping` +
        `${checkpointed ? "; the last checkpoint is from before" : ""}.`,
    );

  /** What is kept must be worth going back to. */
  const checkFinite = (values: ReadonlyMap<string, HostTensor>): void => {
    for (const [name, t] of values) {
      for (const value of t.data as Float32Array)
        if (!Number.isFinite(value)) throw diverged(inEpoch(), `"${name}" holds ${value}`);
    }
  };

  const measure = async (
    values: ReadonlyMap<string, HostTensor>,
    set: Dataset,
    when: string,
  ): Promise<Evaluation> => {
    const measured = await validator.measure(values, set);
    // Not finite fails too.
    if (measured.loss <= divergedEvaluation) return measured;
    throw diverged(when, `the loss on ${set.length} images of ${set.name} is ${measured.loss}`);
  };

  /** Takes in what the device has counted since the last time. */
  const collect = async (): Promise<void> => {
    const { loss, top1, images } = await trainer.metrics();
    const now = performance.now();
    state = {
      ...state,
      lossSum: state.lossSum + (images > 0 ? loss * images : 0),
      right: state.right + (images > 0 ? Math.round(top1 * images) : 0),
      images: state.images + images,
      seconds: state.seconds + (now - mark) / 1000,
    };
    mark = now;
    if (images === 0 || (Number.isFinite(loss) && loss <= divergedLoss)) return;
    throw diverged(inEpoch(), `the loss is ${loss}`);
  };

  const report = (): void => {
    const done = state.epoch * stepsPerEpoch + state.step;
    const perStep = (performance.now() - began) / Math.max(1, done - startedAt) / 1000;
    options.onProgress?.({
      epoch: state.epoch + 1,
      epochs: manifest.epochs,
      step: state.step,
      steps: stepsPerEpoch,
      loss: state.lossSum / Math.max(1, state.images),
      top1: state.right / Math.max(1, state.images),
      imagesPerSecond: state.images / Math.max(1e-9, state.seconds),
      secondsLeft: perStep * (total - done),
      rate: rateAt(Math.min(done, total - 1)),
    });
  };

  const save = async (): Promise<void> => {
    if (!options.onCheckpoint) return;
    const snapshot = await trainer.snapshot();
    checkFinite(snapshot.state);
    await options.onCheckpoint({ manifest, plan: trainer.session.plan, progress: state, snapshot, best });
    saved = performance.now();
    checkpointed = true;
  };

  const pause = async (): Promise<void> => {
    const { signal, checkpointSeconds = 60 } = options;
    const now = performance.now();
    const due = options.onCheckpoint !== undefined && now - saved > checkpointSeconds * 1000;
    if (!signal?.aborted && !due && now - mark < reportSeconds * 1000) return;
    await collect();
    report();
    if (signal?.aborted || due) await save();
    if (signal?.aborted) {
      throw new SecateurError(
        "E_ABORTED",
        `training was stopped in epoch ${state.epoch + 1} after step ${state.step} of ${stepsPerEpoch}. Resume from its checkpoint.`,
      );
    }
  };

  return {
    manifest,
    get state() {
      return state;
    },
    resume(checkpoint) {
      checkCheckpoint(checkpoint, stepsPerEpoch, trainer.trained);
      state = checkpoint.progress;
      best = new Map(checkpoint.best);
      trainer.restore(checkpoint.snapshot);
      startedAt = state.epoch * stepsPerEpoch + state.step;
    },
    async stepsOfEpoch() {
      mark = performance.now();
      while (state.step < stepsPerEpoch) {
        const { images, targets } = batches.get(state.epoch, state.step);
        const step = state.epoch * stepsPerEpoch + state.step;
        await options.masking?.before(step, total, trainer);
        await trainer.step(images, targets, rateAt(step));
        state = { ...state, step: state.step + 1 };
        await pause();
      }
      await collect();
      report();
    },
    async endOfEpoch() {
      const values = await trainer.values();
      checkFinite(values);
      const measured =
        data.validation.length > 0 ? await measure(values, data.validation, inEpoch()) : undefined;
      const own = { loss: state.lossSum / state.images, top1: state.right / state.images };
      const result: EpochResult = {
        ...own,
        ...(measured && { validation: { loss: measured.loss, top1: measured.top1 } }),
        images: state.images,
        seconds: state.seconds,
        rate: rateAt((state.epoch + 1) * stepsPerEpoch - 1),
      };
      const score = measured ?? own;
      const settled = (epoch: number): boolean => epoch * stepsPerEpoch > masksSettle;
      // While masks still change, only the latest net is worth keeping: an earlier one has more weights.
      const first = !state.best || !settled(state.best.epoch);
      const better = !measured || first || score.top1 > state.best!.top1;
      if (better) best = values;
      state = {
        epoch: state.epoch + 1,
        step: 0,
        lossSum: 0,
        right: 0,
        images: 0,
        seconds: 0,
        epochs: [...state.epochs, result],
        best: better ? { top1: score.top1, loss: score.loss, epoch: state.epoch + 1 } : state.best,
      };
      options.onEpoch?.(result, state.epoch);
      await save();
    },
    async result() {
      await options.masking?.after?.(trainer);
      const shown = Math.min(trainImagesMeasured, data.train.length);
      const onTrain = await measure(best, subset(data.train, { from: 0, to: shown }), "at the end");
      const onTest = options.test && (await measure(best, options.test, "at the end"));
      const judged = onTest?.top1 ?? (data.validation.length > 0 ? state.best!.top1 : undefined);
      const trained = trainer.graphWith(best);
      const recorded = { ...manifest, plan: trainer.session.plan };
      const metadata = new Map([
        ...trained.metadata,
        [metadataKeys.training, JSON.stringify(recorded)] as const,
        [metadataKeys.preprocessing, JSON.stringify(manifest.preprocessing)] as const,
      ]);
      const seconds = state.epochs.reduce((sum, e) => sum + e.seconds, 0);
      return {
        graph: { ...trained, metadata },
        epochs: state.epochs,
        best: state.best!,
        train: onTrain,
        ...(onTest && { test: onTest }),
        ...(judged !== undefined && { gap: onTrain.top1 - judged }),
        manifest: recorded,
        memory: trainer.session.memory(),
        work: { steps: total, macsPerStep: inspectGraph(trainer.stepGraph).macs, seconds },
      };
    },
    dispose() {
      trainer.dispose();
      validator.dispose();
    },
  };
}
