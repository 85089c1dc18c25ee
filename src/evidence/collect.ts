import { type Dataset, preprocess } from "../data/dataset.ts";
import { subset } from "../data/split.ts";
import { InputError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Graph } from "../graph/graph.ts";
import type { Preprocessing } from "../graph/metadata.ts";
import type { Evidence, EvidenceKind } from "../prune/evidence.ts";
import { layerMatches, prunableLayers } from "../prune/layers.ts";
import { findMethod } from "../prune/methods/index.ts";
import { staticTypes } from "../prune/types.ts";
import { checkImages, shapedFor } from "../run/evaluate.ts";
import { preprocessingOf } from "../run/preprocessing.ts";
import { type HostTensor, toNumbers } from "../tensor/host-tensor.ts";
import { seeded, shuffle } from "../tensor/random.ts";
import { wholeNumber } from "../tensor/shape.ts";
import { dataFacts } from "../train/manifest.ts";
import type { Calibration, CollectContext, FilterBudget } from "./collector.ts";
import { findCollector } from "./index.ts";

export interface CollectOptions {
  /** Images looked at, drawn by the seed; what the method is published with, else 128. Never more than there are. */
  readonly images?: number;
  /** Images per pass at most; 32 unless said. */
  readonly batch?: number;
  /** Of the draw; 0 unless said. */
  readonly seed?: number;
  readonly preprocessing?: Preprocessing;
  /**
   * Statistics of BatchNormalization: the batch's or the running ones. Unless said the running ones, but the batch's where none
   * was ever trained (means 0 and variances 1), as for methods that prune at initialisation.
   */
  readonly norms?: "batch" | "running";
  /** For methods that prune in rounds while they gather (synflow): the share to remove in the end. */
  readonly sparsity?: number;
  /** Layers that will be skipped, by node or weight name; nothing is gathered about them. */
  readonly skip?: readonly string[];
  /** For methods that prune in rounds while they gather: how many rounds. */
  readonly rounds?: number;
  /** For methods that prune while they gather (particle): how their shares become counts, as in the pruning to come. */
  readonly budget?: FilterBudget;
  readonly onProgress?: (done: number, total: number) => void;
}

const usualImages = 128;
const mostPerBatch = 32;

/**
 * Gathers on the GPU what a method must know beyond the weights. `data` may be undefined for methods that need none. The same
 * model, data, options, adapter and driver give the same evidence. Throws E_INPUT for unknown methods, missing data, and
 * models that do not take the images.
 */
export async function collectEvidence(
  gpu: Gpu,
  graph: Graph,
  data: Dataset | undefined,
  method: string | readonly EvidenceKind[],
  options: CollectOptions = {},
): Promise<Evidence> {
  const found = typeof method === "string" ? findMethod(method) : undefined;
  const kinds = found ? found.needs : (method as readonly EvidenceKind[]);
  const what = found ? `method ${found.name}` : "evidence";
  const wanted = wholeNumber(options.images ?? found?.defaults?.images ?? usualImages, "images", 1);
  const images = Math.min(wanted, data?.length ?? 0);
  const seed = wholeNumber(options.seed ?? 0, "seed", 0, 2 ** 32 - 1);
  const most = wholeNumber(options.batch ?? mostPerBatch, "batch", 1);
  if (data && graph.inputs[0]) checkImages(graph.inputs[0], data);
  let chosen: Calibration | undefined;
  const context: CollectContext = {
    gpu,
    graph,
    layers: prunableLayers(graph, staticTypes(graph)).filter(
      (layer) => !options.skip?.some((name) => layerMatches(layer, name)),
    ),
    calibration() {
      if (!data || data.length === 0) {
        throw new InputError(
          `${what} looks at images, and none were given. Pass a data set, or --data on the command line.`,
        );
      }
      chosen ??= calibrationOf(graph, drawn(data, images, seed), most, options.preprocessing);
      return chosen;
    },
    norms: options.norms ?? (untrained(graph) ? "batch" : "running"),
    seed,
    sparsity: options.sparsity,
    rounds: options.rounds,
    ...(options.budget && { budget: options.budget }),
    ...(options.onProgress && { onProgress: options.onProgress }),
  };
  const evidence: Partial<Record<EvidenceKind, ReadonlyMap<string, HostTensor>>> = {};
  for (const kind of kinds) {
    const collector = findCollector(kind);
    if (!collector) {
      throw new InputError(
        `${kind} cannot be gathered beforehand: it comes out of a training. Use the method's recipe, or --retrain on the command line.`,
      );
    }
    evidence[kind] = await collector.collect(context);
  }
  const source = {
    ...(data && chosen && { data: await dataFacts(data) }),
    images: chosen?.images ?? 0,
    batch: chosen?.batch ?? 0,
    seed,
    norms: context.norms,
    ...(options.sparsity !== undefined && { sparsity: options.sparsity }),
    ...(options.rounds !== undefined && { rounds: options.rounds }),
    adapter: gpu.adapter.key,
  };
  return kinds.length === 0 ? {} : { ...evidence, source };
}

/** So many images, none twice, drawn by the seed. */
function drawn(data: Dataset, images: number, seed: number): Dataset {
  const order = Uint32Array.from({ length: data.length }, (_, i) => i);
  shuffle(order, seeded(seed));
  return subset(data, order.subarray(0, images));
}

function calibrationOf(
  graph: Graph,
  data: Dataset,
  most: number,
  preprocessing = preprocessingOf(graph, data),
): Calibration {
  const { length, classes } = data;
  const input = graph.inputs[0]!;
  const ofSize = (batch: number): Calibration => ({
    images: length,
    batch,
    classes,
    *batches() {
      for (let from = 0; from < length; from += batch) {
        const targets = new Float32Array(batch * classes);
        for (let i = 0; i < batch; i++) targets[i * classes + data.labels[from + i]!] = 1;
        yield {
          images: shapedFor(input, preprocess(data, from, batch, preprocessing)),
          targets: { dtype: "f32", shape: [batch, classes], data: targets },
        };
      }
    },
    inBatchesOf: ofSize,
  });
  let batch = Math.min(most, length);
  while (length % batch !== 0) batch--;
  return ofSize(batch);
}

/** Has no BatchNormalization ever seen an image? */
function untrained(graph: Graph): boolean {
  const norms = graph.nodes.filter((node) => node.op === "BatchNormalization");
  const all = (name: string | undefined, value: number): boolean => {
    const t = graph.weights.get(name ?? "");
    return t !== undefined && toNumbers(t).every((v) => v === value);
  };
  return norms.length > 0 && norms.every((n) => all(n.inputs[3], 0) && all(n.inputs[4], 1));
}
