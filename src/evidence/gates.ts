import { type Graph, makeGraph, type Node } from "../graph/graph.ts";
import { layerFeatures } from "../prune/feature-sites.ts";
import type { PrunableLayer } from "../prune/layers.ts";
import { staticTypes } from "../prune/types.ts";
import { compile } from "../run/compile.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import type { CollectContext, Collector } from "./collector.ts";
import { type LossOptions, lossGraph } from "./loss-graph.ts";

/**
 * Derivatives of the mean cross-entropy of each batch by a gate of 1 on every filter's output, behind its normalisation (Molchanov et
 * al. 2019, section 3.3).
 */
export const gateGradients: Collector = {
  kind: "gateGradients",
  needsData: true,
  async collect(context) {
    const rows = new Map<string, number[]>(context.layers.map((l) => [l.weight, []]));
    await perBatch(context, "cross-entropy", (weight, g) => void rows.get(weight)!.push(...g));
    return new Map(
      context.layers.map(({ weight, rows: filters }) => {
        const data = Float64Array.from(rows.get(weight)!);
        return [weight, { dtype: "f64", shape: [data.length / filters, filters], data }];
      }),
    );
  },
};

/**
 * How much each filter takes off the error: minus the derivative by the same gates of the sum over classes of |target - probability|,
 * mean over images (Mozer and Smolensky 1988, section 3: not the squared error, whose derivative fades where the net is right).
 */
export const gateRelevance: Collector = {
  kind: "gateRelevance",
  needsData: true,
  async collect(context) {
    const sums = new Map(context.layers.map((l) => [l.weight, new Float64Array(l.rows)]));
    const batches = await perBatch(context, "linear", (weight, g) => {
      const sum = sums.get(weight)!;
      for (let i = 0; i < sum.length; i++) sum[i]! -= g[i]!;
    });
    return new Map(
      [...sums].map(([weight, sum]): [string, HostTensor] => [
        weight,
        { dtype: "f64", shape: [sum.length], data: sum.map((v) => v / batches) },
      ]),
    );
  },
};

/** Calls `visit` for every batch and layer with the derivatives by its gates; returns the number of batches. */
async function perBatch(
  context: CollectContext,
  error: NonNullable<LossOptions["error"]>,
  visit: (weight: string, gradient: Float32Array) => void,
): Promise<number> {
  const { gpu, graph, layers, norms, onProgress } = context;
  const data = context.calibration();
  const gated = withGates(graph, layers);
  const weights = layers.map((l) => gateOf(l.weight));
  const loss = lossGraph(gated, { batch: data.batch, classes: data.classes, weights, norms, error });
  const session = await compile(gpu, loss.graph, { variables: loss.statistics });
  try {
    let batches = 0;
    for (const { images, targets } of data.batches()) {
      const result = await session.run({ [loss.input]: images, [loss.targets]: targets });
      for (const { weight, rows } of layers) {
        const name = loss.gradients.get(gateOf(weight));
        visit(weight, name === undefined ? new Float32Array(rows) : (result[name]!.data as Float32Array));
      }
      batches++;
      onProgress?.(batches * data.batch, data.images);
    }
    return batches;
  } finally {
    session.dispose();
  }
}

const gateOf = (weight: string): string => `evidence/gate/${weight}`;

/** The net with every layer's output, behind its normalisation, multiplied channel by channel by a weight of ones. */
export function withGates(graph: Graph, layers: readonly PrunableLayer[]): Graph {
  const types = staticTypes(graph);
  const weights = new Map(graph.weights);
  const gates = new Map<string, string>();
  for (const layer of layers) {
    const name = gateOf(layer.weight);
    for (const { affine } of layerFeatures(graph, types, layer)) {
      const trailing = types.types.get(affine.value)!.shape.length - affine.axis - 1;
      const shape = [layer.rows, ...new Array<number>(trailing).fill(1)];
      weights.set(name, { dtype: "f32", shape, data: new Float32Array(layer.rows).fill(1) });
      gates.set(affine.value, name);
    }
  }
  const nodes = graph.nodes.flatMap((node): Node[] => {
    const gate = gates.get(node.outputs[0] ?? "");
    if (gate === undefined) return [node];
    const [value, ...others] = node.outputs as [string, ...string[]];
    const open = `${value}/ungated`;
    const product = { name: `${value}/gated`, op: "Mul", inputs: [open, gate], outputs: [value] };
    return [
      { ...node, outputs: [open, ...others] },
      { ...product, attributes: new Map() },
    ];
  });
  return makeGraph({ ...graph, nodes, weights });
}
