import type { Graph, Node } from "../graph/graph.ts";
import { attributesOf, type OpContext } from "../graph/op.ts";
import { outputsOfTap, threeAxes } from "../graph/ops/support/taps.ts";
import { convGeometry } from "../graph/ops/support/window.ts";
import { getNumber, type HostTensor } from "../tensor/host-tensor.ts";
import { sizeOf } from "../tensor/shape.ts";
import { contextOf, type GraphTypes } from "./context.ts";

/**
 * A node that mixes channels through a weight, y[row] = bias[row] + Σ over positions of weight[row, position] · x[position]
 * (each weight a k×k filter for Conv). Positions count along the channel axis of `value`.
 */
export interface Reader {
  readonly node: Node;
  /** The value whose channels are read. */
  readonly value: string;
  readonly weight: string;
  /** Axis of the weight that holds the rows. */
  readonly outAxis: number;
  readonly rows: number;
  /** Operand that holds the bias, -1 where the op has none. */
  readonly biasInput: number;
  /** Bias of a row, 0 without one; NaN where it is not a constant per row. */
  bias(row: number): number;
  /** Can what a constant channel adds be moved into the node's own bias exactly, unless the read is at the border? */
  readonly foldable: boolean;
  /**
   * Can what a constant channel adds be moved to the weights of another constant channel of the same value exactly? Needs a
   * weight that nothing else reads and of which every row reads every position. Holds under padding, which both have alike.
   */
  readonly mergeable: boolean;
  /**
   * Calls `visit(position, sum, border)` for every position of which the row has a weight that is not zero: the sum of its
   * weights, and whether some of them read padding zeros in place of some pixels, so that a constant channel does not give
   * a constant row. Weights that only ever read padding count as zero.
   */
  eachRead(row: number, visit: (position: number, sum: number, border: boolean) => void): void;
}

/** The node as a reader, or undefined for other ops and for layouts that are not followed. */
export function readerOf(graph: Graph, types: GraphTypes, node: Node): Reader | undefined {
  const context = contextOf(graph, types, node);
  const weight = graph.weights.get(node.inputs[1] ?? "");
  if (!weight || graph.weights.has(node.inputs[0] ?? "")) return undefined;
  const a = attributesOf(node);
  switch (node.op) {
    case "Conv":
      return convReader(graph, context, weight, a.int("group", 1));
    case "Gemm": {
      if (a.int("transA", 0) !== 0 || weight.shape.length !== 2) return undefined;
      const plain = a.float("alpha", 1) === 1 && a.float("beta", 1) === 1;
      return matrixReader(graph, context, weight, a.int("transB", 0) !== 0, 2, plain);
    }
    case "MatMul":
      return weight.shape.length === 2 ? matrixReader(graph, context, weight, false, -1, true) : undefined;
    default:
      return undefined;
  }
}

/** How many operands of nodes, and graph outputs, a value is. */
const readersOf = (graph: Graph, name: string): number =>
  graph.nodes.reduce((n, node) => n + node.inputs.filter((i) => i === name).length, 0) +
  graph.outputs.filter((o) => o.name === name).length;

function convReader(graph: Graph, c: OpContext, weight: HostTensor, groups: number): Reader {
  const [rows = 0, perGroup = 0] = weight.shape;
  const rowsPerGroup = rows / groups;
  const taps = tapsOf(graph, c);
  const all = sizeOf(weight.shape.slice(2));
  return {
    ...common(graph, c, rows, 2, true),
    mergeable: groups === 1 && readersOf(graph, c.node.inputs[1]!) === 1,
    outAxis: 0,
    eachRead(row, visit) {
      const first = Math.floor(row / rowsPerGroup) * perGroup;
      for (let j = 0; j < perGroup; j++) {
        const start = (row * perGroup + j) * all;
        let sum = 0;
        let any = false;
        let border = false;
        for (const tap of taps) {
          const w = getNumber(weight.data, start + tap.at);
          if (w === 0) continue;
          any = true;
          border ||= tap.border;
          sum += w;
        }
        if (any) visit(first + j, sum, border);
      }
    },
  };
}

/** One weight of a kernel: its place in memory, and whether it reads padding for some output. */
interface Tap {
  readonly at: number;
  readonly border: boolean;
}

/**
 * The taps of a kernel that read data for some output. Where the graph leaves the size of its images open, only what holds
 * for all sizes counts: every tap reads data, and one is inside when the padding before and behind it is not wider than what
 * the kernel has there.
 */
function tapsOf(graph: Graph, c: OpContext): Tap[] {
  const g = convGeometry(c);
  const fixed = graph.inputs.every((i) => i.shape.slice(1).every((d) => d !== null));
  const same = attributesOf(c.node).string("auto_pad", "NOTSET").startsWith("SAME");
  let taps: Tap[] = [{ at: 0, border: false }];
  for (const axis of threeAxes(g)) {
    taps = taps.flatMap(({ at, border }) =>
      Array.from({ length: axis.kernel }, (_, k): Tap[] => {
        const [first, last] = outputsOfTap(axis, k);
        if (fixed && first >= last) return [];
        const inside = fixed
          ? first === 0 && last === axis.out
          : !same && k * axis.dilation >= axis.begin && (axis.kernel - 1 - k) * axis.dilation >= axis.end;
        return [{ at: at * axis.kernel + k, border: border || !inside }];
      }).flat(),
    );
  }
  return taps;
}

function matrixReader(
  graph: Graph,
  c: OpContext,
  weight: HostTensor,
  transposed: boolean,
  biasInput: number,
  plain: boolean,
): Reader {
  const [rows, columns] = transposed
    ? [weight.shape[0]!, weight.shape[1]!]
    : [weight.shape[1]!, weight.shape[0]!];
  const [rowStep, step] = transposed ? [columns, 1] : [1, rows];
  return {
    ...common(graph, c, rows, biasInput, plain),
    mergeable: readersOf(graph, c.node.inputs[1]!) === 1,
    outAxis: transposed ? 0 : 1,
    eachRead(row, visit) {
      for (let j = 0; j < columns; j++) {
        const w = getNumber(weight.data, row * rowStep + j * step);
        if (w !== 0) visit(j, w, false);
      }
    },
  };
}

function common(graph: Graph, c: OpContext, rows: number, biasInput: number, plain: boolean) {
  const name = biasInput < 0 ? "" : (c.node.inputs[biasInput] ?? "");
  const bias = name === "" ? undefined : c.value(biasInput);
  const perRow = bias?.shape.length === 1 && bias.data.length === rows;
  const readers = readersOf(graph, name);
  return {
    node: c.node,
    value: c.node.inputs[0]!,
    weight: c.node.inputs[1]!,
    rows,
    biasInput,
    foldable: plain && biasInput >= 0 && (name === "" || (perRow && readers === 1)),
    bias: (row: number): number => {
      if (name === "") return plain ? 0 : Number.NaN;
      return plain && perRow ? getNumber(bias!.data, row) : Number.NaN;
    },
  };
}
