import { PruneError } from "../../errors.ts";
import type { Graph } from "../../graph/graph.ts";
import { allocate } from "../../tensor/dtype.ts";
import { getNumber, type HostTensor, setNumber } from "../../tensor/host-tensor.ts";
import { type Evidence, evidenceOf } from "../evidence.ts";
import type { Method, SolveContext, Solved } from "./method.ts";

/** α over the mean of the diagonal; the authors start from H = αI with α from 1e-8 to 1e-4 and losses around 1. */
const damping = 1e-6;
/** Every removal costs the square of this. */
const mostWeights = 3000;

/**
 * Optimal Brain Surgeon: takes away the weight whose removal costs least once all others have made up for it,
 * w²/(2·[H⁻¹]_qq), moves the others by -w_q/[H⁻¹]_qq · H⁻¹e_q, and again. H is the Gauss-Newton matrix over all weights and
 * biases, inverted by one rank-one update per gradient; a weight that is gone leaves it by elimination, so it stays zero.
 * Second derivatives hold near by only: pruned in rounds (16 unless said) they are gathered anew, as the authors do.
 */
export const obs: Method = {
  name: "obs",
  kind: "data",
  granularities: ["element"],
  reference:
    "Hassibi and Stork 1992, Second Order Derivatives for Network Pruning: Optimal Brain Surgeon (NIPS 5)",
  needs: ["jacobian"],
  defaults: { images: 64, rounds: 16 },
  score() {
    throw new PruneError("obs chooses and updates in one go; it has no scores of its own.");
  },
  solve,
};

/** One tensor among all parameters: where its elements begin. */
interface Part {
  readonly weight: HostTensor;
  readonly name: string;
  readonly from: number;
  /** Index of the layer; undefined for what is updated but never removed. */
  readonly layer: number | undefined;
}

function solve(context: SolveContext): Solved {
  const parts = partsOf(context);
  const last = parts.at(-1)!;
  const count = last.from + last.weight.data.length;
  if (count > mostWeights) {
    throw new PruneError(
      `obs inverts the second derivatives of all ${count} weights at once; that is for nets of up to ${mostWeights}. Use obd (their diagonal) or sparsegpt (one layer at a time).`,
    );
  }
  const w = new Float64Array(count);
  const owner = new Int32Array(count).fill(-1);
  for (const { weight, from, layer } of parts) {
    for (let i = 0; i < weight.data.length; i++) {
      w[from + i] = getNumber(weight.data, i);
      if (layer !== undefined) owner[from + i] = layer;
    }
  }
  const inverse = inverseHessian(parts, context.evidence, count);
  const gone = new Uint8Array(count);
  const left = context.layers.map((l) => l.remove ?? Number.POSITIVE_INFINITY);
  let total = context.scope === "global" ? context.remove : left.reduce((a, b) => a + b, 0);
  const take = (q: number): void => {
    remove(w, inverse, gone, q);
    left[owner[q]!]!--;
    total--;
  };
  for (const { layer, from } of parts) {
    if (layer === undefined) continue;
    const mask = context.layers[layer]!.mask?.data;
    for (let i = 0; mask && i < mask.length; i++) if (mask[i] === 0) take(from + i);
  }
  while (total > 0) {
    let best = -1;
    let least = Number.POSITIVE_INFINITY;
    for (let q = 0; q < count; q++) {
      if (owner[q]! < 0 || gone[q] !== 0 || left[owner[q]!]! <= 0) continue;
      const cost = (w[q]! * w[q]!) / (2 * inverse[q * count + q]!);
      if (cost < least) [best, least] = [q, cost];
    }
    if (best < 0) break;
    take(best);
  }
  return solutionOf(context, parts, w, gone);
}

function partsOf({ graph, layers, skipped, evidence }: SolveContext): Part[] {
  const parts: Part[] = [];
  let from = 0;
  const index = new Map(layers.map((l, i) => [l.layer.weight, i]));
  const still = beside(graph, skipped);
  for (const name of evidence.jacobian!.keys()) {
    const weight = graph.weights.get(name);
    if (!weight || still.has(name)) continue;
    parts.push({ name, weight, from, layer: index.get(name) });
    from += weight.data.length;
  }
  const missing = layers.find((l) => !evidence.jacobian!.has(l.layer.weight));
  if (missing) evidenceOf(evidence, "jacobian", missing.layer.weight, 0);
  return parts;
}

/** Parameters that stay as they are with these weights: the weights, and what is added to or scales the products that they make. */
function beside(graph: Graph, weights: readonly string[]): Set<string> {
  const still = new Set(weights);
  const made = new Set<string>();
  for (const { op, inputs, outputs } of graph.nodes) {
    const own = inputs.some((name) => weights.includes(name));
    const after = inputs.some((name) => made.has(name)) && (op === "BatchNormalization" || op === "Add");
    if (!own && !after) continue;
    const constants = inputs.filter((name) => graph.weights.has(name));
    if (constants.length === 0) continue;
    for (const name of constants) still.add(name);
    for (const name of outputs) made.add(name);
  }
  return still;
}

/** (αI + sum of x·xᵀ)⁻¹ over the rows x, by Sherman and Morrison's formula (equation 5 of the paper). */
function inverseHessian(parts: readonly Part[], evidence: Evidence, count: number): Float64Array {
  const rows = evidence.jacobian!.get(parts[0]!.name)!.shape[0]!;
  const jacobian = parts.map(({ name, weight: { data } }) => ({
    width: data.length,
    data: evidenceOf(evidence, "jacobian", name, rows * data.length),
  }));
  let squares = 0;
  for (const { data } of jacobian) for (const v of data) squares += v * v;
  const alpha = Math.max(Number.MIN_VALUE * 1e30, (damping * squares) / count);
  const p = new Float64Array(count * count);
  for (let i = 0; i < count; i++) p[i * count + i] = 1 / alpha;
  const x = new Float64Array(count);
  const px = new Float64Array(count);
  for (let row = 0; row < rows; row++) {
    for (const [k, { from }] of parts.entries()) {
      const { width, data } = jacobian[k]!;
      x.set(data.subarray(row * width, (row + 1) * width), from);
    }
    let scale = 1;
    for (let i = 0; i < count; i++) {
      let sum = 0;
      for (let j = 0; j < count; j++) sum += p[i * count + j]! * x[j]!;
      px[i] = sum;
      scale += sum * x[i]!;
    }
    for (let i = 0; i < count; i++) {
      const factor = px[i]! / scale;
      if (factor !== 0) for (let j = 0; j < count; j++) p[i * count + j]! -= factor * px[j]!;
    }
  }
  return p;
}

/** Takes parameter `q` to zero, moves all others, and eliminates it from the inverse. */
function remove(w: Float64Array, p: Float64Array, gone: Uint8Array, q: number): void {
  const count = w.length;
  const column = p.slice(q * count, (q + 1) * count);
  const pivot = column[q]!;
  const step = w[q]! / pivot;
  for (let i = 0; i < count; i++) if (gone[i] === 0) w[i]! -= step * column[i]!;
  for (let i = 0; i < count; i++) {
    const factor = column[i]! / pivot;
    if (factor !== 0) for (let j = 0; j < count; j++) p[i * count + j]! -= factor * column[j]!;
  }
  w[q] = 0;
  gone[q] = 1;
}

function solutionOf(
  { layers }: SolveContext,
  parts: readonly Part[],
  w: Float64Array,
  gone: Uint8Array,
): Solved {
  const others = new Map<string, HostTensor>();
  const found = layers.map(({ weight }) => ({ removed: new Uint8Array(weight.data.length), weight }));
  for (const { name, weight, from, layer } of parts) {
    const data = allocate(weight.dtype, weight.data.length);
    for (let i = 0; i < data.length; i++) setNumber(data, i, w[from + i]!);
    const updated = { ...weight, data };
    if (layer === undefined) others.set(name, updated);
    else found[layer] = { removed: gone.slice(from, from + data.length), weight: updated };
  }
  return { layers: found, others };
}
