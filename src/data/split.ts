import { InputError } from "../errors.ts";
import { wholeNumber } from "../tensor/shape.ts";
import type { Dataset } from "./dataset.ts";

/** Images `from` up to, but without, `to`. */
export interface ImageRange {
  readonly from: number;
  readonly to: number;
}

/**
 * The images of these indices, in their order (copied; an index may come twice), or those of a range (a view on the data
 * set's own bytes). Throws E_INPUT for an index or a range outside the data.
 */
export function subset(dataset: Dataset, which: ImageRange | ArrayLike<number>): Dataset {
  const each = dataset.shape[0] * dataset.shape[1] * dataset.shape[2];
  if ("from" in which) {
    const { from, to } = which;
    if (
      !Number.isSafeInteger(from) ||
      !Number.isSafeInteger(to) ||
      from < 0 ||
      to < from ||
      to > dataset.length
    ) {
      throw new InputError(
        `images ${from} to ${to} are no range of ${dataset.name}, which has ${dataset.length}. Give whole numbers, 0 <= from <= to <= ${dataset.length}.`,
      );
    }
    return {
      ...dataset,
      images: dataset.images.subarray(from * each, to * each),
      labels: dataset.labels.subarray(from, to),
      length: to - from,
    };
  }
  const length = which.length;
  const images = new Uint8Array(length * each);
  const labels = new Uint8Array(length);
  for (let i = 0; i < length; i++) {
    const index = which[i]!;
    if (!Number.isSafeInteger(index) || index < 0 || index >= dataset.length) {
      throw new InputError(
        `index ${i} of the subset is ${index}, but ${dataset.name} has images 0 to ${dataset.length - 1}.`,
      );
    }
    images.set(dataset.images.subarray(index * each, (index + 1) * each), i * each);
    labels[i] = dataset.labels[index]!;
  }
  return { ...dataset, images, labels, length };
}

/** A training set in two parts that share no image. */
export interface ValidationSplit {
  readonly train: Dataset;
  /** Of length 0 where there is none. */
  readonly validation: Dataset;
}

/**
 * Keeps the last images of a training set for validation: `count` of them, or a tenth (rounded down) unless a count is given;
 * 0 means none. The last ones speak for all only where the order is random, as it is in the training sets known here. Both
 * parts are views. Throws E_INPUT for a count that is no whole number or leaves no image to train with.
 */
export function splitValidation(dataset: Dataset, count = Math.floor(dataset.length / 10)): ValidationSplit {
  wholeNumber(count, "count of validation images");
  if (count >= dataset.length) {
    throw new InputError(
      `${count} validation images leave none of the ${dataset.length} of ${dataset.name} to train with. Give a count below ${dataset.length}, or a larger data set.`,
    );
  }
  const at = dataset.length - count;
  return {
    train: subset(dataset, { from: 0, to: at }),
    validation: subset(dataset, { from: at, to: dataset.length }),
  };
}
