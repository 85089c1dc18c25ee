import type { Graph } from "../graph/graph.ts";
import { allocate, type HostArray } from "../tensor/dtype.ts";
import { type HostTensor, zeros } from "../tensor/host-tensor.ts";
import { sizeOf } from "../tensor/shape.ts";
import type { ChannelGroups, Slice } from "./channel-groups.ts";
import { channelConstants } from "./constants.ts";
import type { GraphTypes } from "./context.ts";

/** Per-channel parameters that are zeroed with their filter, by op: biases, and BatchNormalization's scale and shift. */
const silenced: Readonly<Record<string, readonly number[]>> = {
  Conv: [2],
  ConvTranspose: [2],
  Gemm: [2],
  BatchNormalization: [1, 2],
  InstanceNormalization: [1, 2],
  Add: [0, 1],
  Sub: [0, 1],
  Mul: [0, 1],
};

const isQuieted = ({ node, input, role }: Slice): boolean =>
  role === "out" ||
  (role === "param" && Object.hasOwn(silenced, node.op) && silenced[node.op]!.includes(input));

/** Names of the weights that silencing channels changes: filters, biases, scales and shifts. */
export const silencedWeights = (groups: ChannelGroups): string[] => [
  ...new Set(groups.slices.filter(isQuieted).map((s) => s.weight)),
];

/**
 * The graph with whole classes silenced but kept in shape: their filters, biases and BatchNormalization scales and shifts
 * become zero, and masks hold them there.
 */
export function maskFilters(graph: Graph, groups: ChannelGroups, removed: ReadonlySet<number>): Graph {
  const weights = new Map(graph.weights);
  const masks = new Map(graph.masks);
  const own = new Set<string>();
  for (const slice of groups.slices) {
    const { weight, axis, classes } = slice;
    if (!isQuieted(slice) || !classes.some((c) => removed.has(c))) continue;
    if (!own.has(weight)) {
      weights.set(weight, copyOf(weights.get(weight)!));
      masks.set(weight, masks.has(weight) ? copyOf(masks.get(weight)!) : fullMask(weights.get(weight)!));
      own.add(weight);
    }
    const gone = classes.flatMap((c, k) => (removed.has(c) ? [k] : []));
    for (const t of [weights.get(weight)!, masks.get(weight)!]) clearSlices(t, axis, gone);
  }
  return { ...graph, weights, masks };
}

export const copyOf = (t: HostTensor): HostTensor => ({ ...t, data: t.data.slice() as HostArray });

/** A mask that keeps every element. */
export function fullMask(like: HostTensor): HostTensor {
  const mask = zeros(like.shape, "bool");
  (mask.data as Uint8Array).fill(1);
  return mask;
}

/** Sets the slices of these indices along an axis to zero, in place. */
export function clearSlices(t: HostTensor, axis: number, indices: readonly number[]): void {
  const outer = sizeOf(t.shape.slice(0, axis));
  const inner = sizeOf(t.shape.slice(axis + 1));
  const blank = allocate(t.dtype, inner) as Float32Array;
  for (let o = 0; o < outer; o++) {
    for (const k of indices) (t.data as Float32Array).set(blank, (o * t.shape[axis]! + k) * inner);
  }
}

/**
 * Candidate classes that cannot be removed exactly, with the reason: a silenced channel has to arrive as zero wherever a
 * weight reads it, and after an activation with f(0) ≠ 0 (Sigmoid, Softplus) it does not.
 */
export function inexactClasses(
  graph: Graph,
  types: GraphTypes,
  groups: ChannelGroups,
  candidates: ReadonlySet<number>,
): Map<number, string> {
  const constants = channelConstants(maskFilters(graph, groups, candidates), types, groups);
  const reasons = new Map<number, string>();
  for (const node of new Set(groups.slices.filter((s) => s.role === "in").map((s) => s.node))) {
    for (const name of node.inputs) {
      const flow = groups.values.get(name);
      if (!flow) continue;
      const values = constants.get(name);
      for (const [k, id] of flow.ids.entries()) {
        const c = groups.classOf[id]!;
        const value = values?.[k] ?? Number.NaN;
        if (value === 0 || !candidates.has(c) || reasons.has(c)) continue;
        const what = Number.isNaN(value) ? "something that may not be zero" : `${value}`;
        reasons.set(c, `a silenced channel reaches ${node.op} "${node.name}" as ${what}`);
      }
    }
  }
  return reasons;
}
