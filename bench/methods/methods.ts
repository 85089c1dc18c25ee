import type { Dataset } from "../../src/data/dataset.ts";
import { InputError, PruneError, UnsupportedError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { inspectGraph } from "../../src/graph/statistics.ts";
import { compact } from "../../src/prune/compact.ts";
import type { PruneOptions } from "../../src/prune/options.ts";
import { findRecipe, runRecipe } from "../../src/recipes/index.ts";
import { pruneInRounds } from "../../src/recipes/rounds.ts";
import { type Comparison, compareModels } from "../../src/report/compare.ts";
import { environment } from "../../src/report/environment.ts";
import { nodeHost } from "../../src/report/host.ts";
import { preprocessingOf } from "../../src/run/preprocessing.ts";
import type { TrainOptions } from "../../src/train/options.ts";
import { train } from "../../src/train/train.ts";
import { top1 } from "../accuracy.ts";
import { keptRows, netId } from "../kept-rows.ts";
import {
  type Entrant,
  entrantName,
  entrants,
  fixesShare,
  spent,
  structuredSparsity,
  unstructuredSparsity,
} from "./entrants.ts";
import type { MethodRow, MethodsResult } from "./result.ts";

export interface MethodsOptions {
  readonly graph: Graph;
  readonly data: Dataset;
  readonly test: Dataset;
  readonly seeds: number;
  /** Of retraining, the same for all; an even number, since some methods train twice. */
  readonly epochs: number;
  /** Only these methods. */
  readonly only?: readonly string[];
  /** Leave out the timing of granularities. */
  readonly latency: boolean;
  readonly file: string | undefined;
  readonly onProgress?: (message: string, done?: number, total?: number) => void;
}

/** Shares of the part that is timed; filters lose more multiply-adds with the same share. */
const timed: Readonly<Record<string, readonly number[]>> = {
  element: [0.5, 0.8, 0.9, 0.95],
  block8x1: [0.5, 0.75, 0.9, 0.95],
  block4x1: [0.5, 0.75, 0.9, 0.95],
  filter: [0.3, 0.5, 0.7, 0.85],
};
const timedBatch = 64;

/** Every method on one net: the same kept weights or multiply-adds, the same retraining, several seeds, beside random. */
export async function runMethods(gpu: Gpu, options: MethodsOptions): Promise<MethodsResult> {
  const { graph, data, test, epochs, seeds, only } = options;
  const kept = keptRows<MethodRow>(options.file);
  const facts = {
    environment: environment(gpu.adapter, nodeHost()),
    model: graph.name,
    dense: await top1(gpu, graph, test),
    images: { train: data.length, test: test.length },
    epochs,
    seeds,
  };
  await kept.write(facts);
  const net = await netId(graph);
  const list = entrants().filter((e) => !only || only.includes(e.method));
  for (let seed = 1; seed <= seeds; seed++) {
    for (const [i, entrant] of list.entries()) {
      const id = JSON.stringify([net, data.length, test.length, epochs, entrant, seed]);
      options.onProgress?.(
        `${entrantName(entrant)}, seed ${seed}`,
        (seed - 1) * list.length + i,
        seeds * list.length,
      );
      if (!kept.find(id))
        await kept.add({ ...entrant, id, seed, ...(await measure(gpu, options, entrant, seed)) });
    }
  }
  const latency = options.latency ? await timeGranularities(gpu, options) : undefined;
  await kept.write({ ...(latency && { latency }) });
  return { ...facts, rows: kept.rows, ...(latency && { latency }) };
}

type Measured = Pick<MethodRow, "keptWeights" | "keptMacs" | "before" | "after" | "refused">;

async function measure(gpu: Gpu, options: MethodsOptions, entrant: Entrant, seed: number): Promise<Measured> {
  const { graph, data, test, epochs } = options;
  try {
    const pruned = await prunedBy(gpu, options, entrant, seed);
    const all = inspectGraph(graph);
    const { macs } = inspectGraph((await compact(pruned.graph)).graph);
    return {
      keptWeights: inspectGraph(pruned.graph).nonzeros / all.nonzeros,
      keptMacs: macs / all.macs,
      ...(pruned.trained ? {} : { before: await top1(gpu, pruned.graph, test) }),
      after: await top1(
        gpu,
        pruned.trained
          ? pruned.graph
          : (await train(gpu, pruned.graph, data, retraining(epochs, seed))).graph,
        test,
      ),
    };
  } catch (error) {
    // A method that has nothing to decide by in this net, or is not meant for its size, says so.
    if (!(error instanceof PruneError || error instanceof InputError || error instanceof UnsupportedError))
      throw error;
    return { keptWeights: 1, keptMacs: 1, refused: error.message };
  }
}

const retraining = (epochs: number, seed: number): TrainOptions => ({
  epochs,
  seed,
  fineTune: true,
  validation: 0,
});

async function prunedBy(
  gpu: Gpu,
  { graph, data, epochs }: MethodsOptions,
  { half, method, granularity, norm }: Entrant,
  seed: number,
): Promise<{ readonly graph: Graph; readonly trained: boolean }> {
  const asked: Omit<PruneOptions, "method" | "evidence"> = {
    granularity,
    seed,
    ...(norm && { norm }),
    // The same share of every layer; the last has no filters to lose, since its outputs are the classes.
    ...(half === "structured" && { sparsity: structuredSparsity, scope: "layer" }),
    ...(half === "unstructured" && !fixesShare(granularity) && { sparsity: unstructuredSparsity }),
  };
  const recipe = findRecipe(method);
  if (!recipe)
    return { graph: (await pruneInRounds(gpu, graph, data, { ...asked, method })).graph, trained: false };
  const { rounds, epochs: each } = spent(recipe, epochs);
  const result = await runRecipe(gpu, graph, data, method, {
    ...asked,
    train: retraining(each, seed),
    ...(rounds !== undefined && { rounds }),
  });
  return { graph: result.graph, trained: true };
}

/** Magnitude in four granularities, the same share in every layer, after the same retraining: scored and timed in turn. */
async function timeGranularities(gpu: Gpu, options: MethodsOptions): Promise<Comparison> {
  const { graph, data, test, epochs } = options;
  const nets = [{ name: "dense", graph }];
  const total = Object.values(timed).flat().length;
  for (const [granularity, shares] of Object.entries(timed)) {
    for (const sparsity of shares) {
      const name = `${granularity} ${(100 * sparsity).toFixed(0)} %`;
      options.onProgress?.(`retraining ${name}`, nets.length, total);
      const pruned = await pruneInRounds(gpu, graph, data, {
        method: "magnitude",
        granularity,
        sparsity,
        scope: "layer",
      });
      nets.push({ name, graph: (await train(gpu, pruned.graph, data, retraining(epochs, 1))).graph });
    }
  }
  return compareModels(
    gpu,
    nets.map((net) => ({ ...net, preprocessing: preprocessingOf(net.graph, test) })),
    test,
    {
      batch: timedBatch,
      plan: "measured",
      host: nodeHost(),
      ...(options.onProgress && { onProgress: options.onProgress }),
    },
  );
}
