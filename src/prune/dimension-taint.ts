import type { ChannelIds } from "../graph/channels.ts";
import type { Node } from "../graph/graph.ts";
import { attributesOf, type OpContext, type OpDefinition, type TensorType } from "../graph/op.ts";
import { allocate } from "../tensor/dtype.ts";
import { getNumber, type HostTensor, setNumber } from "../tensor/host-tensor.ts";
import { sizeOf } from "../tensor/shape.ts";

/**
 * Shape arithmetic read from channels. Exporters write `x.view(x.size(0), -1)` as Shape, Gather, Concat, Reshape: only the batch
 * size is taken, so the channels behind it may still go. Followed entry by entry: which entries of a small integer value
 * are the size of a channel axis. Anything but moving such an entry about freezes its channels.
 */
export interface DimensionTaint {
  /**
   * Follows one node. Returns the raw ids to freeze because the node computes with the size of their axis.
   */
  follow(
    node: Node,
    op: OpDefinition,
    context: OpContext,
    flow: ChannelIds | undefined,
    outputs: readonly TensorType[],
  ): number[];
}

/** Ops that only move entries, with the operands that they move. */
const movers: Readonly<Record<string, "first" | "all">> = {
  Cast: "first",
  Concat: "all",
  Gather: "first",
  Identity: "first",
  Reshape: "first",
  Slice: "first",
  Squeeze: "first",
  Unsqueeze: "first",
};

type Entry = readonly number[] | undefined;

export function dimensionTaint(): DimensionTaint {
  /** Channel ids behind each entry of a value; values without any are not listed. */
  const tainted = new Map<string, readonly Entry[]>();
  const mark = (name: string | undefined, entries: readonly Entry[]): void => {
    if (name && entries.some((e) => e !== undefined)) tainted.set(name, entries);
  };
  return {
    follow(node, op, context, flow, outputs) {
      if (node.op === "Shape") {
        if (flow) mark(node.outputs[0], shapeEntries(node, context, flow, outputs));
        return [];
      }
      const given = node.inputs.map((name) => tainted.get(name));
      if (given.every((g) => g === undefined)) return [];
      const moves = Object.hasOwn(movers, node.op) ? movers[node.op] : undefined;
      const all = given.flatMap((g) => (g ?? []).flatMap((ids) => ids ?? []));
      const allowed = moves === "all" || (moves === "first" && given.slice(1).every((g) => g === undefined));
      if (!allowed || outputs.length !== 1 || outputs[0]!.dtype === "bool") return all;
      mark(node.outputs[0], movedEntries(op, context, given, outputs));
      return [];
    },
  };
}

function shapeEntries(
  node: Node,
  context: OpContext,
  flow: ChannelIds,
  outputs: readonly TensorType[],
): readonly Entry[] {
  const rank = context.inputs[0]!.shape.length;
  const start = attributesOf(node).int("start", 0);
  const first = Math.max(0, Math.min(rank, start < 0 ? start + rank : start));
  return Array.from({ length: sizeOf(outputs[0]!.shape) }, (_, i) =>
    first + i === flow.axis ? flow.ids : undefined,
  );
}

/** Runs the op on numbered entries to see where each of them goes; 0 stands for an entry of no interest. */
function movedEntries(
  op: OpDefinition,
  context: OpContext,
  given: readonly (readonly Entry[] | undefined)[],
  outputs: readonly TensorType[],
): readonly Entry[] {
  const table: Entry[] = [undefined];
  const inputs = context.inputs.map((type, i): HostTensor | undefined => {
    if (!type || (i > 0 && op.name !== "Concat")) return context.value(i);
    const data = allocate(type.dtype, sizeOf(type.shape));
    for (const [k, ids] of (given[i] ?? []).entries()) if (ids) setNumber(data, k, table.push(ids) - 1);
    return { dtype: type.dtype, shape: type.shape, data };
  });
  const [moved] = op.reference(context, inputs, outputs);
  return Array.from({ length: sizeOf(outputs[0]!.shape) }, (_, i) => table[getNumber(moved!.data, i)]);
}
