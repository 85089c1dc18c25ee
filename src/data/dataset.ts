import { InputError } from "../errors.ts";
import type { Preprocessing } from "../graph/metadata.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import { wholeNumber } from "../tensor/shape.ts";

/** Labelled images as bytes: `images` holds length × C × H × W values, image by image, channel by channel, row by row. */
export interface Dataset {
  readonly name: "mnist" | "cifar10" | "digits" | "glyphs";
  readonly classes: number;
  /** [C, H, W] */
  readonly shape: readonly [number, number, number];
  readonly images: Uint8Array;
  readonly labels: Uint8Array;
  readonly length: number;
}

/** The first `limit` images; all of them where there are fewer or no limit is given. Throws E_INPUT for a limit that is no whole number. */
export function firstImages(dataset: Dataset, limit: number | undefined): Dataset {
  if (limit === undefined) return dataset;
  wholeNumber(limit, "limit of images");
  if (limit >= dataset.length) return dataset;
  const each = dataset.shape[0] * dataset.shape[1] * dataset.shape[2];
  return {
    ...dataset,
    images: dataset.images.subarray(0, limit * each),
    labels: dataset.labels.subarray(0, limit),
    length: limit,
  };
}

/**
 * The f32 value of every byte in every channel: (byte · scale − mean[c]) / std[c], at [256 · c + byte]; one mean or std serves
 * all channels. Throws E_INPUT for a number of means or stds that does not fit the channels, or numbers that would leave no
 * image: any that is not finite, or a std that is not above 0.
 */
export function byteValues(dataset: Dataset, { scale, mean, std }: Preprocessing): Float32Array {
  const channels = dataset.shape[0];
  for (const [what, list] of [
    ["mean", mean],
    ["std", std],
  ] as const) {
    if (list.length !== 1 && list.length !== channels) {
      throw new InputError(
        `${what} has ${list.length} entries, but ${dataset.name} has ${channels} channels. Give one, or one per channel.`,
      );
    }
  }
  if (![scale, ...mean, ...std].every(Number.isFinite) || !std.every((s) => s > 0)) {
    throw new InputError(
      `preprocessing by scale ${scale}, mean ${mean} and std ${std} is not possible: all must be finite, and std above 0.`,
    );
  }
  const values = new Float32Array(channels * 256);
  for (let c = 0; c < channels; c++) {
    const m = mean[mean.length === 1 ? 0 : c]!;
    const s = std[std.length === 1 ? 0 : c]!;
    for (let byte = 0; byte < 256; byte++) values[256 * c + byte] = (byte * scale - m) / s;
  }
  return values;
}

/**
 * Images `from` to `from + count` as f32 [count, C, H, W]: (byte · scale − mean[c]) / std[c] per channel c; one mean or std
 * serves all channels. Throws E_INPUT for a range outside the data and for what {@link byteValues} refuses.
 */
export function preprocess(
  dataset: Dataset,
  from: number,
  count: number,
  preprocessing: Preprocessing,
): HostTensor {
  const [channels, height, width] = dataset.shape;
  if (
    !Number.isSafeInteger(from) ||
    !Number.isSafeInteger(count) ||
    from < 0 ||
    count < 0 ||
    from + count > dataset.length
  ) {
    throw new InputError(
      `images ${from} to ${from + count} are outside ${dataset.name}, which has ${dataset.length}.`,
    );
  }
  const values = byteValues(dataset, preprocessing);
  const plane = height * width;
  const data = new Float32Array(count * channels * plane);
  const first = from * channels * plane;
  for (let at = 0; at < data.length; at += plane) {
    const row = 256 * ((at / plane) % channels);
    for (let i = at; i < at + plane; i++) data[i] = values[row + dataset.images[first + i]!]!;
  }
  return { dtype: "f32", shape: [count, channels, height, width], data };
}
