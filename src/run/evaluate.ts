import type { Dataset } from "../data/dataset.ts";
import { preprocess } from "../data/dataset.ts";
import { InputError } from "../errors.ts";
import type { GraphValue } from "../graph/graph.ts";
import type { Preprocessing } from "../graph/metadata.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import { showShape, sizeOf } from "../tensor/shape.ts";
import type { Session } from "./session.ts";

/** Accuracy of a classifier on labelled images. Fractions, not percent. */
export interface Evaluation {
  readonly top1: number;
  readonly top5: number;
  /** Mean cross-entropy, natural logarithm. */
  readonly loss: number;
  readonly images: number;
}

export interface EvaluateOptions {
  /** Images per run; the session's own batch by default in callers. */
  readonly batch?: number;
  /** Images at most; all unless said. */
  readonly limit?: number;
  readonly onProgress?: (done: number, total: number) => void;
  /** Receives the logits of every batch, in order: [images, classes]. */
  readonly onLogits?: (logits: HostTensor, from: number) => void;
}

/**
 * Runs a session over a dataset and scores it. The model must take one image input [N, C, H, W] and give one output
 * [N, classes]; throws E_INPUT when it does not, or when its shape does not fit the images. Logits are taken as they are:
 * a model that ends in Softmax has the same top-1, but its loss is of the probabilities taken as logits.
 */
export async function evaluate(
  session: Session,
  dataset: Dataset,
  preprocessing: Preprocessing,
  options: EvaluateOptions = {},
): Promise<Evaluation> {
  const input = session.inputs[0];
  const output = session.outputs[0];
  if (session.inputs.length !== 1 || !input || !output) {
    throw new InputError(`the model has ${session.inputs.length} inputs; evaluation needs one image input.`);
  }
  checkImages(input, dataset);
  const total = Math.min(options.limit ?? dataset.length, dataset.length);
  const batch = Math.max(1, Math.min(options.batch ?? 32, total));
  let top1 = 0;
  let top5 = 0;
  let loss = 0;
  for (let from = 0; from < total; from += batch) {
    const count = Math.min(batch, total - from);
    // A last short batch is filled up, so that no new shape has to be compiled.
    const images = preprocess(dataset, Math.min(from, total - batch), batch, preprocessing);
    const shift = from - Math.min(from, total - batch);
    const logits = (await session.run({ [input.name]: shapedFor(input, images) }))[output.name]!;
    const classes = logits.shape.at(-1)!;
    const scores = scoreLogits(logits, shift, dataset, from, count);
    top1 += scores.top1;
    top5 += scores.top5;
    loss += scores.loss;
    if (options.onLogits) {
      const part = logits.data.slice(shift * classes, (shift + count) * classes);
      options.onLogits({ dtype: logits.dtype, shape: [count, classes], data: part }, from);
    }
    options.onProgress?.(from + count, total);
  }
  return { top1: top1 / total, top5: top5 / total, loss: loss / total, images: total };
}

/**
 * How many of `count` images from `from` on are right (first, and among the first five), and the sum of their cross-entropies.
 * `logits` is [n, classes], the image's own from row `row` on. Throws E_INPUT for a label that is no class.
 */
export function scoreLogits(
  logits: HostTensor,
  row: number,
  dataset: Dataset,
  from: number,
  count: number,
): { readonly top1: number; readonly top5: number; readonly loss: number } {
  const classes = logits.shape.at(-1)!;
  let [top1, top5, loss] = [0, 0, 0];
  for (let i = 0; i < count; i++) {
    const scores = logits.data.subarray((row + i) * classes, (row + i + 1) * classes) as Float32Array;
    const label = dataset.labels[from + i]!;
    if (label >= classes) {
      throw new InputError(`${dataset.name} has label ${label}, but the model gives ${classes} classes.`);
    }
    const rank = rankOf(scores, label);
    if (rank === 0) top1++;
    if (rank < 5) top5++;
    loss += crossEntropy(scores, label);
  }
  return { top1, top5, loss };
}

/** E_INPUT unless images of the data set fit the input, as [N, C, H, W] or flat [N, C·H·W]. */
export function checkImages(input: GraphValue, dataset: Dataset): void {
  const image = input.shape.slice(1);
  const flat = dataset.shape.reduce((n, d) => n * d, 1);
  const fits =
    (image.length === 3 && image.every((d, i) => d === null || d === dataset.shape[i])) ||
    (image.length === 1 && (image[0] === null || image[0] === flat));
  if (fits) return;
  throw new InputError(
    `the model takes ${showShape(input.shape)}, but ${dataset.name} has images of ${showShape(dataset.shape)}. Use data of the model's shape.`,
  );
}

/** Images [N, C, H, W] as the input takes them: flat where it has two axes. */
export const shapedFor = (input: { readonly shape: readonly unknown[] }, images: HostTensor): HostTensor =>
  input.shape.length === 2 ? { ...images, shape: [images.shape[0]!, sizeOf(images.shape.slice(1))] } : images;

/** How many classes score higher; ties count against the later class. NaN ranks last. */
function rankOf(scores: Float32Array, label: number): number {
  const own = scores[label]!;
  if (Number.isNaN(own)) return scores.length;
  let rank = 0;
  for (let i = 0; i < scores.length; i++) if (scores[i]! > own || (scores[i] === own && i < label)) rank++;
  return rank;
}

function crossEntropy(scores: Float32Array, label: number): number {
  let max = Number.NEGATIVE_INFINITY;
  for (const s of scores) if (s > max) max = s;
  let sum = 0;
  for (const s of scores) sum += Math.exp(s - max);
  return max + Math.log(sum) - scores[label]!;
}
