import { contextOf, evaluate, opOf } from "../graph/evaluate.ts";
import type { Graph } from "../graph/graph.ts";
import type { TensorType } from "../graph/op.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";

export function runReference(graph: Graph, inputs: Readonly<Record<string, HostTensor>>): Record<string, HostTensor> {
  const values = new Map<string, HostTensor>([...graph.weights, ...Object.entries(inputs)]);
  const types = new Map<string, TensorType>([...values].map(([n, t]) => [n, { dtype: t.dtype, shape: t.shape }]));
  for (const node of graph.nodes) {
    const context = contextOf(node, types, values);
    const out = opOf(node).infer(context);
    evaluate(context, node.inputs.map((n) => (n ? values.get(n) : undefined)), out).forEach((t, i) => {
      if (node.outputs[i]) {
        values.set(node.outputs[i]!, t);
        types.set(node.outputs[i]!, out[i]!);
      }
    });
  }
  return Object.fromEntries(graph.outputs.map((o) => [o.name, values.get(o.name)!]));
}
