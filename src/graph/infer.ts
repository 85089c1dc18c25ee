import type { HostTensor } from "../tensor/host-tensor.ts";
import type { Shape } from "../tensor/shape.ts";
import { sizeOf } from "../tensor/shape.ts";
import { contextOf, evaluateAs, opOf } from "./evaluate.ts";
import type { Graph } from "./graph.ts";
import type { TensorType } from "./op.ts";

export interface Inference {
  readonly types: ReadonlyMap<string, TensorType>;
  readonly values: ReadonlyMap<string, HostTensor>;
}

export function inferTypes(graph: Graph, inputShapes: ReadonlyMap<string, Shape>, inputValues: ReadonlyMap<string, HostTensor> = new Map()): Inference {
  const types = new Map<string, TensorType>();
  const values = new Map<string, HostTensor>([...graph.weights, ...inputValues]);
  for (const [n, w] of graph.weights) types.set(n, { dtype: w.dtype, shape: w.shape });
  for (const i of graph.inputs) types.set(i.name, { dtype: i.dtype, shape: inputShapes.get(i.name) ?? (i.shape as Shape) });
  for (const node of graph.nodes) {
    const context = contextOf(node, types, values);
    const out = opOf(node).infer(context);
    node.outputs.forEach((name, i) => name && types.set(name, out[i]!));
    const inputs = node.inputs.map((n) => (n ? values.get(n) : undefined));
    if (node.inputs.every((n) => n === "" || values.has(n)) && out.every((o) => sizeOf(o.shape) <= 65536) || node.op === "Shape") {
      evaluateAs(context, inputs, out).forEach((t, i) => node.outputs[i] && values.set(node.outputs[i]!, t));
    }
  }
  return { types, values };
}

export function requiredValues(graph: Graph): string[] {
  const needed = new Set<string>();
  for (const node of [...graph.nodes].reverse()) {
    const op = opOf(node);
    for (const i of op.hostInputs ?? []) if (node.inputs[i]) needed.add(node.inputs[i]!);
    if (node.op !== "Shape" && node.outputs.some((o) => needed.has(o))) for (const i of node.inputs) if (i) needed.add(i);
  }
  return graph.inputs.map((i) => i.name).filter((n) => needed.has(n));
}
