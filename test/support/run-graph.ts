import { contextOf, evaluate, opOf } from "../../src/graph/evaluate.ts";
import type { Graph } from "../../src/graph/graph.ts";
import type { TensorType } from "../../src/graph/op.ts";
import type { HostTensor } from "../../src/tensor/host-tensor.ts";

/** Value of the graph's first output for one `image`, op by op in double precision. */
export function runGraph(graph: Graph, image: HostTensor): HostTensor {
  const values = new Map<string, HostTensor>([...graph.weights, [graph.inputs[0]!.name, image]]);
  const types = new Map<string, TensorType>(
    [...values].map(([name, t]) => [name, { dtype: t.dtype, shape: t.shape }]),
  );
  // The graph declares its input f32; the value itself may be given in double precision.
  types.set(graph.inputs[0]!.name, { dtype: graph.inputs[0]!.dtype, shape: image.shape });
  for (const node of graph.nodes) {
    const context = contextOf(node, types, values);
    const outputs = opOf(node).infer(context);
    const results = evaluate(
      context,
      node.inputs.map((name) => values.get(name)),
      outputs,
    );
    for (const [i, name] of node.outputs.entries()) {
      types.set(name, outputs[i]!);
      values.set(name, results[i]!);
    }
  }
  return values.get(graph.outputs[0]!.name)!;
}
