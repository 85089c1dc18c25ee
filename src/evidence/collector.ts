import type { Gpu } from "../gpu/gpu.ts";
import type { Graph } from "../graph/graph.ts";
import type { EvidenceKind } from "../prune/evidence.ts";
import type { PrunableLayer } from "../prune/layers.ts";
import type { PruneOptions } from "../prune/options.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";

/** Images with labels to gather evidence on, in batches of one size. */
export interface Calibration {
  readonly images: number;
  readonly batch: number;
  readonly classes: number;
  /** Batches: images as the model's input takes them, targets [batch, classes] one-hot. */
  batches(): Iterable<{ readonly images: HostTensor; readonly targets: HostTensor }>;
  /** The same images in batches of another size, which must divide their number. */
  inBatchesOf(batch: number): Calibration;
}

/** How shares of filters become counts. */
export type FilterBudget = Pick<PruneOptions, "scope" | "roundTo" | "rounding">;

/** What a collector may use. */
export interface CollectContext {
  readonly gpu: Gpu;
  readonly graph: Graph;
  readonly layers: readonly PrunableLayer[];
  /** Throws E_INPUT where no data were given. */
  calibration(): Calibration;
  /** Do BatchNormalizations take the batch's statistics or their running ones? */
  readonly norms: "batch" | "running";
  /** For collectors that draw. */
  readonly seed: number;
  /** For collectors that prune on the way. */
  readonly sparsity: number | undefined;
  readonly rounds: number | undefined;
  readonly budget?: FilterBudget;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Gathers one kind of evidence, tensors by weight. */
export interface Collector {
  readonly kind: EvidenceKind;
  /** Does it look at images? */
  readonly needsData: boolean;
  collect(context: CollectContext): Promise<ReadonlyMap<string, HostTensor>>;
}
