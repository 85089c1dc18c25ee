import { InputError } from "../errors.ts";
import { contextOf } from "../graph/evaluate.ts";
import type { Attribute, Graph, Node } from "../graph/graph.ts";
import { type Inference, inferTypes } from "../graph/infer.ts";
import { gemmGeometry } from "../graph/ops/gemm.ts";
import { convGeometry } from "../graph/ops/support/window.ts";
import type { EvidenceKind } from "../prune/evidence.ts";
import type { PrunableLayer } from "../prune/layers.ts";
import { compile } from "../run/compile.ts";
import { type HostTensor, tensor } from "../tensor/host-tensor.ts";
import { sizeOf } from "../tensor/shape.ts";
import type { CollectContext, Collector } from "./collector.ts";
import { type Draft, draftOf } from "./draft.ts";

/** L2 norm of what each column of a weight is multiplied by, over images and pixels (Sun et al. 2023, equation 1). */
export const inputNorms: Collector = collectorOf("inputNorms", "squares", (sum) => Math.sqrt(sum));

/** Mean of what each column is multiplied by. */
export const inputMeans: Collector = collectorOf("inputMeans", "sums", (sum, count) => sum / count);

/** Second moments X·Xᵀ / count of what the columns are multiplied by: the Hessian of a layer's reconstruction error. */
export const inputMoments: Collector = collectorOf("inputMoments", "products", (sum, count) => sum / count);

type Statistic = "squares" | "sums" | "products";

/** One value to sum over batches: a statistic of one node's input. */
interface Part {
  readonly weight: string;
  readonly value: string;
  readonly groups: number;
  /** Products that one element of it sums over in one batch. */
  readonly count: number;
}

function collectorOf(
  kind: EvidenceKind,
  statistic: Statistic,
  finish: (sum: number, count: number) => number,
): Collector {
  return { kind, needsData: true, collect };

  async function collect(context: CollectContext): Promise<Map<string, HostTensor>> {
    const { gpu, graph, layers, onProgress } = context;
    const data = context.calibration();
    const [input] = graph.inputs;
    if (graph.inputs.length !== 1 || !input) {
      throw new InputError(
        `the model has ${graph.inputs.length} inputs; evidence is gathered on models with one image input.`,
      );
    }
    const shape = input.shape.map((d, i) => (i === 0 ? data.batch : (d ?? 0)));
    const probe = probeGraph(graph, layers, statistic, new Map([[input.name, shape]]));
    const session = await compile(gpu, probe.graph, { inputShapes: { [input.name]: shape } });
    try {
      const sums = new Map<string, { sum: Float64Array; count: number; groups: number }>();
      let done = 0;
      for (const { images } of data.batches()) {
        const result = await session.run({ [input.name]: images });
        for (const { weight, value, groups, count } of probe.parts) {
          const found = result[value]!.data;
          const total = sums.get(weight) ?? { sum: new Float64Array(found.length), count: 0, groups };
          for (let i = 0; i < found.length; i++) total.sum[i]! += Number(found[i]);
          total.count += count;
          sums.set(weight, total);
        }
        done += data.batch;
        onProgress?.(done, data.images);
      }
      const columns = new Map(layers.map((l) => [l.weight, l.cols]));
      return new Map(
        [...sums].map(([weight, { sum, count, groups }]) => {
          const cols = columns.get(weight)!;
          const dims = statistic === "products" ? [groups, cols, cols] : [groups, cols];
          return [weight, { dtype: "f64", shape: dims, data: sum.map((v) => finish(v, count)) }];
        }),
      );
    } finally {
      session.dispose();
    }
  }
}

/** The net with nodes that compute one statistic of what every layer multiplies; those are its only outputs. */
export function probeGraph(
  graph: Graph,
  layers: readonly PrunableLayer[],
  statistic: Statistic,
  shapes: ReadonlyMap<string, readonly number[]>,
): { readonly graph: Graph; readonly parts: readonly Part[] } {
  const inference = inferTypes(graph, shapes);
  const draft = draftOf(graph);
  const parts = layers.flatMap((layer) =>
    graph.nodes
      .filter((node) => node.inputs.includes(layer.weight))
      .map((node) => partOf(draft, node, layer, statistic, inference)),
  );
  return { graph: draft.build(parts.map(({ value }) => value)), parts };
}

function partOf(
  d: Draft,
  node: Node,
  layer: PrunableLayer,
  statistic: Statistic,
  inference: Inference,
): Part {
  const { x, groups, window, spatial, batch } = operandOf(d, node, layer, inference);
  const positions = batch * sizeOf(spatial);
  const count = { weight: layer.weight, groups, count: positions };
  if (statistic === "products") {
    // Each column's input as a channel of its own: under a kernel, a convolution that picks one tap per channel.
    const columns = window ? d.node("Conv", [x, d.constant(taps(groups, layer))], window.conv) : x;
    return { ...count, value: d.node("WeightGradient", [x, columns], window?.gradient ?? {}) };
  }
  const value = statistic === "squares" ? d.node("Mul", [x, x]) : x;
  const ones = new Float32Array(batch * groups * sizeOf(spatial)).fill(1);
  const all = d.constant(tensor(ones, [batch, groups, ...spatial]));
  return { ...count, value: d.node("WeightGradient", [value, all], window?.gradient ?? {}) };
}

interface Operand {
  /** [batch, channels, ...] of a convolution, or [batch, columns]. */
  readonly x: string;
  readonly groups: number;
  readonly batch: number;
  /** Pixels of the layer's output. */
  readonly spatial: readonly number[];
  readonly window?: {
    readonly conv: Record<string, Attribute>;
    readonly gradient: Record<string, Attribute>;
  };
}

/** What a layer's node multiplies its weight by. */
function operandOf(d: Draft, node: Node, layer: PrunableLayer, { types, values }: Inference): Operand {
  const context = contextOf(node, types, values);
  if (node.op === "Conv") {
    const g = convGeometry({ ...context, inputs: context.inputs });
    const shared = {
      strides: g.strides,
      dilations: g.dilations,
      pads: [...g.padsBegin, ...g.padsEnd],
      group: g.groups,
    };
    return {
      x: node.inputs[0]!,
      groups: g.groups,
      batch: g.batch,
      spatial: g.outSpatial,
      window: { conv: shared, gradient: { ...shared, kernel_shape: g.kernel } },
    };
  }
  const first = node.inputs[1] === layer.weight;
  const other = first ? node.inputs[0]! : node.inputs[1]!;
  const { shape } = types.get(other)!;
  const columnsLast = node.op === "Gemm" ? !gemmGeometry({ node, inputs: context.inputs }).transA : first;
  const rank = shape.length;
  const perm = shape.map((_, i) => (i === rank - 1 ? rank - 2 : i === rank - 2 ? rank - 1 : i));
  const turned = columnsLast ? other : d.node("Transpose", [other], { perm });
  const batch = sizeOf(shape) / layer.cols;
  const target = d.constant(tensor([batch, layer.cols], [2], "i64"));
  const x = rank === 2 ? turned : d.node("Reshape", [turned, target]);
  return { x, groups: 1, batch, spatial: [] };
}

/** The weight of a convolution whose output channel k of a group is what column k of the layer is multiplied by. */
function taps(groups: number, layer: PrunableLayer): HostTensor {
  const { cols } = layer;
  const data = new Float32Array(groups * cols * cols);
  for (let k = 0; k < groups * cols; k++) data[k * cols + (k % cols)] = 1;
  return tensor(data, [groups * cols, ...layer.shape.slice(1)]);
}
