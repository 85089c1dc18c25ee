import { CholeskyDecomposition, Matrix } from "ml-matrix";
import { PruneError } from "../errors.ts";
import type { Graph, Node } from "../graph/graph.ts";
import { withWeights } from "../graph/graph.ts";
import { attributesOf } from "../graph/op.ts";
import type { HostArray } from "../tensor/dtype.ts";
import { getNumber, type HostTensor, setNumber } from "../tensor/host-tensor.ts";
import type { ChannelGroups } from "./channel-groups.ts";
import { type ChannelReader, channelReaders, momentsOf } from "./channel-readers.ts";
import type { GraphTypes } from "./context.ts";
import { type Evidence, type EvidenceKind, evidenceOf } from "./evidence.ts";
import { layerFeatures } from "./feature-sites.ts";
import { forEachCell, type PrunableLayer } from "./layers.ts";
import { toMatrix } from "./matrix.ts";
import type { Recovery } from "./recover.ts";

/** The evidence that a recovery looks at where whole filters go: the layers behind are fitted with an intercept. */
export const filterRecoveryNeeds: Readonly<Record<Recovery, readonly EvidenceKind[]>> = {
  bias: ["inputMeans"],
  "least-squares": ["inputMoments", "inputMeans"],
};

/** What is added to the covariance's diagonal, as a share of its mean: columns that hardly vary cannot be told apart. */
const damping = 0.01;

/**
 * What makes up for removed channels in the layers that read them, without labels or training. "bias": their mean contribution goes
 * into the bias. "least-squares": the weights of what stays, and the bias, are fitted to the old outputs.
 *
 * Gives new weights and biases to every layer that reads removed channels, in a graph that still has them. Means and covariances C
 * are those of the net before anything was removed: with columns S that stay and R that go, W_S becomes W_S + W_R C_RS C_SS⁻¹, and
 * the bias takes what is then missing on the average (He et al. 2017, section 3.1.1, with an intercept; damped towards the old
 * weights).
 */
export function recovered(
  graph: Graph,
  types: GraphTypes,
  groups: ChannelGroups,
  layers: readonly PrunableLayer[],
  removed: ReadonlySet<number>,
  recovery: Recovery | undefined,
  evidence: Evidence,
): { readonly graph: Graph; readonly notes: readonly string[] } {
  const changed = new Map<string, HostTensor>();
  const notes: string[] = [];
  for (const reader of channelReaders(groups, layers)) {
    if (!recovery || !reader.classes.some((c) => removed.has(c))) continue;
    const { layer } = reader;
    const shift = shiftOf(graph, types, layer);
    if (!shift) {
      notes.push(`not recovered: layer "${layer.name}" has no bias or normalisation of its own`);
      continue;
    }
    const { weight, means } = fitted(graph, reader, removed, recovery, evidence);
    changed.set(layer.weight, weight);
    const target = graph.weights.get(shift.name)!;
    const data = target.data.slice() as HostArray;
    for (const [row, mean] of means.entries()) {
      setNumber(data, row, getNumber(data, row) + shift.sign * mean);
    }
    changed.set(shift.name, { ...target, data });
  }
  return { graph: withWeights(graph, changed), notes };
}

/** The weights fitted to what stays, and the mean of every output that they are short of. */
function fitted(
  graph: Graph,
  { layer, classes }: ChannelReader,
  removed: ReadonlySet<number>,
  recovery: Recovery,
  evidence: Evidence,
): { readonly weight: HostTensor; readonly means: Float64Array } {
  const { rows, cols } = layer;
  const old = graph.weights.get(layer.weight)!;
  const w = toMatrix(layer, old);
  const columns = Array.from(classes.keys());
  const gone = columns.filter((k) => removed.has(classes[k]!));
  const kept = columns.filter((k) => !removed.has(classes[k]!));
  const groups = Math.max(1, (evidence.inputMeans?.get(layer.weight)?.data.length ?? 0) / cols);
  const mu = evidenceOf(evidence, "inputMeans", layer.weight, groups * cols);
  const perGroup = rows / groups;
  const means = new Float64Array(rows);
  for (let g = 0; g < groups; g++) {
    const own = Array.from({ length: perGroup }, (_, r) => g * perGroup + r);
    for (const row of own) for (const k of gone) means[row]! += w[row * cols + k]! * mu[g * cols + k]!;
    if (recovery !== "least-squares") continue;
    const solved = solve(layer, evidence, g, mu, kept, gone);
    for (const row of own) {
      for (let s = 0; s < kept.length; s++) {
        let change = 0;
        for (let r = 0; r < gone.length; r++) change += w[row * cols + gone[r]!]! * solved.get(s, r);
        w[row * cols + kept[s]!]! += change;
        means[row]! -= change * mu[g * cols + kept[s]!]!;
      }
    }
  }
  const data = old.data.slice() as HostArray;
  forEachCell(layer, (i, row, column) => setNumber(data, i, w[row * cols + column]!));
  return { weight: { ...old, data }, means };
}

/** (C_SS + damping)⁻¹ C_SR. */
function solve(
  layer: PrunableLayer,
  evidence: Evidence,
  group: number,
  mu: ArrayLike<number>,
  kept: readonly number[],
  gone: readonly number[],
): Matrix {
  const { cols } = layer;
  const { data } = momentsOf(evidence, layer);
  const covariance = (a: number, b: number): number =>
    data[(group * cols + a) * cols + b]! - mu[group * cols + a]! * mu[group * cols + b]!;
  const square = new Matrix(kept.length, kept.length);
  const right = new Matrix(kept.length, gone.length);
  let trace = 0;
  for (const [i, a] of kept.entries()) {
    for (const [j, b] of kept.entries()) square.set(i, j, (covariance(a, b) + covariance(b, a)) / 2);
    for (const [j, b] of gone.entries()) right.set(i, j, covariance(a, b));
    trace += square.get(i, i);
  }
  // Where nothing varies at all, nothing can be learnt from it.
  const ridge = Math.max((damping * trace) / kept.length, Number.MIN_VALUE * 2 ** 60);
  for (let i = 0; i < kept.length; i++) square.set(i, i, square.get(i, i) + ridge);
  const cholesky = new CholeskyDecomposition(square);
  if (cholesky.isPositiveDefinite()) return cholesky.solve(right);
  throw new PruneError(
    `the second moments of what layer "${layer.name}" reads are not those of any data. Gather them on more images, or give recover: "bias".`,
  );
}

/** What shifts a layer's outputs: its bias (added), or the running mean of the normalisation behind it (subtracted). */
function shiftOf(
  graph: Graph,
  types: GraphTypes,
  layer: PrunableLayer,
): { readonly name: string; readonly sign: 1 | -1 } | undefined {
  const [only, ...others] = layerFeatures(graph, types, layer);
  if (!only || others.length > 0) return undefined;
  const { node, norm } = only;
  const alone = (name: string): boolean =>
    graph.weights.get(name)?.shape.length === 1 &&
    graph.weights.get(name)!.data.length === layer.rows &&
    graph.nodes.reduce((n, { inputs }) => n + inputs.filter((i) => i === name).length, 0) === 1;
  if (!isPlain(node)) return undefined;
  const bias = node.op === "MatMul" ? "" : (node.inputs[2] ?? "");
  if (alone(bias)) return { name: bias, sign: 1 };
  const mean = norm?.inputs[3] ?? "";
  return bias === "" && alone(mean) ? { name: mean, sign: -1 } : undefined;
}

/** Is the output the product plus the bias, without factors? */
function isPlain(node: Node): boolean {
  if (node.op !== "Gemm") return true;
  const a = attributesOf(node);
  return a.float("alpha", 1) === 1 && a.float("beta", 1) === 1;
}
