import { type Graph, withWeights } from "../graph/graph.ts";
import { nonzeros } from "../graph/statistics.ts";
import { prunableLayers } from "../prune/layers.ts";
import { staticTypes } from "../prune/types.ts";
import { getNumber, type HostTensor, tensor } from "../tensor/host-tensor.ts";

/**
 * Dropout for a pruned net (Han et al. 2015, section 3.2): a net with fewer connections needs less of it, D_r = D_o · √(C_r /
 * C_o) with C the connections of the layer in front of the dropout. Ratios that are constants of the graph are replaced.
 */
export function correctedDropout(before: Graph, after: Graph): Graph {
  const layers = new Map(prunableLayers(before, staticTypes(before)).map((l) => [l.weight, l]));
  const changed = new Map<string, HostTensor>();
  for (const node of before.nodes) {
    const ratio = node.inputs[1] ?? "";
    const value = before.weights.get(ratio);
    if (node.op !== "Dropout" || !value) continue;
    const weight = sourceOf(before, node.inputs[0]!, layers);
    if (weight === undefined) continue;
    const [old, now] = [before, after].map((g) => nonzeros(g.weights.get(weight)!));
    const corrected = getNumber(value.data, 0) * Math.sqrt(now! / Math.max(1, old!));
    changed.set(ratio, tensor([corrected], value.shape, value.dtype));
  }
  return withWeights(after, changed);
}

/** The weight of the layer whose outputs arrive at a value through activations, pooling and reshaping. */
function sourceOf(graph: Graph, value: string, layers: ReadonlyMap<string, unknown>): string | undefined {
  let name = value;
  for (;;) {
    const node = graph.nodes.find((n) => n.outputs.includes(name));
    if (!node) return undefined;
    const weight = node.inputs.find((input) => layers.has(input));
    if (weight !== undefined) return weight;
    // Where two branches meet, no one layer is in front.
    if (node.inputs.filter((input) => input !== "" && !graph.weights.has(input)).length !== 1)
      return undefined;
    name = node.inputs.find((input) => input !== "" && !graph.weights.has(input))!;
  }
}
