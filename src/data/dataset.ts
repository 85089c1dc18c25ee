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
 * Images `from` to `from + count` as f32 [count, C, H, W]: (byte · scale − mean[c]) / std[c] per channel c; one mean or std
 * serves all channels. Throws E_INPUT for a range outside the data, a number of channels that does not fit, or numbers that
 * would leave no image: any that is not finite, or a std that is not above 0.
 */
export function preprocess(
  dataset: Dataset,
  from: number,
  count: number,
  { scale, mean, std }: Preprocessing,
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
  const plane = height * width;
  const data = new Float32Array(count * channels * plane);
  const first = from * channels * plane;
  for (let n = 0; n < count; n++) {
    for (let c = 0; c < channels; c++) {
      const m = mean[mean.length === 1 ? 0 : c]!;
      const s = std[std.length === 1 ? 0 : c]!;
      const at = (n * channels + c) * plane;
      for (let i = 0; i < plane; i++) data[at + i] = (dataset.images[first + at + i]! * scale - m) / s;
    }
  }
  return { dtype: "f32", shape: [count, channels, height, width], data };
}
