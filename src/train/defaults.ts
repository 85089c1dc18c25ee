import type { Augmentation } from "../data/batches.ts";
import { findArch } from "../nets/arches.ts";
import type { OptimizerOptions } from "./optimizer.ts";
import type { Schedule } from "./schedule.ts";

/** Settings with which a net trains well unless its user says otherwise. */
export interface TrainingDefaults {
  readonly epochs: number;
  readonly batch: number;
  readonly rate: number;
  readonly schedule: Schedule;
  readonly optimizer: OptimizerOptions;
  readonly augment: Augmentation;
}

const cosine: Schedule = { kind: "cosine" };
const warm: Schedule = { kind: "cosine", warmup: { unit: "fraction", value: 0.05 } };
const plain: Augmentation = {};
const cifar: Augmentation = { pad: 4, flip: true };

/**
 * From seeded weights. The LeNets follow LeCun et al. 1998 as Caffe trains them (momentum 0.9, decay 5e-4), with a cosine
 * instead of steps; the CIFAR ResNets He et al. 2016, section 4.2; the others their authors' rates scaled to the batch (Goyal
 * et al. 2017).
 */
const scratch: Readonly<Record<string, TrainingDefaults>> = {
  lenet300: {
    epochs: 20,
    batch: 64,
    rate: 0.05,
    schedule: cosine,
    optimizer: { weightDecay: 5e-4, nesterov: true },
    augment: plain,
  },
  lenet5: {
    epochs: 5,
    batch: 64,
    rate: 0.01,
    schedule: cosine,
    optimizer: { weightDecay: 5e-4, nesterov: true },
    augment: { pad: 2 },
  },
  glyphnet: {
    epochs: 12,
    batch: 32,
    rate: 0.08,
    schedule: warm,
    optimizer: { weightDecay: 5e-4, nesterov: true },
    augment: plain,
  },
  vgg16: {
    epochs: 160,
    batch: 64,
    rate: 0.025,
    schedule: warm,
    optimizer: { weightDecay: 5e-4, nesterov: true },
    augment: cifar,
  },
  cifar: {
    epochs: 160,
    batch: 64,
    rate: 0.05,
    schedule: warm,
    optimizer: { weightDecay: 1e-4, nesterov: true },
    augment: cifar,
  },
  imagenet: {
    epochs: 90,
    batch: 32,
    rate: 0.0125,
    schedule: warm,
    optimizer: { weightDecay: 1e-4, nesterov: true },
    augment: { flip: true },
  },
};

const other: TrainingDefaults = {
  epochs: 10,
  batch: 64,
  rate: 0.01,
  schedule: cosine,
  optimizer: { weightDecay: 1e-4 },
  augment: plain,
};

/** Kingma and Ba 2015: Adam's steps are about as long as the rate, so that those above are too much for it. */
const adamRate = 0.001;

/**
 * Defaults for a net: by its architecture from seeded weights; for weights that were trained before (`fineTune`) ten epochs at
 * a fifth of the rate, since a larger one would throw away what they know. Adam has a rate of its own.
 */
export function defaultsFor(
  arch: string | undefined,
  fineTune: boolean,
  optimizer: OptimizerOptions["kind"] = "sgd",
): TrainingDefaults {
  const known = arch === undefined ? undefined : findArch(arch);
  const key =
    known && (scratch[known.name] ? known.name : known.dataset === "imagenet" ? "imagenet" : "cifar");
  const recipe = key === undefined ? other : scratch[key]!;
  const found = optimizer === "sgd" ? recipe : withAdam(recipe);
  if (!fineTune || recipe === other) return found;
  return { ...found, epochs: 10, rate: found.rate / 5, schedule: cosine };
}

const withAdam = (recipe: TrainingDefaults): TrainingDefaults => ({
  ...recipe,
  rate: adamRate,
  optimizer: { ...recipe.optimizer, nesterov: false },
});
