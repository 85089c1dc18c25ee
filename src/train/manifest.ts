import type { Augmentation } from "../data/batches.ts";
import type { Dataset } from "../data/dataset.ts";
import type { Graph } from "../graph/graph.ts";
import type { Preprocessing } from "../graph/metadata.ts";
import { graphHash, sha256 } from "../prune/hash.ts";
import { version } from "../version.ts";
import type { Masking } from "./masking.ts";
import type { Optimizer } from "./optimizer.ts";
import type { Schedule } from "./schedule.ts";
import type { MaskMode } from "./step-graph.ts";

/** Everything that decides what a training gives: the same manifest, plan, adapter and driver give the same weights. */
export interface TrainingManifest {
  readonly version: string;
  readonly seed: number;
  readonly model: { readonly name: string; readonly hash: string };
  readonly teacher?: {
    readonly name: string;
    readonly hash: string;
    readonly temperature: number;
    readonly alpha: number;
  };
  readonly data: DataFacts;
  readonly validation: DataFacts;
  readonly preprocessing: Preprocessing;
  readonly epochs: number;
  readonly batch: number;
  readonly rate: number;
  readonly schedule: Schedule;
  readonly optimizer: Optimizer;
  readonly augment: Augmentation;
  readonly labelSmoothing: number;
  readonly masks: MaskMode;
  /** What decides masks anew on the way. */
  readonly masking?: Pick<Masking, "name" | "settings">;
  readonly maskZeros: boolean;
  readonly freezeNorms: boolean;
  readonly frozen: readonly string[];
}

export interface DataFacts {
  readonly name: string;
  readonly images: number;
  readonly hash: string;
}

export async function dataFacts(data: Dataset): Promise<DataFacts> {
  const hash = await sha256(
    new TextEncoder().encode(`${await sha256(data.images)} ${await sha256(data.labels)}`),
  );
  return { name: data.name, images: data.length, hash };
}

export const modelFacts = async (graph: Graph): Promise<{ name: string; hash: string }> => ({
  name: graph.name,
  hash: await graphHash(graph),
});

export const manifestOf = (settings: Omit<TrainingManifest, "version">): TrainingManifest => ({
  version,
  ...settings,
});

/** The first setting in which two manifests differ, as "name: a, not b"; undefined where a training may be gone on with. */
export function difference(given: TrainingManifest, stored: TrainingManifest): string | undefined {
  const keys = new Set([...Object.keys(given), ...Object.keys(stored)] as (keyof TrainingManifest)[]);
  for (const key of keys) {
    const [a, b] = [JSON.stringify(given[key]), JSON.stringify(stored[key])];
    if (a !== b) return `${key} is ${a}, but the checkpoint has ${b}`;
  }
  return undefined;
}
