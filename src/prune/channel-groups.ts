import { internal, printable } from "../errors.ts";
import type { ChannelContext, ChannelIds } from "../graph/channels.ts";
import type { Attribute, Graph, Node } from "../graph/graph.ts";
import { findOp } from "../graph/ops/index.ts";
import { contextOf, type GraphTypes } from "./context.ts";
import { dimensionTaint } from "./dimension-taint.ts";
import { unionFind } from "./union-find.ts";

/** Does the weight make the channels along this axis (a filter), read them, or hold one value per channel? */
export type SliceRole = "out" | "in" | "param";

/** One weight axis whose slices belong to channels. */
export interface Slice {
  readonly node: Node;
  /** Operand of the node that the weight is. */
  readonly input: number;
  readonly weight: string;
  readonly axis: number;
  readonly role: SliceRole;
  /** Class of each slice along the axis. */
  readonly classes: readonly number[];
}

type Kept = (id: number) => boolean;

/** An attribute or constant operand that changes when channels go. `rewrite` takes raw channel ids. */
export type Rewrite =
  | {
      readonly kind: "attribute";
      readonly node: Node;
      readonly name: string;
      readonly rewrite: (kept: Kept) => Attribute;
    }
  | {
      readonly kind: "hostInput";
      readonly node: Node;
      readonly input: number;
      readonly rewrite: (kept: Kept) => readonly number[];
    };

/**
 * The channels of a whole graph. Every slice of a value along its channel axis carries a raw id; ids that must live and
 * die together form a class. A class is removed from all values and weights at once, or not at all.
 */
export interface ChannelGroups {
  /** Class of each raw id; classes are numbered from 0 in the order in which the graph brings them up. */
  readonly classOf: Int32Array;
  readonly classCount: number;
  /** Classes that cannot be removed, with what holds them. */
  readonly frozen: ReadonlyMap<number, string>;
  /** Raw ids of every value whose channels are followed. */
  readonly values: ReadonlyMap<string, ChannelIds>;
  readonly slices: readonly Slice[];
  readonly rewrites: readonly Rewrite[];
}

interface RawSlice extends Omit<Slice, "classes"> {
  readonly ids: readonly number[];
}

/** Runs the channel rule of every op over the graph and unites what belongs together. `inference` holds static shapes. */
export function channelGroups(graph: Graph, inference: GraphTypes): ChannelGroups {
  const sets = unionFind();
  const values = new Map<string, ChannelIds>();
  const slices: RawSlice[] = [];
  const rewrites: Rewrite[] = [];
  const reasons: { readonly ids: readonly number[]; readonly reason: string }[] = [];
  const freeze = (ids: readonly number[], reason: string): void => {
    if (ids.length > 0) reasons.push({ ids, reason });
  };

  const taint = dimensionTaint();
  for (const node of graph.nodes) {
    const reason = `${printable(node.op)} "${printable(node.name)}"`;
    const op = findOp(node.op) ?? internal(`op ${node.op} is not known`);
    const inputs = node.inputs.map((name) => values.get(name));
    const base = contextOf(graph, inference, node);
    const outputTypes = node.outputs.map(
      (name) => inference.types.get(name) ?? ({ dtype: "f32", shape: [] } as const),
    );
    freeze(taint.follow(node, op, base, inputs[0], outputTypes), `${reason} computes with their number`);
    if (node.op === "Shape") continue;
    if (!op.channels) {
      for (const flow of inputs) if (flow) freeze(flow.ids, `${reason} has no channel rule`);
      continue;
    }
    const context: ChannelContext = {
      ...base,
      outputs: outputTypes,
      in: (i) => inputs[i],
      shape: (i) => base.inputs[i]?.shape ?? internal(`${reason} asks for the shape of operand ${i}`),
      isWeight: (i) => graph.weights.has(node.inputs[i] ?? ""),
      fresh: (n) => sets.add(n),
      unite: (a, b) => sets.unite(a, b),
      freeze: (ids) => freeze(ids, reason),
      slices: (input, axis, ids, role) => {
        const weight = node.inputs[input] ?? "";
        const size = graph.weights.get(weight)?.shape[axis];
        if (size !== ids.length) {
          internal(
            `${reason} gives ${ids.length} channels to axis ${axis} of operand ${input}, which has ${size}`,
          );
        }
        slices.push({ node, input, weight, axis, role, ids });
      },
      attribute: (name, rewrite) => rewrites.push({ kind: "attribute", node, name, rewrite }),
      hostInput: (input, rewrite) => {
        // A computed operand cannot be rewritten, so nothing that would change it may go.
        if (graph.weights.has(node.inputs[input] ?? ""))
          rewrites.push({ kind: "hostInput", node, input, rewrite });
        else for (const flow of inputs) if (flow) freeze(flow.ids, `${reason} computes operand ${input}`);
      },
    };
    const consumed = slices.length;
    const outputs = op.channels(context);
    for (const [k, name] of node.outputs.entries()) {
      const flow = outputs[k];
      if (name === "") continue;
      if (flow) {
        if (flow.ids.length !== inference.types.get(name)?.shape[flow.axis]) {
          internal(
            `${reason} gives ${flow.ids.length} channels to its output of shape [${inference.types.get(name)?.shape}]`,
          );
        }
        values.set(name, flow);
      } else if (!slices.slice(consumed).some((s) => s.role === "in")) {
        // A result that nobody follows may depend on any channel in any way, unless a weight reads them.
        for (const input of inputs) if (input) freeze(input.ids, `${reason} is not followed`);
      }
    }
  }
  for (const output of graph.outputs) {
    const flow = values.get(output.name);
    if (flow) freeze(flow.ids, `graph output "${printable(output.name)}"`);
  }
  shareWeights(graph, slices, sets.unite, freeze);
  return number(sets, values, slices, rewrites, reasons);
}

/**
 * A weight read in several places is sliced once: the ids that its readers give to an axis are united, and an axis that
 * only some of them follow stays whole.
 */
function shareWeights(
  graph: Graph,
  slices: readonly RawSlice[],
  unite: (a: number, b: number) => void,
  freeze: (ids: readonly number[], reason: string) => void,
): void {
  const uses = new Map<string, number>();
  for (const node of graph.nodes) {
    for (const name of node.inputs) if (graph.weights.has(name)) uses.set(name, (uses.get(name) ?? 0) + 1);
  }
  for (const output of graph.outputs)
    if (graph.weights.has(output.name)) uses.set(output.name, Number.POSITIVE_INFINITY);
  const axes = new Map<string, RawSlice[]>();
  for (const slice of slices) {
    const key = `${slice.axis} ${slice.weight}`;
    const list = axes.get(key);
    if (list) list.push(slice);
    else axes.set(key, [slice]);
  }
  for (const list of axes.values()) {
    const [first] = list;
    for (const other of list) for (const [k, id] of other.ids.entries()) unite(first!.ids[k]!, id);
    const readers = new Set(list.map((s) => `${s.node.outputs.find((o) => o !== "")} ${s.input}`));
    if (readers.size < uses.get(first!.weight)!) {
      freeze(first!.ids, `weight "${printable(first!.weight)}" is also read elsewhere`);
    }
  }
}

/** Turns raw ids into classes numbered in order of appearance. */
function number(
  sets: ReturnType<typeof unionFind>,
  values: ReadonlyMap<string, ChannelIds>,
  slices: readonly RawSlice[],
  rewrites: readonly Rewrite[],
  reasons: readonly { readonly ids: readonly number[]; readonly reason: string }[],
): ChannelGroups {
  const classOf = new Int32Array(sets.size);
  const numbers = new Map<number, number>();
  for (let id = 0; id < classOf.length; id++) {
    const root = sets.find(id);
    if (!numbers.has(root)) numbers.set(root, numbers.size);
    classOf[id] = numbers.get(root)!;
  }
  const frozen = new Map<number, string>();
  for (const { ids, reason } of reasons) {
    for (const id of ids) if (!frozen.has(classOf[id]!)) frozen.set(classOf[id]!, reason);
  }
  return {
    classOf,
    classCount: numbers.size,
    frozen,
    values,
    slices: slices.map(({ ids, ...slice }) => ({ ...slice, classes: ids.map((id) => classOf[id]!) })),
    rewrites,
  };
}

/** The same groups with more classes frozen. */
export const withFrozen = (groups: ChannelGroups, more: ReadonlyMap<number, string>): ChannelGroups => ({
  ...groups,
  frozen: new Map([...more, ...groups.frozen]),
});
