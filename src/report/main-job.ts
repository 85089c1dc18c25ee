import { glyphs } from "../data/glyphs.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { buildNet } from "../nets/build-net.ts";
import { preprocessingFor } from "../nets/preprocessing.ts";
import { prune } from "../prune/prune.ts";
import { type CompareOptions, type Comparison, type Contender, compareModels } from "./compare.ts";

/** What the main job prunes to: one model per granularity and sparsity. */
export const mainJobCases: readonly { readonly granularity: string; readonly sparsity: number }[] = [
  ...[0.5, 0.6, 0.7, 0.8, 0.9, 0.95].map((sparsity) => ({ granularity: "element", sparsity })),
  ...[0.3, 0.5, 0.7, 0.9].map((sparsity) => ({ granularity: "block8x1", sparsity })),
  ...[0.1, 0.3, 0.5].map((sparsity) => ({ granularity: "filter", sparsity })),
];

export interface MainJobOptions extends CompareOptions {
  /** Fewer cases, images and rounds: does it work, not how fast is it. */
  readonly quick?: boolean;
  readonly seed?: number;
}

/** Test images of `glyphs` that the built-in net has never seen. */
const testImages = 1000;

/**
 * The main job, with no files and no network: the built-in trained net is pruned by magnitude at every case, without
 * retraining, and all are compared on unseen glyphs.
 */
export async function runMainJob(gpu: Gpu, options: MainJobOptions = {}): Promise<Comparison> {
  const dataset = glyphs("test", options.limit ?? (options.quick ? 200 : testImages), options.seed ?? 1);
  const graph = buildNet("glyphnet");
  const preprocessing = preprocessingFor("glyphnet", "glyphs");
  const contenders: Contender[] = [{ name: "dense", graph, preprocessing }];
  const cases = options.quick
    ? mainJobCases.filter((c) => c.sparsity === 0.9 || c.granularity === "filter")
    : mainJobCases;
  for (const { granularity, sparsity } of cases) {
    const { graph: pruned } = await prune(graph, { method: "magnitude", granularity, sparsity });
    contenders.push({ name: `${granularity} ${Math.round(sparsity * 100)} %`, graph: pruned, preprocessing });
  }
  return compareModels(gpu, contenders, dataset, {
    ...options,
    rounds: options.rounds ?? (options.quick ? 5 : 15),
  });
}
