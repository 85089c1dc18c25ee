import type { Graph } from "../../graph/graph.ts";
import type { HostTensor } from "../../tensor/host-tensor.ts";
import type { Random } from "../../tensor/random.ts";
import type { FilterRounding } from "../budget.ts";
import type { ChannelReader } from "../channel-readers.ts";
import type { GraphTypes } from "../context.ts";
import type { Evidence, EvidenceKind } from "../evidence.ts";
import type { Granularity } from "../granularity.ts";
import type { PrunableLayer } from "../layers.ts";
import type { Recovery } from "../recover.ts";

/** Which norm turns the weights of a unit into its score: sum of magnitudes or root of the sum of squares. */
export type Norm = "l1" | "l2";

/** Where scores are compared: over the whole net, inside a layer, or inside each row (output channel) of a layer. */
export type Scope = "global" | "layer" | "row";

/** What a method sees of one layer. */
export interface ScoreContext {
  readonly graph: Graph;
  readonly types: GraphTypes;
  readonly layer: PrunableLayer;
  readonly weight: HostTensor;
  readonly granularity: Granularity;
  readonly norm: Norm;
  /** A stream of this layer's own: other layers, skipped or not, do not shift it. */
  readonly random: Random;
  readonly evidence: Evidence;
  /** For the granularity filter only. */
  readonly channels?: LayerChannels;
}

/** The channels that a layer's filters make. */
export interface LayerChannels {
  /** Class of each filter. */
  readonly classes: readonly number[];
  /** The layers that read any of these classes. */
  readonly readers: readonly ChannelReader[];
}

/** A layer on the way through `solve`. */
export interface SolveLayer {
  readonly layer: PrunableLayer;
  readonly weight: HostTensor;
  /** 0 where an element is masked already, or undefined: what is masked stays masked. */
  readonly mask: HostTensor | undefined;
  /** Units to remove in all, those that are masked already among them; undefined where the whole net shares one budget. */
  readonly remove: number | undefined;
}

/** What a method that chooses and repairs in one go sees: all layers that are not skipped. */
export interface SolveContext {
  readonly graph: Graph;
  readonly layers: readonly SolveLayer[];
  readonly granularity: Granularity;
  readonly scope: Scope;
  /** Units to remove over all layers. */
  readonly remove: number;
  readonly evidence: Evidence;
  /** Weights of layers that are to be left alone. */
  readonly skipped: readonly string[];
}

/** Of one layer: 1 for every unit that goes, and the weights of those that stay. */
export interface Solution {
  readonly removed: Uint8Array;
  readonly weight: HostTensor;
}

/** What `solve` returns: the layers of the context in their order. */
export interface Solved {
  readonly layers: readonly Solution[];
  /** Other values that changed with them, by name: biases, say. */
  readonly others?: ReadonlyMap<string, HostTensor>;
}

/** What every method says of itself; `secateur methods` prints it. */
export interface MethodFacts {
  readonly name: string;
  /**
   * What it decides by: nothing ("baseline"), the weights alone ("weights"), evidence gathered beforehand ("data"), or a
   * training that it runs itself ("training", see `recipes/`).
   */
  readonly kind: "baseline" | "weights" | "data" | "training";
  readonly granularities: readonly Granularity["kind"][];
  /** Where the rule is published. */
  readonly reference: string;
  /** What it is published with where that differs from everybody's defaults; options that are given win. */
  readonly defaults?: {
    readonly granularity?: string;
    readonly scope?: Scope;
    /** Images to gather evidence on. */
    readonly images?: number;
    /** Times that evidence is gathered anew on the way to the sparsity. */
    readonly rounds?: number;
    /** How a rate of filters becomes a count. */
    readonly rounding?: FilterRounding;
    /** What makes up for removed filters in the layers that read them. */
    readonly recover?: Recovery;
  };
  /**
   * Do scores of filters compare from layer to layer as they are? Otherwise a ranking over the whole net divides the scores of each
   * layer by their mean.
   */
  readonly comparable?: boolean;
}

/**
 * A way to say what matters, in one file: evidence in, scores out. Budgets, ties, masks, removal and schedules are the same
 * for all methods.
 */
export interface Method extends MethodFacts {
  readonly needs: readonly EvidenceKind[];
  /** Is the evidence of a layer that of a net whose earlier layers are pruned already (see `pruneInRounds`)? */
  readonly layerByLayer?: boolean;
  /** One finite number per unit of the layer (numbered as in `forEachElement`), higher means keep. */
  score(context: ScoreContext): Float64Array;
  /** Why it can say nothing of this layer's filters; then they go or stay with those that they are coupled to. */
  refuses?(context: Pick<ScoreContext, "graph" | "types" | "layer" | "channels">): string | undefined;
  /**
   * Only for methods whose removals change the weights that stay, and with them the next choice (Optimal Brain Surgeon and its
   * kin): chooses exactly as many units as asked and returns the new weights. Takes the place of `score` where it is there.
   */
  solve?(context: SolveContext): Solved;
}
