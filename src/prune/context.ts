import type { Graph, Node } from "../graph/graph.ts";
import type { OpContext, TensorType } from "../graph/op.ts";

/** Types of all values of a graph, by name. */
export type GraphTypes = ReadonlyMap<string, TensorType>;

/** What an op may know of one node once shapes are worked out; constants are the graph's weights. */
export const contextOf = (graph: Graph, types: GraphTypes, node: Node): OpContext => ({
  node,
  inputs: node.inputs.map((name) => {
    if (name === "") return undefined;
    const weight = graph.weights.get(name);
    return weight ? { dtype: weight.dtype, shape: weight.shape } : types.get(name);
  }),
  value: (i) => graph.weights.get(node.inputs[i] ?? ""),
});
