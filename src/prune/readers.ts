import type { Graph, Node } from "../graph/graph.ts";
import { attributesOf, type OpContext } from "../graph/op.ts";
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
  /** Does padding put zeros beside the input? Then a constant channel does not give a constant row. */
  readonly padded: boolean;
  /** Can what a constant channel adds be moved into the node's own bias exactly? */
  readonly foldable: boolean;
  /** Calls `visit(position, sum)` for every position of which the row has a weight that is not zero. */
  eachRead(row: number, visit: (position: number, sum: number) => void): void;
}

/** The node as a reader, or undefined for other ops and for layouts that are not followed. */
export function readerOf(graph: Graph, types: GraphTypes, node: Node): Reader | undefined {
  const context = contextOf(graph, types, node);
  const weight = graph.weights.get(node.inputs[1] ?? "");
  if (!weight || graph.weights.has(node.inputs[0] ?? "")) return undefined;
  const a = attributesOf(node);
  switch (node.op) {
    case "Conv": {
      const pads = a.ints("pads") ?? [];
      const auto = a.string("auto_pad", "NOTSET");
      const padded = auto.startsWith("SAME") || (auto === "NOTSET" && pads.some((p) => p !== 0));
      return convReader(graph, context, weight, a.int("group", 1), padded);
    }
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

function convReader(graph: Graph, c: OpContext, weight: HostTensor, groups: number, padded: boolean): Reader {
  const [rows = 0, perGroup = 0] = weight.shape;
  const taps = sizeOf(weight.shape.slice(2));
  const rowsPerGroup = rows / groups;
  return {
    ...common(graph, c, rows, 2, true, padded),
    outAxis: 0,
    eachRead(row, visit) {
      const first = Math.floor(row / rowsPerGroup) * perGroup;
      for (let j = 0; j < perGroup; j++) {
        const start = (row * perGroup + j) * taps;
        visitSum(weight, start, 1, taps, (sum) => visit(first + j, sum));
      }
    },
  };
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
    ...common(graph, c, rows, biasInput, plain, false),
    outAxis: transposed ? 0 : 1,
    eachRead(row, visit) {
      for (let j = 0; j < columns; j++)
        visitSum(weight, row * rowStep + j * step, 1, 1, (sum) => visit(j, sum));
    },
  };
}

function visitSum(
  weight: HostTensor,
  start: number,
  step: number,
  count: number,
  visit: (sum: number) => void,
): void {
  let sum = 0;
  let any = false;
  for (let t = 0; t < count; t++) {
    const w = getNumber(weight.data, start + t * step);
    if (w !== 0) any = true;
    sum += w;
  }
  if (any) visit(sum);
}

function common(
  graph: Graph,
  c: OpContext,
  rows: number,
  biasInput: number,
  plain: boolean,
  padded: boolean,
) {
  const name = biasInput < 0 ? "" : (c.node.inputs[biasInput] ?? "");
  const bias = name === "" ? undefined : c.value(biasInput);
  const perRow = bias?.shape.length === 1 && bias.data.length === rows;
  const readers = graph.nodes.reduce((n, node) => n + node.inputs.filter((i) => i === name).length, 0);
  return {
    node: c.node,
    value: c.node.inputs[0]!,
    weight: c.node.inputs[1]!,
    rows,
    biasInput,
    padded,
    foldable: plain && !padded && biasInput >= 0 && (name === "" || (perRow && readers === 1)),
    bias: (row: number): number => {
      if (name === "") return plain ? 0 : Number.NaN;
      return plain && perRow ? getNumber(bias!.data, row) : Number.NaN;
    },
  };
}
