import { InputError } from "../../src/errors.ts";
import { graphBuilder } from "../../src/graph/builder.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { tensor } from "../../src/tensor/host-tensor.ts";
import { caseName, type OpCase, type Operands, wShape, xShape, xTensor, yShape } from "./cases.ts";

/**
 * The marginal method. Where a graph is run as a whole, one node's time is (T(n parallel nodes) - T(1 node)) / (n - 1), every
 * output cut down to four elements: upload, change of layout at the graph's ends, read-back and the cost of a call
 * are in both and cancel.
 */
export interface Parallel {
  readonly nodes: number;
  /** The operands of each node: no two are alike, or an optimiser would compute them once. */
  readonly operands: readonly Operands[];
}

/** Elements that a cut output keeps. */
export const cutLength = 4;

/** Five nodes with weights of their own; of two run-time operands, which are square, their four products. */
export function parallelOf(c: OpCase, { x, w }: Operands): Parallel {
  if (c.op === "matmul" && c.runtime) {
    if (c.m !== c.k || c.k !== c.n) {
      throw new InputError(`${caseName(c)}: the products of two run-time operands need square ones.`);
    }
    return {
      nodes: 4,
      operands: [
        { x, w },
        { x: w, w: x },
        { x, w: x },
        { x: w, w },
      ],
    };
  }
  const scaled = [1, 1.25, 1.5, 1.75, 2].map((f) => ({ x, w: f === 1 ? w : w.map((v) => v * f) }));
  return { nodes: scaled.length, operands: scaled };
}

export interface ParallelOptions {
  /** How many of the nodes the graph has. */
  readonly nodes: number;
  /** Are the outputs cut down? */
  readonly cut: boolean;
  /** Is what a run computes with a variable, which stays on the device, rather than an input that is given to every run? */
  readonly resident: boolean;
}

/** The graph of some of a case's parallel nodes: `node0`, `node1`, … with outputs `y0`, `y1`, … */
export function parallelGraph(c: OpCase, parallel: Parallel, options: ParallelOptions): Graph {
  const { nodes, cut, resident } = options;
  const g = graphBuilder(caseName(c));
  const first = parallel.operands[0]!;
  const runtime = c.op === "matmul" && c.runtime;
  const given = (name: string, data: Float32Array<ArrayBuffer>, shape: readonly number[]): string =>
    resident ? g.weight(name, tensor(data, shape)) : g.input(name, shape);
  given("x", xTensor(c, first).data as Float32Array<ArrayBuffer>, xShape(c));
  if (runtime) given("w", first.w, wShape(c));
  const [starts, ends] = cut
    ? [
        g.constant(yShape(c).map(() => 0)),
        g.constant(yShape(c).map((_, i, s) => (i === s.length - 1 ? cutLength : 1))),
      ]
    : ["", ""];
  for (let i = 0; i < nodes; i++) {
    const { x, w } = parallel.operands[i]!;
    const operand = (data: Float32Array): string => (data === first.x ? "x" : "w");
    const inputs = runtime ? [operand(x), operand(w)] : ["x", g.weight(`w${i}`, tensor(w, wShape(c)))];
    const whole = { name: `node${i}`, outputs: [cut ? `whole${i}` : `y${i}`] };
    const value =
      c.op === "matmul"
        ? g.node("MatMul", inputs, {}, whole)
        : g.node("Conv", inputs, convAttributes(c.kernel), whole);
    if (cut) g.node("Slice", [value, starts, ends], {}, { name: `cut${i}`, outputs: [`y${i}`] });
    g.output(
      `y${i}`,
      cut ? yShape(c).map((_, axis, s) => (axis === s.length - 1 ? cutLength : 1)) : yShape(c),
    );
  }
  return g.build();
}

const convAttributes = (kernel: number): Record<string, readonly number[]> => {
  const pad = (kernel - 1) / 2;
  return { kernel_shape: [kernel, kernel], pads: [pad, pad, pad, pad] };
};
