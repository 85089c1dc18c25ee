import type { Graph } from "../../graph/graph.ts";
import type { HostTensor } from "../../tensor/host-tensor.ts";
import type { Random } from "../../tensor/random.ts";
import type { Granularity } from "../granularity.ts";
import type { PrunableLayer } from "../layers.ts";

/** Which norm turns the weights of a unit into its score: sum of magnitudes or root of the sum of squares. */
export type Norm = "l1" | "l2";

/** What a method must be told beyond the weights. */
export type EvidenceKind = "activations" | "gradients" | "curvature";

/** What was gathered before pruning: per kind, tensors by the name of the value or weight that they describe. */
export type Evidence = Readonly<Partial<Record<EvidenceKind, ReadonlyMap<string, HostTensor>>>>;

/** What a method sees of one layer. */
export interface ScoreContext {
  readonly graph: Graph;
  readonly layer: PrunableLayer;
  readonly weight: HostTensor;
  readonly granularity: Granularity;
  readonly norm: Norm;
  /** A stream of this layer's own: other layers, skipped or not, do not shift it. */
  readonly random: Random;
  readonly evidence: Evidence;
}

/**
 * A way to say what matters. Evidence in, scores out: one finite number per unit of the layer (numbered as in
 * `forEachElement`), higher means keep. Budgets, ties, masks and removal are the same for all methods.
 */
export interface Method {
  readonly name: string;
  /** What the scores are made from. */
  readonly kind: "baseline" | "weights" | "data";
  readonly granularities: readonly Granularity["kind"][];
  /** Where the rule is published. */
  readonly reference: string;
  readonly needs: readonly EvidenceKind[];
  score(context: ScoreContext): Float64Array;
}
