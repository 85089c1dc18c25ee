import type { Graph } from "../graph/graph.ts";
import { roundedToHalf } from "../kernels/columns/half.ts";
import { foldBatchNormalization } from "./batch-norm.ts";

/**
 * What the constant weights of a compile are: as the graph has them, or rounded to the 11 significant bits of half precision
 * (after BatchNormalization is folded into them), so that kernels may hold them in two bytes. "f16": and kernels may round what they
 * multiply them by as well. Sums are in f32 in every one, and so is what lies between layers.
 */
export type Precision = "f32" | "f16-weights" | "f16";

export const precisions: readonly Precision[] = ["f32", "f16-weights", "f16"];

/**
 * By how much a run may differ from its double-precision reference, |a - b| / (1 + |b|), unless said otherwise. Where kernels may
 * round activations and the reference does not, three times the most that trained ResNet-20 and ResNet-56 differed by with rounding in
 * nearly every layer (0.5e-3 to 2.9e-3, normal inputs, lavapipe).
 */
export const toleranceOf = (precision: Precision | undefined): number => (precision === "f16" ? 1e-2 : 1e-3);

const multiplied: Readonly<Record<string, true>> = {
  Conv: true,
  ConvTranspose: true,
  Gemm: true,
  MatMul: true,
};

/** The graph that a compile of this precision runs, up to the rounding of its sums and, in "f16", of its activations. */
export function atPrecision(
  graph: Graph,
  precision: Precision | undefined,
  variables: readonly string[] = [],
): Graph {
  if (precision === undefined || precision === "f32") return graph;
  const fixed = new Set(variables);
  const folded = foldBatchNormalization(graph, fixed);
  const weights = new Map(folded.weights);
  for (const node of folded.nodes) {
    const name = node.inputs[1];
    if (!multiplied[node.op] || name === undefined || fixed.has(name)) continue;
    const weight = folded.weights.get(name);
    if (weight?.data instanceof Float32Array)
      weights.set(name, { ...weight, data: roundedToHalf(weight.data) });
  }
  return { ...folded, weights };
}
