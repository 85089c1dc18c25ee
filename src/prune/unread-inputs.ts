import type { Graph } from "../graph/graph.ts";
import type { ChannelGroups } from "./channel-groups.ts";
import type { GraphTypes } from "./context.ts";
import { readerOf } from "./readers.ts";
import { nodeKey, type Structure } from "./structure.ts";

/** A Gather in front of a Gemm is worth its place when at least this share of its inputs is read by nobody. */
const leastUnread = 1 / 8;

/**
 * Inputs of Gemms that come straight from a graph input, so that no channel can be removed, and that no row reads:
 * the columns go, and a Gather picks what is left. A compile merges the two again, so it costs no time. `graph` has lost its dead rows already.
 */
export function unreadInputs(
  graph: Graph,
  types: GraphTypes,
  groups: ChannelGroups,
): Pick<Structure, "weights"> & { readonly gathers: NonNullable<Structure["gathers"]> } {
  const weights: Structure["weights"][number][] = [];
  const gathers: NonNullable<Structure["gathers"]>[number][] = [];
  for (const node of graph.nodes) {
    if (node.op !== "Gemm") continue;
    const reader = readerOf(graph, types, node);
    if (!reader?.mergeable || groups.values.has(reader.value)) continue;
    const axis = 1 - reader.outAxis;
    const of = graph.weights.get(reader.weight)!.shape[axis]!;
    const read = new Uint8Array(of);
    for (let row = 0; row < reader.rows; row++) reader.eachRead(row, (position) => (read[position] = 1));
    const kept = [...read.keys()].filter((p) => read[p] === 1);
    if (kept.length === 0 || of - kept.length < leastUnread * of) continue;
    weights.push({ weight: reader.weight, axis, of, kept });
    gathers.push({ node: nodeKey(node), axis: types.types.get(reader.value)!.shape.length - 1, kept });
  }
  return { weights, gathers };
}
