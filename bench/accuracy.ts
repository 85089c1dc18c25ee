import type { Dataset } from "../src/data/dataset.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import type { Graph } from "../src/graph/graph.ts";
import { compile } from "../src/run/compile.ts";
import { evaluate } from "../src/run/evaluate.ts";
import { preprocessingOf } from "../src/run/preprocessing.ts";

const batch = 100;

/** Share of a set's images that a net gets right, with its own preprocessing. */
export async function top1(gpu: Gpu, graph: Graph, set: Dataset): Promise<number> {
  const session = await compile(gpu, graph, { batch });
  try {
    return (await evaluate(session, set, preprocessingOf(graph, set), { batch })).top1;
  } finally {
    session.dispose();
  }
}
