import { printable } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { type ChannelGroups, channelGroups, type SliceRole } from "./channel-groups.ts";
import { nodeKey } from "./structure.ts";
import { type InputShapes, staticTypes } from "./types.ts";

/** One weight axis in a coupled set, with the slices along it that belong to the set. */
export interface CoupledSlices {
  readonly node: string;
  readonly weight: string;
  readonly axis: number;
  readonly role: SliceRole;
  readonly indices: readonly number[];
  /** Slices that one channel has here: a flattened channel has many, a grouped convolution one per group. */
  readonly perChannel: number;
}

/** Channels that touch the same places of the same weights: removing one of them removes its slice everywhere in the list. */
export interface CoupledSet {
  readonly channels: number;
  /** Why none of them can be removed; undefined where they can. */
  readonly frozen: string | undefined;
  /** The first layer whose filters they are comes first. */
  readonly members: readonly CoupledSlices[];
  /** What else is rewritten: attributes by name, constant operands by `input <n>`. */
  readonly rewrites: readonly { readonly node: string; readonly what: string }[];
}

/** The coupled sets of a graph in the order of its nodes; channels that no weight makes or reads are left out. */
export function coupledSets(graph: Graph, inputShapes?: InputShapes): CoupledSet[] {
  const groups = channelGroups(graph, staticTypes(graph, inputShapes));
  const places = new Map<number, Map<number, number[]>>();
  for (const [s, slice] of groups.slices.entries()) {
    for (const [k, c] of slice.classes.entries()) {
      const own = places.get(c) ?? new Map<number, number[]>();
      own.set(s, [...(own.get(s) ?? []), k]);
      places.set(c, own);
    }
  }
  const sets = new Map<string, number[]>();
  for (const c of [...places.keys()].sort((a, b) => a - b)) {
    const where = [...places.get(c)!].map(([s, ks]) => `${s}:${ks.length}`).sort();
    const key = `${where.join(" ")} ${groups.frozen.get(c) ?? ""}`;
    sets.set(key, [...(sets.get(key) ?? []), c]);
  }
  return [...sets.values()].map((classes) => setOf(groups, places, classes));
}

function setOf(
  groups: ChannelGroups,
  places: ReadonlyMap<number, ReadonlyMap<number, readonly number[]>>,
  classes: readonly number[],
): CoupledSet {
  const [first] = classes;
  const members = [...places.get(first!)!].map(([s, ks]): CoupledSlices => {
    const { node, weight, axis, role } = groups.slices[s]!;
    const indices = classes.flatMap((c) => places.get(c)!.get(s)!).sort((a, b) => a - b);
    return { node: node.name || nodeKey(node), weight, axis, role, indices, perChannel: ks.length };
  });
  const root = members.findIndex((m) => m.role === "out");
  if (root > 0) members.unshift(...members.splice(root, 1));
  const all = (): boolean => true;
  const without = (id: number): boolean => groups.classOf[id] !== first;
  const changes = groups.rewrites.filter((r) => String(r.rewrite(all)) !== String(r.rewrite(without)));
  return {
    channels: classes.length,
    frozen: groups.frozen.get(first!),
    members,
    rewrites: changes.map((r) => ({
      node: r.node.name || nodeKey(r.node),
      what: r.kind === "attribute" ? r.name : `input ${r.input}`,
    })),
  };
}

/**
 * What filter pruning removes together, for people: every coupled set with its root first, then each weight axis, attribute
 * and constant that a channel of the set touches.
 */
export function describeGroups(graph: Graph, inputShapes?: InputShapes): string {
  const lines: string[] = [];
  for (const [i, set] of coupledSets(graph, inputShapes).entries()) {
    const state = set.frozen === undefined ? "" : `, kept whole: ${set.frozen}`;
    lines.push(`set ${i + 1}: ${set.channels} channel${set.channels === 1 ? "" : "s"}${state}`);
    for (const m of set.members) {
      const per = m.perChannel === 1 ? "" : ` (${m.perChannel} per channel)`;
      lines.push(`  ${m.role.padEnd(5)} ${printable(m.weight)} axis ${m.axis} [${ranges(m.indices)}]${per}`);
    }
    for (const r of set.rewrites) lines.push(`  sets  ${printable(r.node)} ${r.what}`);
  }
  return lines.join("\n");
}

/** `0-7, 9, 12-15` */
function ranges(indices: readonly number[]): string {
  const parts: string[] = [];
  for (let i = 0; i < indices.length; ) {
    let j = i;
    while (j + 1 < indices.length && indices[j + 1] === indices[j]! + 1) j++;
    parts.push(i === j ? `${indices[i]}` : `${indices[i]}-${indices[j]}`);
    i = j + 1;
  }
  return parts.join(", ");
}
