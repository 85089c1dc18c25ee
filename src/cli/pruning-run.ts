import type { Dataset } from "../data/dataset.ts";
import { openData } from "../data/files.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Graph } from "../graph/graph.ts";
import { openModel } from "../io/files.ts";
import { pruningManifest } from "../recipes/manifest.ts";
import { type PruningRequest, recipeFor, runPruning } from "../recipes/run.ts";
import { percent } from "../report/format.ts";
import { compile } from "../run/compile.ts";
import { evaluate } from "../run/evaluate.ts";
import { type CommonOptions, print } from "./context.ts";
import { type PreprocessingOptions, preprocessingOption } from "./preprocessing.ts";
import type { Progress } from "./progress.ts";
import type { Repeat } from "./pruning-output.ts";
import { type PruneArguments, requestOf } from "./pruning-request.ts";
import { wasTrained } from "./trained.ts";

/** What `prune` is told on the command line. */
export interface PruneCommandOptions extends CommonOptions, PreprocessingOptions, PruneArguments {
  readonly data?: string;
  readonly test?: string;
  readonly limit?: number;
  readonly seeds?: number;
  readonly baselines?: boolean;
  readonly repeat?: string;
  readonly targetMs?: number;
  readonly maxDrop?: number;
  readonly latencyBatch?: number;
  readonly sparsities?: number[];
  readonly sensitivity?: string;
  readonly output: string;
}

type Options = PruneCommandOptions;

/** Seed of the model's weights in repeat `i`: a bare ARCH has others with every seed, a trained model the same. */
export const modelSeed = (spec: string, options: Options, i: number): number | undefined =>
  wasTrained(spec, options.seed) || (options.seed === undefined && options.seeds === undefined)
    ? undefined
    : (options.seed ?? 1) + i;

/** The request with the seed of repeat `i`; without --seed and --seeds, prune's own default. */
export const seeded = (request: PruningRequest, options: Options, i: number): PruningRequest =>
  options.seed === undefined && options.seeds === undefined
    ? request
    : { ...request, seed: (options.seed ?? 1) + i };

/** The request with everything that images and a terminal add to it. */
export function requestFor(
  spec: string,
  graph: Graph,
  data: Dataset | undefined,
  options: Options,
  i: number,
  progress: Progress,
): PruningRequest {
  const request = seeded(requestOf(graph, options), options, i);
  const preprocessing = data && preprocessingOption(graph, data, options);
  return {
    ...request,
    collect: {
      ...request.collect,
      ...(preprocessing && { preprocessing }),
      onProgress: (done, total) => progress.update("gathering evidence", done, total),
    },
    // Methods that train do so by the defaults of the net where nothing is said.
    ...((request.train || recipeFor(request)) && {
      train: {
        fineTune: wasTrained(spec, options.seed),
        ...request.train,
        ...(preprocessing && { preprocessing }),
        onProgress: (p) =>
          progress.update(
            `epoch ${p.epoch}/${p.epochs} | loss ${p.loss.toFixed(4)}`,
            (p.epoch - 1) * p.steps + p.step,
            p.epochs * p.steps,
          ),
      },
    }),
    onRound: (r) => {
      progress.stop();
      print(
        options,
        `round ${r.round} of ${r.rounds}: ${percent(r.sparsity)} removed, validation top-1 ${percent(r.top1)}`,
      );
    },
  };
}

/**
 * One pruning with its manifest, and its accuracy on images that nobody has trained on, where there are some. `instead` puts another
 * request in the place of the one that the command line makes.
 */
export async function pruneOnce(
  gpu: Gpu,
  spec: string,
  i: number,
  first: Graph,
  options: Options,
  progress: Progress,
  instead = (request: PruningRequest): PruningRequest => request,
): Promise<Repeat> {
  const seed = (options.seed ?? 1) + i;
  const weights = modelSeed(spec, options, i);
  const graph = i === 0 ? first : await openModel(spec, { seed: weights });
  const data =
    options.data === undefined ? undefined : await openData(options.data, "train", { limit: options.limit });
  const asked = instead(requestFor(spec, graph, data, options, i, progress));
  const outcome = await runPruning(gpu, graph, data, asked);
  const manifest = await pruningManifest(gpu, graph, data, asked, outcome, weights);
  const top1 = await testTop1(gpu, outcome.graph, options, progress);
  return { seed, outcome, manifest, ...(top1 !== undefined && { top1 }) };
}

/** Top-1 on the test images; undefined where none are known. */
export async function testTop1(
  gpu: Gpu,
  graph: Graph,
  options: Options,
  progress: Progress,
): Promise<number | undefined> {
  const own = options.data && /^(mnist:|glyphs$)/.test(options.data) ? options.data : undefined;
  const test = options.test ?? own;
  if (test === undefined) return undefined;
  const unseen = await openData(test, "test", { limit: options.limit });
  const session = await compile(gpu, graph, { batch: Math.min(100, unseen.length) });
  try {
    const { top1 } = await evaluate(session, unseen, preprocessingOption(graph, unseen, options), {
      batch: 100,
      onProgress: (done, total) => progress.update("measuring", done, total),
    });
    return top1;
  } finally {
    session.dispose();
    progress.stop();
  }
}
