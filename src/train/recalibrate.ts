import type { Dataset } from "../data/dataset.ts";
import { preprocess } from "../data/dataset.ts";
import { InputError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { type Graph, type GraphValue, makeGraph, withWeights } from "../graph/graph.ts";
import type { Preprocessing } from "../graph/metadata.ts";
import { compile } from "../run/compile.ts";
import { checkImages, shapedFor } from "../run/evaluate.ts";
import { preprocessingOf } from "../run/preprocessing.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import { wholeNumber } from "../tensor/shape.ts";
import { trainableNet } from "./net.ts";

export interface RecalibrateOptions {
  /** Images used, from the first on; 1,000 unless said. Labels are not looked at. */
  readonly images?: number;
  /** Images per batch; 100 unless said. */
  readonly batch?: number;
  readonly preprocessing?: Preprocessing;
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Measures the statistics of every BatchNormalization anew on images without labels, as the net is now: pruning shifts them,
 * and with them most of the accuracy that it seems to cost (Li et al. 2020, "EagleEye", section 3.3). Each layer sees batches
 * normalised by their own statistics; mean and variance are those over all images. Returns the same net with other running
 * statistics. Throws E_INPUT for a net without BatchNormalization, or fewer images than one batch needs.
 */
export async function recalibrate(
  gpu: Gpu,
  graph: Graph,
  data: Dataset,
  options: RecalibrateOptions = {},
): Promise<Graph> {
  const net = trainableNet(graph, { seed: 1 });
  const norms = net.nodes.filter((node) => node.op === "BatchNormTraining");
  if (norms.length === 0)
    throw new InputError(`"${graph.name}" has no BatchNormalization whose statistics could be measured.`);
  checkImages(graph.inputs[0]!, data);
  if (data.length < 2)
    throw new InputError(`${data.name} has ${data.length} images; statistics need at least 2.`);
  const total = Math.min(wholeNumber(options.images ?? 1000, "images", 2), data.length);
  const batch = Math.min(wholeNumber(options.batch ?? 100, "batch", 2), total);
  const batches = Math.floor(total / batch);
  const statistics = (i: number): string[] => norms.map((node) => node.outputs[3 + i]!);
  const outputs = [...statistics(0), ...statistics(1)].map(
    (name): GraphValue => ({ name, dtype: "f32", shape: [] }),
  );
  const nodes = net.nodes.filter((node) => node.op !== "RandomMask");
  const measuring = makeGraph({ ...graph, nodes: nodes.map(withoutDropout), outputs, masks: new Map() });
  const session = await compile(gpu, measuring, { batch, variables: net.statistics });
  try {
    const preprocessing = options.preprocessing ?? preprocessingOf(graph, data);
    const moments = norms.map((node) => makeMoments(graph.weights.get(node.inputs[3]!)!.data.length));
    for (let i = 0; i < batches; i++) {
      const image = shapedFor(net.input, preprocess(data, i * batch, batch, preprocessing));
      const result = await session.run({ [net.input.name]: image });
      for (const [k, node] of norms.entries())
        moments[k]!.add(result[node.outputs[3]!]!, result[node.outputs[4]!]!);
      options.onProgress?.((i + 1) * batch, batches * batch);
    }
    const changed = new Map<string, HostTensor>();
    for (const [k, node] of norms.entries()) {
      const { mean, variance } = moments[k]!.result(batches);
      changed.set(node.inputs[3]!, mean);
      changed.set(node.inputs[4]!, variance);
    }
    return withWeights(graph, changed);
  } finally {
    session.dispose();
  }
}

/** Dropout multiplies by its mask; while statistics are measured it lets everything through. */
const withoutDropout = <T extends { op: string; inputs: readonly string[] }>(node: T): T =>
  node.op === "Mul" && node.inputs[1]?.endsWith("/train/mask")
    ? { ...node, op: "Identity", inputs: [node.inputs[0]!] }
    : node;

/** Mean and variance over batches of equal size: the mean of the variances and the variance of the means together. */
function makeMoments(channels: number) {
  const sum = new Float64Array(channels);
  const squares = new Float64Array(channels);
  const within = new Float64Array(channels);
  return {
    add(mean: HostTensor, variance: HostTensor): void {
      for (let c = 0; c < channels; c++) {
        const m = Number(mean.data[c]);
        sum[c]! += m;
        squares[c]! += m * m;
        within[c]! += Number(variance.data[c]);
      }
    },
    result(batches: number): { mean: HostTensor; variance: HostTensor } {
      const vector = (of: (c: number) => number): HostTensor => ({
        dtype: "f32",
        shape: [channels],
        data: Float32Array.from({ length: channels }, (_, c) => of(c)),
      });
      const mean = (c: number): number => sum[c]! / batches;
      return {
        mean: vector(mean),
        variance: vector((c) => within[c]! / batches + Math.max(0, squares[c]! / batches - mean(c) ** 2)),
      };
    },
  };
}
