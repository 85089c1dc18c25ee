import { InputError, printable } from "../errors.ts";
import { contextOf, evaluate, opOf } from "../graph/evaluate.ts";
import type { Graph } from "../graph/graph.ts";
import type { TensorType } from "../graph/op.ts";
import { widened } from "../graph/ops/support/doubles.ts";
import { getNumber, type HostTensor } from "../tensor/host-tensor.ts";
import { checkTensor } from "./inputs.ts";

/**
 * The oracle: the whole graph on the CPU in double precision, node by node, masks applied. Floats of any width come back as
 * f64, other dtypes as declared. Slow and obvious; every kernel and session is checked against it. Throws E_INPUT for inputs that
 * do not fit.
 */
export function runReference(
  graph: Graph,
  inputs: Readonly<Record<string, HostTensor>>,
): Record<string, HostTensor> {
  const values = new Map<string, HostTensor>();
  const types = new Map<string, TensorType>();
  const set = (name: string, value: HostTensor, type: TensorType): void => {
    values.set(name, value);
    types.set(name, type);
  };
  for (const [name, weight] of graph.weights) {
    set(name, masked(weight, graph.masks.get(name)), { dtype: weight.dtype, shape: weight.shape });
  }
  for (const name of Object.keys(inputs)) {
    if (!graph.inputs.some((i) => i.name === name)) {
      throw new InputError(
        `there is no input "${printable(name)}"; the inputs are ${graph.inputs.map((i) => i.name).join(", ")}.`,
      );
    }
  }
  for (const input of graph.inputs) {
    const given = inputs[input.name];
    if (!given) throw new InputError(`input "${printable(input.name)}" is missing.`);
    checkTensor(input, given);
    set(input.name, given, { dtype: input.dtype, shape: given.shape });
  }
  const lastReader = new Map<string, number>();
  for (const [i, node] of graph.nodes.entries()) for (const name of node.inputs) lastReader.set(name, i);
  for (const { name } of graph.outputs) lastReader.delete(name);
  for (const [i, node] of graph.nodes.entries()) {
    const context = contextOf(node, types, values);
    const outputs = opOf(node).infer(context);
    const operands = node.inputs.map((name) => (name === "" ? undefined : values.get(name)));
    for (const [k, value] of evaluate(context, operands, outputs).entries()) {
      const name = node.outputs[k];
      if (name) set(name, value, outputs[k]!);
    }
    for (const name of node.inputs) if (lastReader.get(name) === i) values.delete(name);
  }
  const results: Record<string, HostTensor> = Object.create(null);
  for (const { name } of graph.outputs) results[name] = widened(values.get(name)!);
  return results;
}

function masked(weight: HostTensor, mask: HostTensor | undefined): HostTensor {
  if (!mask) return weight;
  const data = Float64Array.from({ length: weight.data.length }, (_, i) =>
    getNumber(mask.data, i) === 0 ? 0 : getNumber(weight.data, i),
  );
  return { dtype: "f64", shape: weight.shape, data };
}
