import { contextOf as contextFrom } from "../graph/evaluate.ts";
import type { Graph, Node } from "../graph/graph.ts";
import type { Inference } from "../graph/infer.ts";
import type { OpContext } from "../graph/op.ts";

/** Types of all values and constants known for one representative input. */
export type GraphTypes = Inference;

/** What an op may know of one node; weights are those of `graph`, which may differ in value from those inferred from. */
export const contextOf = (graph: Graph, { types, values }: GraphTypes, node: Node): OpContext => ({
  ...contextFrom(node, types, values),
  value: (i) => {
    const name = node.inputs[i] ?? "";
    return name === "" ? undefined : (graph.weights.get(name) ?? values.get(name));
  },
});
