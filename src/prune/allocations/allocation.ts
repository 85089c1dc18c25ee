import type { PrunableLayer } from "../layers.ts";

/** The units of one layer that an allocation distributes a budget over. */
export interface AllocatedLayer {
  readonly layer: PrunableLayer;
  readonly units: number;
}

/** A way to spread one budget over the layers. */
export interface Allocation {
  readonly name: string;
  /** Are scores then compared over the whole net or inside each layer? */
  readonly scope: "global" | "layer";
  /** Where the rule is published. */
  readonly reference: string;
  /** Units to remove from each layer: exactly `remove` together. For the scope "layer". */
  counts?(layers: readonly AllocatedLayer[], remove: number): number[];
  /** Scores of one layer made comparable with those of others; only units that are `live` count. For the scope "global". */
  normalise?(scores: Float64Array, live: (unit: number) => boolean): Float64Array;
}
