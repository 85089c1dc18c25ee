import { elementwiseFlow, passFlow } from "../graph/channels.ts";
import type { Graph, Node } from "../graph/graph.ts";
import { findOp } from "../graph/ops/index.ts";
import type { ChannelGroups } from "./channel-groups.ts";
import type { ChannelConstants } from "./constants.ts";
import type { GraphTypes } from "./context.ts";
import { type Reader, readerOf } from "./readers.ts";

/** What has to stay. */
export interface Liveness {
  /** 1 for a class that has to stay, by class. */
  readonly live: Uint8Array;
  /** Position of the constant channel that stands for all others of a value whose constants cannot fold into a bias. */
  readonly carriers: ReadonlyMap<string, number>;
}

/**
 * Which classes have to stay so that the outputs stay the same. Followed backwards, channel by channel of every value: one
 * that an output needs makes its node need channels of its operands, a mixing node those that the row reads with a weight
 * that is not zero, unless what it reads there is zero, or a constant that folds into the bias. Where padding shows a constant
 * at the border, so that it cannot fold, one constant channel of the value carries what all of them add. A class stays when
 * any of its channels is needed anywhere; what else belongs to it may then hold anything. No value and no weight loses all
 * its channels.
 */
export function liveChannels(
  graph: Graph,
  types: GraphTypes,
  groups: ChannelGroups,
  constants: ChannelConstants,
): Liveness {
  const live = new Uint8Array(groups.classCount);
  const flows = flowsOf(groups);
  const waiting: (() => void)[] = [];
  /** Constants that are read at the border or cannot go into a bias, by value. */
  const wanted = new Map<string, Set<number>>();
  const constant = (value: string, position: number): number =>
    constants.get(value)?.[position] ?? Number.NaN;

  const producers = new Map(graph.nodes.flatMap((node) => node.outputs.map((o) => [o, node] as const)));
  const readers = new Map<Node, Reader | undefined>();
  const readerAt = (node: Node): Reader | undefined => {
    if (!readers.has(node)) readers.set(node, readerOf(graph, types, node));
    return readers.get(node);
  };
  const need = (value: string, position: number): void => {
    const flow = flows.get(value);
    if (!flow || flow.needed[position] === 1) return;
    flow.needed[position] = 1;
    live[flow.classes[position]!] = 1;
    // A constant stays what it is without the operands that could vary: they reach it through zeros.
    const node = Number.isNaN(constant(value, position)) ? producers.get(value) : undefined;
    if (node) waiting.push(() => needOperands(node, flow, position));
  };
  const needClass = (c: number): void => {
    live[c] = 1;
    for (const [value, { positions }] of flows) for (const p of positions.get(c) ?? []) need(value, p);
  };
  const needOperands = (node: Node, { classes }: Flow, position: number): void => {
    const reader = readerAt(node);
    if (reader) readRow(reader, position);
    for (const name of node.inputs) {
      const from = name === reader?.value ? undefined : flows.get(name);
      if (!from) continue;
      // One class may have several channels in a value (groups); where channels keep their places, only its own is needed.
      if (keepsPlaces(node) && from.classes.length === classes.length) need(name, position);
      else for (const p of from.positions.get(classes[position]!) ?? []) need(name, p);
    }
  };
  const readRow = (reader: Reader, row: number): void =>
    reader.eachRead(row, (position, _sum, border) => {
      const k = constant(reader.value, position);
      if (k === 0 || (!Number.isNaN(k) && reader.foldable && !border)) return;
      if (Number.isNaN(k) || !reader.mergeable) need(reader.value, position);
      else wanted.set(reader.value, (wanted.get(reader.value) ?? new Set()).add(position));
    });
  for (const c of groups.frozen.keys()) needClass(c);
  for (const node of readingNodes(groups)) {
    const reader = readerAt(node);
    if (reader && node.outputs.some((name) => flows.has(name))) continue;
    // Who reads what is not known: everything is needed.
    if (reader) for (let row = 0; row < reader.rows; row++) readRow(reader, row);
    else for (const name of node.inputs) for (const p of flows.get(name)?.classes.keys() ?? []) need(name, p);
  }
  for (let next = waiting.pop(); next; next = waiting.pop()) next();

  const carriers = new Map<string, number>();
  for (const [value, positions] of wanted) {
    const k = constants.get(value)!;
    const isLive = (p: number): boolean => live[flows.get(value)!.classes[p]!] === 1;
    if ([...positions].every(isLive)) continue;
    const held = [...k.keys()].filter((p) => k[p] !== 0 && !Number.isNaN(k[p]!) && isLive(p));
    const [largest] = (held.length > 0 ? held : [...positions]).sort(
      (a, b) => Math.abs(k[b]!) - Math.abs(k[a]!) || a - b,
    );
    carriers.set(value, largest!);
    need(value, largest!);
  }
  for (const { classes } of flows.values()) {
    if (classes.length > 0 && !classes.some((c) => live[c] === 1)) live[classes[0]!] = 1;
  }
  return { live, carriers };
}

/** Does channel p of the result depend on channel p of the operands alone? */
function keepsPlaces(node: Node): boolean {
  const flow = findOp(node.op)?.channels;
  return flow === elementwiseFlow || flow === passFlow || node.op === "BatchNormalization";
}

/** The channels of one value: class by position, positions by class, and which are needed. */
interface Flow {
  readonly classes: readonly number[];
  readonly positions: ReadonlyMap<number, readonly number[]>;
  readonly needed: Uint8Array;
}

function flowsOf(groups: ChannelGroups): Map<string, Flow> {
  const flows = new Map<string, Flow>();
  for (const [name, { ids }] of groups.values) {
    const classes = ids.map((id) => groups.classOf[id]!);
    const positions = new Map<number, number[]>();
    for (const [p, c] of classes.entries()) {
      const list = positions.get(c);
      if (list) list.push(p);
      else positions.set(c, [p]);
    }
    flows.set(name, { classes, positions, needed: new Uint8Array(classes.length) });
  }
  return flows;
}

/** Nodes in which a weight reads channels. */
export const readingNodes = (groups: ChannelGroups): Set<Node> =>
  new Set(groups.slices.filter((s) => s.role === "in").map((s) => s.node));
