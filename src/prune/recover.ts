import { Matrix, solve } from "ml-matrix";
import { PruneError } from "../errors.ts";
import { type Graph, type Node, withWeights } from "../graph/graph.ts";
import { attributesOf } from "../graph/op.ts";
import { allocate } from "../tensor/dtype.ts";
import { getNumber, type HostTensor, setNumber } from "../tensor/host-tensor.ts";
import { type Evidence, type EvidenceKind, evidenceOf } from "./evidence.ts";
import type { PrunableLayer } from "./layers.ts";
import { fromMatrix, toMatrix } from "./matrix.ts";

/** How the weights that stay make up for those that went, without labels and without training. */
export type Recovery = "bias" | "least-squares";

export const recoveries: readonly Recovery[] = ["bias", "least-squares"];

/** The evidence that a recovery looks at, gathered on the net before it was pruned. */
export const recoveryNeeds: Readonly<Record<Recovery, readonly EvidenceKind[]>> = {
  bias: ["inputMeans"],
  "least-squares": ["inputMoments"],
};

/**
 * Repairs the layers of a pruned net. "bias": what went had a mean, which joins the bias, b + (W - W')·E[x] (Nagel et al. 2019,
 * arXiv 1906.04721, do so after quantisation); layers without a bias stay as they are. "least-squares": every row's
 * remaining weights become those that rebuild its old outputs best, over the inputs of the old net.
 */
export function recover(
  before: Graph,
  after: Graph,
  layers: readonly PrunableLayer[],
  evidence: Evidence,
  kind: Recovery,
): { readonly graph: Graph; readonly notes: readonly string[] } {
  const changed = new Map<string, HostTensor>();
  const notes: string[] = [];
  for (const layer of layers) {
    const [old, now] = [before, after].map((g) => g.weights.get(layer.weight)!);
    if (old === now) continue;
    if (kind === "least-squares") changed.set(layer.weight, refitted(layer, old!, now!, evidence));
    else if (!addBias(before, layer, old!, now!, evidence, changed))
      notes.push(`not recovered: layer "${layer.name}" has no bias of its own`);
  }
  return { graph: withWeights(after, changed), notes };
}

/** False where there is no bias to add to. */
function addBias(
  graph: Graph,
  layer: PrunableLayer,
  old: HostTensor,
  now: HostTensor,
  evidence: Evidence,
  changed: Map<string, HostTensor>,
): boolean {
  const readers = graph.nodes.filter((node) => node.inputs.includes(layer.weight));
  const [node] = readers;
  const bias = node && biasOf(node);
  const tensor = bias && graph.weights.get(bias.name);
  if (readers.length !== 1 || !tensor || tensor.data.length !== layer.rows) return false;
  const { rows, cols } = layer;
  const groups = (evidence.inputMeans?.get(layer.weight)?.data.length ?? 0) / cols || 1;
  const means = evidenceOf(evidence, "inputMeans", layer.weight, groups * cols);
  const [a, b] = [toMatrix(layer, old), toMatrix(layer, now)];
  const data = allocate(tensor.dtype, rows);
  for (let row = 0; row < rows; row++) {
    const group = Math.floor((row * groups) / rows);
    let lost = 0;
    for (let k = 0; k < cols; k++)
      lost += (a[row * cols + k]! - b[row * cols + k]!) * means[group * cols + k]!;
    setNumber(data, row, getNumber(tensor.data, row) + bias.factor * lost);
  }
  changed.set(bias.name, { ...tensor, data });
  return true;
}

/** The bias that a node adds itself, and what one unit of its product is in units of it (Gemm's alpha over beta). */
function biasOf(node: Node): { readonly name: string; readonly factor: number } | undefined {
  const name = node.inputs[2] ?? "";
  if (name === "" || (node.op !== "Conv" && node.op !== "Gemm")) return undefined;
  if (node.op === "Conv") return { name, factor: 1 };
  const a = attributesOf(node);
  const [alpha, beta] = [a.float("alpha", 1), a.float("beta", 1)];
  return beta === 0 ? undefined : { name, factor: alpha / beta };
}

/** Added to the diagonal, as a share of its mean: inputs that never differ cannot be told apart. */
const damping = 1e-6;

/** Row by row: the weights on the places that stay with the least (w' - w)ᵀ·H·(w' - w). */
function refitted(layer: PrunableLayer, old: HostTensor, now: HostTensor, evidence: Evidence): HostTensor {
  const { rows, cols } = layer;
  const groups = (evidence.inputMoments?.get(layer.weight)?.data.length ?? 0) / cols ** 2 || 1;
  const moments = evidenceOf(evidence, "inputMoments", layer.weight, groups * cols * cols);
  const [a, b] = [toMatrix(layer, old), toMatrix(layer, now)];
  const result = new Float64Array(rows * cols);
  // Rows that share a pattern share a matrix: solved together.
  const patterns = new Map<string, number[]>();
  for (let row = 0; row < rows; row++) {
    const group = Math.floor((row * groups) / rows);
    const places = Array.from({ length: cols }, (_, k) => k).filter((k) => b[row * cols + k] !== 0);
    const key = `${group}:${places.join(",")}`;
    const list = patterns.get(key);
    if (list) list.push(row);
    else patterns.set(key, [row]);
  }
  for (const members of patterns.values()) {
    const first = members[0]!;
    const h = moments.subarray(
      Math.floor((first * groups) / rows) * cols * cols,
      (Math.floor((first * groups) / rows) + 1) * cols * cols,
    );
    const places = Array.from({ length: cols }, (_, k) => k).filter((k) => b[first * cols + k] !== 0);
    if (places.length === 0) continue;
    const mean = places.reduce((s, k) => s + h[k * cols + k]!, 0) / places.length;
    const left = new Matrix(places.length, places.length);
    for (const [i, p] of places.entries()) {
      for (const [j, q] of places.entries()) left.set(i, j, h[p * cols + q]!);
      left.set(i, i, left.get(i, i) + (damping * mean || 1));
    }
    const right = new Matrix(places.length, members.length);
    for (const [m, row] of members.entries()) {
      for (const [i, p] of places.entries()) {
        let sum = damping * mean * a[row * cols + p]!;
        for (let q = 0; q < cols; q++) sum += h[p * cols + q]! * a[row * cols + q]!;
        right.set(i, m, sum);
      }
    }
    const found = solve(left, right);
    for (const [m, row] of members.entries())
      for (const [i, p] of places.entries()) result[row * cols + p] = found.get(i, m);
  }
  if (!result.every(Number.isFinite)) {
    throw new PruneError(
      `layer "${layer.name}" cannot be rebuilt by least squares: its inputs are too alike. Gather the evidence on more images, or recover by bias.`,
    );
  }
  return fromMatrix(layer, result, now);
}
