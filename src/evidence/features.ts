import { InputError } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { type Inference, inferTypes } from "../graph/infer.ts";
import type { EvidenceKind } from "../prune/evidence.ts";
import { type FeatureSite, layerFeatures } from "../prune/feature-sites.ts";
import type { PrunableLayer } from "../prune/layers.ts";
import { compile } from "../run/compile.ts";
import { type HostTensor, scalar } from "../tensor/host-tensor.ts";
import { type Shape, sizeOf } from "../tensor/shape.ts";
import type { CollectContext, Collector } from "./collector.ts";
import { type Draft, draftOf } from "./draft.ts";

/**
 * Mean over images of the rank of the map that each filter makes, behind the nonlinearity, as a share of the largest rank that a map
 * of its size can have (Lin et al. 2020, HRank, equation 4).
 */
export const featureRanks: Collector = collectorOf("featureRanks", (d, x, [, , height, width]) => {
  const ranks = d.node("MatrixRank", [x]);
  return {
    sums: d.node("ReduceSum", [ranks, d.list([0])], { keepdims: 0 }),
    most: Math.min(height!, width!),
  };
});

/** Share of zeros in the map that each filter makes, behind the nonlinearity (Hu et al. 2016, equation 1). */
export const zeroShares: Collector = collectorOf("zeroShares", (d, x, [, , height, width]) => {
  const zero = d.node("Cast", [d.node("Equal", [x, d.constant(scalar(0))])], { to: 1 });
  return {
    sums: d.node("ReduceSum", [zero, d.list([0, 2, 3])], { keepdims: 0 }),
    most: height! * width!,
  };
});

/** Adds nodes that sum a statistic of maps x [N, C, H, W] over the batch, to [C]; `most` is what one image can add at most. */
type Statistic = (d: Draft, x: string, shape: Shape) => { readonly sums: string; readonly most: number };

/** One layer's statistic at one place. */
interface Part {
  readonly weight: string;
  readonly value: string;
  readonly most: number;
}

function collectorOf(kind: EvidenceKind, statistic: Statistic): Collector {
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
    const probe = featureProbe(graph, layers, statistic, new Map([[input.name, shape]]));
    const session = await compile(gpu, probe.graph, { inputShapes: { [input.name]: shape } });
    try {
      const shares = new Map(layers.map((l) => [l.weight, new Float64Array(l.rows)]));
      const places = new Map<string, number>();
      for (const { weight } of probe.parts) places.set(weight, (places.get(weight) ?? 0) + 1);
      let done = 0;
      for (const { images } of data.batches()) {
        const result = await session.run({ [input.name]: images });
        for (const { weight, value, most } of probe.parts) {
          const sums = result[value]!.data;
          const total = shares.get(weight)!;
          for (let i = 0; i < total.length; i++) {
            total[i]! += Number(sums[i]) / (most * data.images * places.get(weight)!);
          }
        }
        done += data.batch;
        onProgress?.(done, data.images);
      }
      return new Map(
        [...shares].map(([weight, values]) => [
          weight,
          { dtype: "f64", shape: [values.length], data: values },
        ]),
      );
    } finally {
      session.dispose();
    }
  }
}

/** The net with nodes that compute a statistic of every layer's features; those are its only outputs. */
function featureProbe(
  graph: Graph,
  layers: readonly PrunableLayer[],
  statistic: Statistic,
  shapes: ReadonlyMap<string, readonly number[]>,
): { readonly graph: Graph; readonly parts: readonly Part[] } {
  const inference = inferTypes(graph, shapes);
  const d = draftOf(graph);
  const parts = layers.flatMap((layer) =>
    layerFeatures(graph, inference, layer).map(({ activated }): Part => {
      const maps = mapsOf(d, activated, layer.rows, inference);
      const { sums, most } = statistic(d, maps.x, maps.shape);
      return { weight: layer.weight, value: sums, most };
    }),
  );
  return { graph: d.build(parts.map(({ value }) => value)), parts };
}

/** The layer's own channels at a place as [N, C, H, W]; axes before the last are taken together, missing ones are 1. */
function mapsOf(
  d: Draft,
  { value, axis, from }: FeatureSite,
  channels: number,
  { types }: Inference,
): { readonly x: string; readonly shape: Shape } {
  const { shape } = types.get(value)!;
  let x = value;
  if (shape[axis] !== channels) {
    x = d.node("Slice", [x, d.list([from]), d.list([from + channels]), d.list([axis])]);
  }
  const others = shape.map((_, i) => i).filter((i) => i !== 0 && i !== axis);
  if (axis !== 1) x = d.node("Transpose", [x], { perm: [0, axis, ...others] });
  const spatial = others.map((i) => shape[i]!);
  const flat = [shape[0]!, channels, sizeOf(spatial.slice(0, -1)), spatial.at(-1) ?? 1];
  if (spatial.length !== 2) x = d.node("Reshape", [x, d.list(flat)]);
  return { x, shape: flat };
}
