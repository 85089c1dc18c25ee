import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { Dataset } from "../../src/data/dataset.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { nonzeros } from "../../src/graph/statistics.ts";
import { readFileLimited, saveModel, writeFileWhole } from "../../src/io/files.ts";
import { compact } from "../../src/prune/compact.ts";
import { prunableLayers } from "../../src/prune/layers.ts";
import { staticTypes } from "../../src/prune/types.ts";
import { runRecipe } from "../../src/recipes/index.ts";
import { type Environment, environment } from "../../src/report/environment.ts";
import { nodeHost } from "../../src/report/host.ts";
import { readCheckpoint, writeCheckpoint } from "../../src/train/checkpoint.ts";
import type { TrainingProgress } from "../../src/train/options.ts";
import { top1 } from "../accuracy.ts";
import { keptRows, netId } from "../kept-rows.ts";

/** What one attempt is asked for: the share that the first operation cuts, by layer, and how it trains. */
export interface Attempt {
  readonly sparsity: Readonly<Record<string, number>>;
  readonly epochs: number;
  readonly rate: number;
  readonly seed: number;
  /** Settings of the recipe, such as stop. */
  readonly settings: Readonly<Record<string, number>>;
}

export interface AttemptRow extends Attempt {
  readonly id: string;
  readonly model: string;
  /** Learned values that there were over those that are left and not zero, biases included. */
  readonly compression: number;
  /** Share of every layer's weights that is left. */
  readonly kept: Readonly<Record<string, number>>;
  /** Output channels of every layer that are left after exact compaction. */
  readonly channels: Readonly<Record<string, number>>;
  /** Top-1 on the images held out from training, and on the test images, which choose nothing. */
  readonly validation: number;
  readonly test: number;
  readonly seconds: number;
}

export interface SurgeryResult {
  readonly environment: Environment;
  readonly rows: readonly AttemptRow[];
}

export interface SurgeryOptions {
  readonly graph: Graph;
  readonly data: Dataset;
  readonly test: Dataset;
  /** Keeps every attempt; the one under way is kept in FILE.checkpoint, the last net in FILE.safetensors. */
  readonly file: string;
  readonly onProgress?: (p: TrainingProgress) => void;
}

/** Dynamic network surgery on a trained net, one attempt: gone on with where it was stopped, and recorded whatever it gives. */
export async function operate(gpu: Gpu, attempt: Attempt, options: SurgeryOptions): Promise<AttemptRow> {
  const { graph, data, test, file } = options;
  const kept = keptRows<AttemptRow>(file);
  const id = JSON.stringify([await netId(graph), data.length, attempt]);
  const before = kept.find(id);
  if (before) return before;
  const checkpoint = `${file}.${fingerprint(id)}.checkpoint`;
  const resume = existsSync(checkpoint) ? readCheckpoint(await readFileLimited(checkpoint)) : undefined;
  const { graph: net, training } = await runRecipe(gpu, graph, data, "dynamic-network-surgery", {
    sparsity: attempt.sparsity,
    seed: attempt.seed,
    settings: attempt.settings,
    train: {
      epochs: attempt.epochs,
      rate: attempt.rate,
      onCheckpoint: (c) => writeFileWhole(checkpoint, writeCheckpoint(c)),
      ...(options.onProgress && { onProgress: options.onProgress }),
      ...(resume && { resume }),
    },
  });
  const layers = prunableLayers(graph, staticTypes(graph));
  const { graph: small } = await compact(net);
  const size = (g: Graph): number => [...g.weights.values()].reduce((n, w) => n + w.data.length, 0);
  const left = [...net.weights.values()].reduce((n, w) => n + nonzeros(w), 0);
  const row: AttemptRow = {
    ...attempt,
    id,
    model: graph.name,
    compression: size(graph) / left,
    kept: Object.fromEntries(
      layers.map((l) => [l.name, nonzeros(net.weights.get(l.weight)!) / (l.rows * l.cols)]),
    ),
    channels: Object.fromEntries(prunableLayers(small, staticTypes(small)).map((l) => [l.name, l.rows])),
    validation: training.best.top1,
    test: await top1(gpu, net, test),
    seconds: training.work.seconds,
  };
  await saveModel(net, file.replace(/(\.json)?$/, ".safetensors"));
  await kept.write({ environment: environment(gpu.adapter, nodeHost()) });
  await kept.add(row);
  await rm(checkpoint, { force: true });
  return row;
}

/** Tells attempts' checkpoints apart. */
const fingerprint = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 8);
