import { InputError } from "../errors.ts";
import type { Preprocessing } from "../graph/metadata.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import { type Random, seeded, shuffle } from "../tensor/random.ts";
import { wholeNumber } from "../tensor/shape.ts";
import { byteValues, type Dataset } from "./dataset.ts";

/**
 * Random changes to training images, the usual ones for CIFAR-10 (Lee et al. 2015, "Deeply-Supervised Nets"; He et al. 2016):
 * an image is padded, cropped back to its size at a random place, then mirrored or not.
 */
export interface Augmentation {
  /**
   * Pixels added on every side before the crop (default 0, none; 4 is usual for 32 × 32). As in torchvision's RandomCrop the
   * bytes are padded, so the border is black: byte 0, preprocessed like any other.
   */
  readonly pad?: number;
  /** Mirror left and right with probability 1/2 (default false). Not for digits or letters. */
  readonly flip?: boolean;
}

export interface BatchOptions {
  /** Images per batch; a data set with fewer makes one batch of all of them. */
  readonly batch: number;
  /** Of order and augmentation, from 0 to 2^32 − 1. */
  readonly seed: number;
  readonly preprocessing: Preprocessing;
  readonly augment?: Augmentation;
  /** ε from 0 to below 1 (default 0): targets are (1 − ε) · one-hot + ε / classes (Szegedy et al. 2016). */
  readonly labelSmoothing?: number;
}

export interface Batch {
  /** f32 [batch, C, H, W], preprocessed. */
  readonly images: HostTensor;
  /** f32 [batch, classes], each row a distribution. */
  readonly targets: HostTensor;
  /** Of the images in the data set, in the order of the batch. */
  readonly indices: Uint32Array;
}

/** The training batches of a data set as a function of epoch and step: whoever resumes needs nothing but the two numbers. */
export interface Batches {
  /** Images per batch. */
  readonly batch: number;
  /** Batches per epoch; images that fill no whole batch are left out, others in every epoch. */
  readonly stepsPerEpoch: number;
  /** Images per epoch: batch × stepsPerEpoch. */
  readonly images: number;
  /**
   * Batch `step` (from 0 to below stepsPerEpoch) of `epoch` (from 0), in arrays of its own. The epoch asked for last is
   * remembered: going to and fro between epochs gives the same batches, but shuffles each time. Throws E_INPUT for numbers
   * out of range.
   */
  get(epoch: number, step: number): Batch;
}

/**
 * Training batches that depend on data, options, epoch and step only. Every epoch has its own order, a Fisher-Yates shuffle
 * drawn from (seed, epoch); an image's crop and flip are drawn from (seed, epoch, index), whatever batch it is in. Throws
 * E_INPUT for an empty data set, labels that are no class, and options out of range.
 */
export function batchesOf(dataset: Dataset, options: BatchOptions): Batches {
  const { classes, labels, length } = dataset;
  const [channels, height, width] = dataset.shape;
  const each = channels * height * width;
  if (length < 1) throw new InputError(`${dataset.name} has no images: there is nothing to train with.`);
  const strange = labels.findIndex((label) => label >= classes);
  if (strange >= 0) {
    throw new InputError(
      `image ${strange} of ${dataset.name} has label ${labels[strange]}; with ${classes} classes, labels are 0 to ${classes - 1}.`,
    );
  }
  const batch = Math.min(wholeNumber(options.batch, "batch", 1), length);
  const seed = wholeNumber(options.seed, "seed", 0, 2 ** 32 - 1);
  const pad = wholeNumber(options.augment?.pad ?? 0, "augmentation's pad", 0, Math.min(height, width) - 1);
  const flip = options.augment?.flip ?? false;
  const smoothing = options.labelSmoothing ?? 0;
  if (!(smoothing >= 0 && smoothing < 1))
    throw new InputError(`labelSmoothing is ${smoothing}; a number from 0 to below 1 is needed.`);
  const values = byteValues(dataset, options.preprocessing);
  const stepsPerEpoch = Math.floor(length / batch);
  const other = smoothing / classes;

  let current = -1;
  let order = new Uint32Array(0);
  return {
    batch,
    stepsPerEpoch,
    images: batch * stepsPerEpoch,
    get(epoch, step) {
      wholeNumber(epoch, "epoch", 0, 2 ** 32 - 1);
      wholeNumber(step, "step of the epoch", 0, stepsPerEpoch - 1);
      if (epoch !== current) {
        order = Uint32Array.from({ length }, (_, i) => i);
        shuffle(order, streamOf(mixed(orders, seed, epoch)));
        current = epoch;
      }
      const indices = order.slice(step * batch, (step + 1) * batch);
      const images = new Float32Array(batch * each);
      const targets = new Float32Array(batch * classes).fill(other);
      const ofEpoch = mixed(changes, seed, epoch);
      for (const [n, index] of indices.entries()) {
        const place = pad === 0 && !flip ? unchanged : placeOf(mixed(ofEpoch, index), pad, flip);
        copyImage(images, n * each, dataset, index, values, place);
        targets[n * classes + labels[index]!] = 1 - smoothing + other;
      }
      return {
        images: { dtype: "f32", shape: [batch, channels, height, width], data: images },
        targets: { dtype: "f32", shape: [batch, classes], data: targets },
        indices,
      };
    },
  };
}

/** What tells the streams of random numbers for orders and for augmentation apart. */
const orders = 1;
const changes = 2;

/** A 32-bit seed from several numbers; differs whenever only the last differs. MurmurHash3's finaliser (Appleby) on each. */
function mixed(...parts: readonly number[]): number {
  let h = 0;
  for (const part of parts) {
    h = (Math.imul(h, 5) + part + 0x9e3779b9) | 0;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    h ^= h >>> 16;
  }
  return h;
}

/** A stream without the generator's first numbers: a seed fills only part of its state, and they show that. */
function streamOf(seed: number): Random {
  const random = seeded(seed);
  for (let warm = 0; warm < 4; warm++) random.uniform();
  return random;
}

/** Where a crop lies in its image: pixel (y, x) of the crop is (y + down, x + right) of the image, before it is mirrored. */
interface Place {
  readonly down: number;
  readonly right: number;
  readonly mirror: boolean;
}

const unchanged: Place = { down: 0, right: 0, mirror: false };

/** All three are drawn whether asked for or not, so that one option leaves the draws of the other alone. */
function placeOf(seed: number, pad: number, flip: boolean): Place {
  const random = streamOf(seed);
  const down = random.below(2 * pad + 1) - pad;
  const right = random.below(2 * pad + 1) - pad;
  return { down, right, mirror: random.uniform() < 0.5 && flip };
}

/** Writes the f32 values of an image's crop at `to`; what lies outside the image is byte 0. */
function copyImage(
  out: Float32Array,
  to: number,
  { images, shape: [channels, height, width] }: Dataset,
  index: number,
  values: Float32Array,
  { down, right, mirror }: Place,
): void {
  const first = Math.max(0, -right);
  const end = Math.min(width, width - right);
  let at = to;
  for (let c = 0; c < channels; c++) {
    const table = 256 * c;
    const black = values[table]!;
    for (let y = 0; y < height; y++, at += width) {
      const row = y + down;
      if (row < 0 || row >= height) {
        out.fill(black, at, at + width);
        continue;
      }
      const from = ((index * channels + c) * height + row) * width + right;
      if (first > 0 || end < width) out.fill(black, at, at + width);
      if (mirror) {
        const last = at + width - 1;
        for (let x = first; x < end; x++) out[last - x] = values[table + images[from + x]!]!;
      } else {
        for (let x = first; x < end; x++) out[at + x] = values[table + images[from + x]!]!;
      }
    }
  }
}
