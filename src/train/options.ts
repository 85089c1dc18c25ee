import type { Augmentation } from "../data/batches.ts";
import type { Dataset } from "../data/dataset.ts";
import type { Graph } from "../graph/graph.ts";
import type { Preprocessing } from "../graph/metadata.ts";
import type { Plan } from "../plan/plan.ts";
import type { Evaluation } from "../run/evaluate.ts";
import type { Checkpoint, EpochResult } from "./checkpoint.ts";
import type { TrainingManifest } from "./manifest.ts";
import type { Masking } from "./masking.ts";
import type { Schedule } from "./schedule.ts";
import type { TrainerOptions } from "./trainer.ts";

/** Where a training is; given after every report interval and epoch. */
export interface TrainingProgress {
  readonly epoch: number;
  readonly epochs: number;
  /** Steps of this epoch done, of how many. */
  readonly step: number;
  readonly steps: number;
  /** Of this epoch so far. */
  readonly loss: number;
  readonly top1: number;
  readonly imagesPerSecond: number;
  /** Until all epochs are done. */
  readonly secondsLeft: number;
  readonly rate: number;
}

export interface TrainOptions extends Partial<Omit<TrainerOptions, "profile">> {
  readonly epochs?: number;
  /** Base learning rate. */
  readonly rate?: number;
  readonly schedule?: Schedule;
  /** Decides masks anew on the way; its weights are masked whether named in `masked` or not. */
  readonly masking?: Masking;
  readonly augment?: Augmentation;
  readonly labelSmoothing?: number;
  readonly preprocessing?: Preprocessing;
  /**
   * Images that choose the best epoch: a data set, or how many of the last training images; a tenth unless said, 0 for none.
   */
  readonly validation?: Dataset | number;
  /** Measured once, at the end. */
  readonly test?: Dataset;
  /** Were the weights trained before? Then the defaults are gentler. False unless said. */
  readonly fineTune?: boolean;
  /** Stops after the step under way, with a checkpoint; `train` then throws E_ABORTED. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: TrainingProgress) => void;
  readonly onEpoch?: (result: EpochResult, epoch: number) => void;
  /** Given a checkpoint at every epoch's end, every `checkpointSeconds`, and when stopped. */
  readonly onCheckpoint?: (checkpoint: Checkpoint) => void | Promise<void>;
  /** 60 unless said. */
  readonly checkpointSeconds?: number;
  /** Goes on from here: settings, model and data must be those of the checkpoint. */
  readonly resume?: Checkpoint;
}

export interface TrainResult {
  /** The net with the weights of the best epoch; its metadata holds the manifest. */
  readonly graph: Graph;
  readonly epochs: readonly EpochResult[];
  /** By validation accuracy; without validation the last epoch, and its training accuracy. */
  readonly best: { readonly top1: number; readonly loss: number; readonly epoch: number };
  /** Of the best weights, without augmentation, on up to 10,000 training images. */
  readonly train: Evaluation;
  readonly test?: Evaluation;
  /** Training accuracy less test (or validation) accuracy of the best weights. */
  readonly gap?: number;
  /** Repeats the training, on the plan's adapter and its driver. */
  readonly manifest: TrainingManifest & { readonly plan: Plan };
  /** Bytes on the device that a step needs. */
  readonly memory: { readonly activations: number; readonly constants: number; readonly uniforms: number };
  /** Steps, multiply-adds of one step (forward, backward to data and weights), and seconds spent in steps. */
  readonly work: { readonly steps: number; readonly macsPerStep: number; readonly seconds: number };
}
