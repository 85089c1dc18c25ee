import type { Graph, Node } from "../graph/graph.ts";
import type { ChannelGroups } from "./channel-groups.ts";
import type { ChannelConstants } from "./constants.ts";
import type { GraphTypes } from "./context.ts";
import { type Reader, readerOf } from "./readers.ts";

/**
 * Which classes have to stay (1) so that the outputs stay the same. A class is needed when it is frozen, or when a needed
 * row reads it with a weight that is not zero, unless what it holds there is zero or a constant that folds into the bias.
 * No value and no weight loses all its channels.
 */
export function liveChannels(
  graph: Graph,
  types: GraphTypes,
  groups: ChannelGroups,
  constants: ChannelConstants,
): Uint8Array {
  const live = new Uint8Array(groups.classCount);
  const waiting: number[] = [];
  const need = (c: number): void => {
    if (live[c] === 1) return;
    live[c] = 1;
    waiting.push(c);
  };
  const needRead = (value: string, position: number, foldable: boolean): void => {
    const k = constants.get(value)?.[position] ?? Number.NaN;
    const id = groups.values.get(value)?.ids[position];
    if (id === undefined || k === 0 || (foldable && !Number.isNaN(k))) return;
    need(groups.classOf[id]!);
  };
  const readRow = (reader: Reader, row: number): void =>
    reader.eachRead(row, (position) => needRead(reader.value, position, reader.foldable));

  const rowsOf = new Map<number, [Reader, number][]>();
  for (const node of readingNodes(groups)) {
    const reader = readerOf(graph, types, node);
    if (!reader) {
      for (const name of node.inputs) {
        for (const position of groups.values.get(name)?.ids.keys() ?? []) needRead(name, position, false);
      }
      continue;
    }
    const rows = groups.slices.find((s) => s.node === node && s.role === "out" && s.weight === reader.weight);
    for (let row = 0; row < reader.rows; row++) {
      const c = rows?.classes[row];
      if (c === undefined) readRow(reader, row);
      else rowsOf.set(c, [...(rowsOf.get(c) ?? []), [reader, row]]);
    }
  }
  const settle = (): void => {
    for (let c = waiting.pop(); c !== undefined; c = waiting.pop()) {
      for (const [reader, row] of rowsOf.get(c) ?? []) readRow(reader, row);
    }
  };
  for (const c of groups.frozen.keys()) need(c);
  settle();
  const axes = [...groups.values.values()].map(({ ids }) => ids.map((id) => groups.classOf[id]!));
  // Last first: what is kept only for its own sake may need some of what comes before it.
  for (const classes of axes.reverse()) {
    if (classes.length === 0 || classes.some((c) => live[c] === 1)) continue;
    need(classes[0]!);
    settle();
  }
  return live;
}

/** Nodes in which a weight reads channels. */
export const readingNodes = (groups: ChannelGroups): Set<Node> =>
  new Set(groups.slices.filter((s) => s.role === "in").map((s) => s.node));
