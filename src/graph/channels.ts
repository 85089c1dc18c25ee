import type { Attribute } from "./graph.ts";
import type { OpContext, TensorType } from "./op.ts";

/**
 * Which channel each slice of a value along one axis belongs to. A channel is a number; channels that must live and die
 * together are united. Removing a channel removes every slice that carries its number, in every value and weight.
 */
export interface ChannelIds {
  readonly axis: number;
  /** One id per slice along `axis`. */
  readonly ids: readonly number[];
}

/**
 * What a channel rule sees. A rule maps the ids of its inputs to the ids of its outputs and records, on the way, which
 * weight axes and attributes have to shrink with them. Follows the dependency graph of Fang et al., "DepGraph" (CVPR
 * 2023), per channel instead of per layer, so that concat, split, zero padding and flatten need no special case.
 */
export interface ChannelContext extends OpContext {
  readonly outputs: readonly TensorType[];
  /** Ids of input `i`, or undefined where it has no removable channels (graph inputs, frozen values). */
  in(i: number): ChannelIds | undefined;
  /** Shape of input `i`. */
  shape(i: number): readonly number[];
  /** Is input `i` a weight of the graph (a constant that can be sliced)? */
  isWeight(i: number): boolean;
  /** `n` new channels. */
  fresh(n: number): number[];
  /** From here on these two channels live and die together. */
  unite(a: number, b: number): void;
  /** These channels can never be removed (graph outputs, ops without a rule, broadcasting that mixes channels). */
  freeze(ids: readonly number[]): void;
  /** Slices of weight input `i` along `axis` belong to `ids`; `role` says whether the weight makes or reads them. */
  slices(i: number, axis: number, ids: readonly number[], role: "out" | "in" | "param"): void;
  /** After removal, attribute `name` becomes what `rewrite` returns; `kept` tells which ids are still there. */
  attribute(name: string, rewrite: (kept: (id: number) => boolean) => Attribute): void;
  /** After removal, constant input `i` (a shape, a list of sizes or pads) becomes what `rewrite` returns. */
  hostInput(i: number, rewrite: (kept: (id: number) => boolean) => readonly number[]): void;
}

/** Returns the ids of each output; undefined for an output whose channels cannot be followed (they are frozen). */
export type ChannelFlow = (context: ChannelContext) => readonly (ChannelIds | undefined)[];

/**
 * Rule for ops that work element by element (with broadcasting): channels of all operands that meet in one position are
 * united; a constant operand that spans the channel axis shrinks with it. Operands broadcast along the channel axis
 * (size 1 there) are left alone.
 */
export const elementwiseFlow: ChannelFlow = (c) => {
  const rank = c.outputs[0]!.shape.length;
  let result: ChannelIds | undefined;
  const flows = c.inputs.map((type, i) => (type ? c.in(i) : undefined));
  for (const [i, flow] of flows.entries()) {
    if (!flow) continue;
    const axis = flow.axis + rank - c.shape(i).length;
    const full = flow.ids.length === c.outputs[0]!.shape[axis];
    if (!full || (result && result.axis !== axis)) {
      c.freeze(flow.ids);
      if (result) c.freeze(result.ids);
      return c.outputs.map(() => undefined);
    }
    if (result) for (const [k, id] of flow.ids.entries()) c.unite(result.ids[k]!, id);
    else result = { axis, ids: flow.ids };
  }
  if (!result) return c.outputs.map(() => undefined);
  for (const [i, type] of c.inputs.entries()) {
    if (!type || flows[i]) continue;
    const axis = result.axis - (rank - type.shape.length);
    const spans = axis >= 0 && type.shape[axis] !== 1;
    if (!spans) continue;
    // A constant along the channel axis shrinks with it; a run-time value whose channels nobody follows cannot.
    if (c.isWeight(i)) c.slices(i, axis, result.ids, "param");
    else {
      c.freeze(result.ids);
      return c.outputs.map(() => undefined);
    }
  }
  return c.outputs.map(() => result);
};

/** Rule for ops that treat every channel alone and keep its axis (pooling, resize, activations with one operand). */
export const passFlow: ChannelFlow = (c) => {
  const flow = c.in(0);
  return c.outputs.map(() => flow);
};
