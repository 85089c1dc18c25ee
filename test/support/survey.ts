import type { Graph } from "../../src/graph/graph.ts";
import type { OpContext, TensorType } from "../../src/graph/op.ts";
import { findOp } from "../../src/graph/ops/index.ts";

/** Types of all values for a batch of one, worked out op by op, and the MACs. */
export function survey(graph: Graph): {
  readonly types: ReadonlyMap<string, TensorType>;
  readonly macs: number;
} {
  const types = new Map<string, TensorType>();
  for (const v of graph.inputs) types.set(v.name, { dtype: v.dtype, shape: v.shape.map((d) => d ?? 1) });
  for (const [name, w] of graph.weights) types.set(name, { dtype: w.dtype, shape: w.shape });
  let macs = 0;
  for (const node of graph.nodes) {
    const op = findOp(node.op)!;
    const context: OpContext = {
      node,
      inputs: node.inputs.map((name) => types.get(name)),
      value: (i) => graph.weights.get(node.inputs[i] ?? ""),
    };
    const outputs = op.infer(context);
    for (const [i, name] of node.outputs.entries()) types.set(name, outputs[i]!);
    macs += op.macs?.(context, outputs) ?? 0;
  }
  return { types, macs };
}

/** Learned values: W of Conv and Gemm; with biases; with BatchNormalization's scale and shift. */
export function parameters(graph: Graph): readonly [number, number, number] {
  const sizes = [0, 0, 0];
  for (const node of graph.nodes) {
    const size = (i: number): number => graph.weights.get(node.inputs[i] ?? "")?.data.length ?? 0;
    if (node.op === "Conv" || node.op === "Gemm") {
      sizes[0]! += size(1);
      sizes[1]! += size(2);
    } else if (node.op === "BatchNormalization") sizes[2]! += size(1) + size(2);
  }
  const [w, b, n] = sizes as [number, number, number];
  return [w, w + b, w + b + n];
}
