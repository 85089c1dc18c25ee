import { internal } from "../errors.ts";
import { isFloat } from "../tensor/dtype.ts";
import { cast, type HostTensor } from "../tensor/host-tensor.ts";
import type { Node } from "./graph.ts";
import type { OpContext, OpDefinition, TensorType } from "./op.ts";
import { findOp } from "./ops/index.ts";
import { widened } from "./ops/support/doubles.ts";

/** The op of a node that `makeGraph` has accepted. */
export const opOf = (node: Node): OpDefinition => findOp(node.op) ?? internal(`no op ${node.op}`);

/** What an op's functions see of `node`, given the types and constants found so far. */
export function contextOf(
  node: Node,
  types: ReadonlyMap<string, TensorType>,
  values: ReadonlyMap<string, HostTensor>,
): OpContext {
  return {
    node,
    inputs: node.inputs.map((name) => (name === "" ? undefined : types.get(name))),
    value: (i) => {
      const name = node.inputs[i];
      return name === undefined || name === "" ? undefined : values.get(name);
    },
  };
}

/** Result of one node in double precision; float inputs of any width are widened first. */
export function evaluate(
  context: OpContext,
  inputs: readonly (HostTensor | undefined)[],
  outputs: readonly TensorType[],
): HostTensor[] {
  return opOf(context.node).reference(
    context,
    inputs.map((t) => t && widened(t)),
    outputs,
  );
}

/** Result of one node in the dtypes its outputs declare, rounded from double precision. */
export function evaluateAs(
  context: OpContext,
  inputs: readonly (HostTensor | undefined)[],
  outputs: readonly TensorType[],
): HostTensor[] {
  return evaluate(context, inputs, outputs).map((t, i) =>
    isFloat(t.dtype) ? cast(t, outputs[i]!.dtype) : t,
  );
}
