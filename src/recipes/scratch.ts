import { type Graph, withWeights } from "../graph/graph.ts";
import { prunableLayers } from "../prune/layers.ts";
import { staticTypes } from "../prune/types.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import { seeded } from "../tensor/random.ts";
import { maskedBy } from "./masked-training.ts";

const normalisations = new Set([
  "BatchNormalization",
  "InstanceNormalization",
  "LayerNormalization",
  "GroupNormalization",
]);

/**
 * The same shapes and masks with weights as if never trained: He et al. 2015 for what is prunable, ones for the scales of
 * normalisations, zeros for shifts and biases, statistics of nothing. For the question of Liu et al. 2019 ("Rethinking the
 * Value of Network Pruning", arXiv 1810.05270): does the pruned shape do as well from scratch?
 */
export function fromScratch(graph: Graph, seed: number): Graph {
  const random = seeded(seed);
  for (let warm = 0; warm < 4; warm++) random.uniform();
  const changed = new Map<string, HostTensor>();
  const fill = (name: string, value: number): void => {
    const t = graph.weights.get(name);
    if (t) changed.set(name, { ...t, data: new Float32Array(t.data.length).fill(value) });
  };
  for (const { op, inputs } of graph.nodes) {
    const [, second = "", third = "", fourth = "", fifth = ""] = inputs;
    if (op === "Conv" || op === "Gemm" || op === "ConvTranspose") fill(third, 0);
    if (!normalisations.has(op)) continue;
    fill(second, 1);
    fill(third, 0);
    if (op !== "BatchNormalization") continue;
    fill(fourth, 0);
    fill(fifth, 1);
  }
  for (const { weight, cols } of prunableLayers(graph, staticTypes(graph))) {
    const t = graph.weights.get(weight)!;
    const deviation = Math.sqrt(2 / cols);
    const data = Float32Array.from({ length: t.data.length }, () => deviation * random.normal());
    const mask = graph.masks.get(weight);
    changed.set(weight, mask ? maskedBy({ ...t, data }, mask) : { ...t, data });
  }
  return withWeights(graph, changed);
}
