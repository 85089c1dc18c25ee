import type { Graph } from "../graph/graph.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import type { ChannelGroups } from "./channel-groups.ts";
import { type Evidence, evidenceOf } from "./evidence.ts";
import type { PrunableLayer } from "./layers.ts";
import { toMatrix } from "./matrix.ts";

/** A layer that reads channels which may go: the class behind each column of its weight. */
export interface ChannelReader {
  readonly layer: PrunableLayer;
  readonly classes: Int32Array;
}

/** The layers that read channels, in graph order; depthwise ones are none, since their channels are their own. */
export function channelReaders(groups: ChannelGroups, layers: readonly PrunableLayer[]): ChannelReader[] {
  return layers.flatMap((layer) => {
    const slice = groups.slices.find(
      (s) => s.role === "in" && s.weight === layer.weight && s.axis === layer.inAxis,
    );
    if (!slice) return [];
    const perChannel = layer.cols / slice.classes.length;
    const classes = Int32Array.from(
      { length: layer.cols },
      (_, column) => slice.classes[Math.floor(column / perChannel)]!,
    );
    return [{ layer, classes }];
  });
}

/** Second moments [groups, cols, cols] of what a layer's columns are multiplied by; throws what `evidenceOf` throws. */
export function momentsOf(
  evidence: Evidence,
  layer: PrunableLayer,
): { readonly data: ArrayLike<number>; readonly groups: number } {
  const square = layer.cols * layer.cols;
  const found = evidence.inputMoments?.get(layer.weight);
  const groups = Math.max(1, Math.floor((found?.data.length ?? 0) / square));
  return { data: evidenceOf(evidence, "inputMoments", layer.weight, groups * square), groups };
}

/** Products of what the channels of one reader contribute to its outputs. */
export interface Contributions {
  /** The distinct classes that it reads, in the order of their columns. */
  readonly classes: readonly number[];
  /** [classes, classes]: mean over images and pixels of the sum over output channels of both contributions' product. */
  readonly gram: Float64Array;
}

/**
 * What channel a adds to output r is x̂(a, r) = Σ over a's columns of w(r, column) · x(column); the Gram matrix of these over all
 * outputs follows from the weight and the second moments of x alone, so that no position has to be sampled.
 */
export function contributions(graph: Graph, reader: ChannelReader, evidence: Evidence): Contributions {
  const { layer, classes } = reader;
  const { rows, cols } = layer;
  const distinct = [...new Set(classes)];
  const place = Int32Array.from(classes, (c) => distinct.indexOf(c));
  const { data: moments, groups } = momentsOf(evidence, layer);
  const weight = toMatrix(layer, graph.weights.get(layer.weight)!);
  const n = distinct.length;
  const gram = new Float64Array(n * n);
  const perGroup = rows / groups;
  const outer = new Float64Array(cols);
  for (let g = 0; g < groups; g++) {
    for (let a = 0; a < cols; a++) {
      // Σ over the group's rows of w(row, a) · w(row, b), for every b from a on: the rest is its mirror image.
      outer.fill(0);
      for (let row = g * perGroup; row < (g + 1) * perGroup; row++) {
        const w = weight[row * cols + a]!;
        if (w === 0) continue;
        for (let b = a; b < cols; b++) outer[b]! += w * weight[row * cols + b]!;
      }
      const at = (g * cols + a) * cols;
      for (let b = a; b < cols; b++) {
        const product = outer[b]! * moments[at + b]!;
        gram[place[a]! * n + place[b]!]! += product;
        if (b !== a) gram[place[b]! * n + place[a]!]! += product;
      }
    }
  }
  return { classes: distinct, gram };
}

/**
 * Scores of a layer's filters by its readers: `judge` scores the classes of one reader, a filter gets the mean over the readers of its
 * class. Each reader is judged once for one lot of evidence, however many layers it reads from.
 */
export function scoresByReaders(judge: (c: Contributions) => Float64Array) {
  const known = new WeakMap<HostTensor, { weight: HostTensor; scores: Map<number, number> }>();
  const judged = (graph: Graph, reader: ChannelReader, evidence: Evidence): Map<number, number> => {
    const weight = graph.weights.get(reader.layer.weight)!;
    const moments = evidence.inputMoments?.get(reader.layer.weight);
    const before = moments && known.get(moments);
    if (before?.weight === weight) return before.scores;
    const found = contributions(graph, reader, evidence);
    const values = judge(found);
    const scores = new Map(found.classes.map((c, i) => [c, values[i]!]));
    if (moments) known.set(moments, { weight, scores });
    return scores;
  };
  return (
    graph: Graph,
    readers: readonly ChannelReader[],
    classes: readonly number[],
    evidence: Evidence,
  ): Float64Array => {
    const tables = readers
      .filter((r) => classes.some((c) => r.classes.includes(c)))
      .map((r) => judged(graph, r, evidence));
    return Float64Array.from(classes, (c) => {
      const values = tables.flatMap((t) => t.get(c) ?? []);
      return values.reduce((a, b) => a + b, 0) / Math.max(1, values.length);
    });
  };
}
