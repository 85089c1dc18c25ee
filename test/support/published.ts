import { type Graph, withWeights } from "../../src/graph/graph.ts";
import { inspectGraph } from "../../src/graph/statistics.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import type { Counts } from "../../src/report/counts.ts";

const made = new Map<string, Graph>();

/** A net in which no weight is zero; what is pruned from it is the first filters, since all score alike. */
export function ones(arch: string): Graph {
  const known = made.get(arch);
  if (known) return known;
  const graph = buildNet(arch, { init: "zeros" });
  const floats = [...graph.weights].filter(([, w]) => w.dtype === "f32" && w.shape.length > 0);
  const filled = withWeights(
    graph,
    new Map(floats.map(([name, w]) => [name, { ...w, data: new Float32Array(w.data.length).fill(1) }])),
  );
  made.set(arch, filled);
  return filled;
}

/** Plain MACs, W, W + b, W + b + BN. */
export function plainCounts(graph: Graph): number[] {
  const { macs, weights, biases, parameters } = inspectGraph(graph);
  return [macs, weights, weights + biases, parameters];
}

/** What a convention counts in all. */
export const total = ({ macs, parameters }: Counts): [number, number] => [macs, parameters];
