import type { Graph } from "../graph/graph.ts";
import { roundedToHalf } from "../kernels/columns/half.ts";
import { foldBatchNormalization } from "./batch-norm.ts";

/**
 * What the constant weights of a compile are: as the graph has them, or rounded to the 11 significant bits of half precision
 * (after BatchNormalization is folded into them), so that kernels may hold them in two bytes. Sums are in f32 either way.
 */
export type Precision = "f32" | "f16-weights";

export const precisions: readonly Precision[] = ["f32", "f16-weights"];

const multiplied: Readonly<Record<string, true>> = {
  Conv: true,
  ConvTranspose: true,
  Gemm: true,
  MatMul: true,
};

/** The graph that a compile of this precision runs exactly, up to the rounding of its sums. */
export function atPrecision(
  graph: Graph,
  precision: Precision | undefined,
  variables: readonly string[] = [],
): Graph {
  if (precision !== "f16-weights") return graph;
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
