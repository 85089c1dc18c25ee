import { graphBuilder } from "../../src/graph/builder.ts";
import type { Attribute, Node } from "../../src/graph/graph.ts";
import type { OpContext, TensorType } from "../../src/graph/op.ts";
import { findOp } from "../../src/graph/ops/index.ts";
import { isFloat } from "../../src/tensor/dtype.ts";
import { cast, type HostTensor } from "../../src/tensor/host-tensor.ts";

export type Attributes = Readonly<Record<string, Attribute>>;

/** A node standing alone, its inputs known by value (or, as bare types, by type only). */
export function contextOf(
  op: string,
  inputs: readonly (HostTensor | TensorType | undefined)[],
  attributes: Attributes = {},
  outputs = 1,
): OpContext {
  const node: Node = {
    name: `test ${op}`,
    op,
    inputs: inputs.map((t, i) => (t ? `in${i}` : "")),
    outputs: Array.from({ length: outputs }, (_, i) => `out${i}`),
    attributes: new Map(Object.entries(attributes)),
  };
  return {
    node,
    inputs: inputs.map((t) => (t ? { dtype: t.dtype, shape: t.shape } : undefined)),
    value(i) {
      const t = inputs[i];
      return t && "data" in t ? t : undefined;
    },
  };
}

/** Types of the outputs of one op. */
export const inferOp = (
  op: string,
  inputs: readonly (HostTensor | TensorType | undefined)[],
  attributes: Attributes = {},
  outputs = 1,
): TensorType[] => findOp(op)!.infer(contextOf(op, inputs, attributes, outputs));

/** Outputs of one op by its reference, floats as f64; checks that they are of the inferred types. */
export function evaluateOp(
  op: string,
  inputs: readonly (HostTensor | undefined)[],
  attributes: Attributes = {},
  outputs = 1,
): HostTensor[] {
  const context = contextOf(op, inputs, attributes, outputs);
  const definition = findOp(op)!;
  const types = definition.infer(context);
  const wide = inputs.map((t) => (t && isFloat(t.dtype) ? cast(t, "f64") : t));
  const results = definition.reference(context, wide, types);
  for (const [i, type] of types.entries()) {
    const dtype = isFloat(type.dtype) ? "f64" : type.dtype;
    const result = results[i]!;
    const size = type.shape.reduce((a, b) => a * b, 1);
    if (
      result.dtype !== dtype ||
      result.data.length !== size ||
      String(result.shape) !== String(type.shape)
    ) {
      throw new Error(
        `${op}: reference gave ${result.dtype} [${result.shape}] (${result.data.length}), inferred ${dtype} [${type.shape}]`,
      );
    }
  }
  return results;
}

/** The same through a graph, so that operand counts and attributes are checked as they are for a model. */
export function checkAsGraph(op: string, inputs: readonly HostTensor[], attributes: Attributes = {}): void {
  const b = graphBuilder("case");
  const names = inputs.map((t, i) => b.input(`in${i}`, t.shape, t.dtype));
  b.output(b.node(op, names, attributes), []);
  b.build();
}
