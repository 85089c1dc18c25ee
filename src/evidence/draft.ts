import { type Attribute, type Graph, type GraphValue, makeGraph } from "../graph/graph.ts";
import { type HostTensor, tensor } from "../tensor/host-tensor.ts";
import { underMasks } from "../train/net.ts";

/** A net under its masks, with nodes being added that look at its values; the net itself stays. */
export interface Draft {
  /** Adds a node; returns its output. */
  node(op: string, inputs: readonly string[], attributes?: Record<string, Attribute>): string;
  constant(value: HostTensor): string;
  /** A constant list of whole numbers: axes, a shape. */
  list(values: readonly number[]): string;
  /** The net with what was added, and `outputs` for its only outputs. */
  build(outputs: readonly string[]): Graph;
}

export function draftOf(graph: Graph): Draft {
  const { name, inputs } = graph;
  const weights = new Map(underMasks(graph));
  const nodes = [...graph.nodes];
  const draft: Draft = {
    node(op, operands, attributes = {}) {
      const output = `evidence/${op}#${nodes.length}`;
      nodes.push({
        name: output,
        op,
        inputs: operands,
        outputs: [output],
        attributes: new Map(Object.entries(attributes)),
      });
      return output;
    },
    constant(value) {
      const key = `evidence/constant#${weights.size}`;
      weights.set(key, value);
      return key;
    },
    list: (values) => draft.constant(tensor(values, [values.length], "i64")),
    build(outputs) {
      const values = outputs.map((output): GraphValue => ({ name: output, dtype: "f32", shape: [] }));
      return makeGraph({ name, inputs, outputs: values, nodes, weights });
    },
  };
  return draft;
}
