import { GraphError, printable, SecateurError } from "../errors.ts";
import { byteWidth } from "../tensor/dtype.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import { checkShape, type Shape, showShape, sizeOf } from "../tensor/shape.ts";
import { contextOf, evaluateAs, opOf } from "./evaluate.ts";
import type { Graph, Node } from "./graph.ts";
import type { TensorType } from "./op.ts";

/** What is known of a graph's values for given input shapes. */
export interface Inference {
  readonly types: ReadonlyMap<string, TensorType>;
  /** Weights, given values, and every small value that depends on nothing else. */
  readonly values: ReadonlyMap<string, HostTensor>;
}

export interface InferOptions {
  /** Bytes that all values together may take; unlimited unless said. Checked before anything is allocated. */
  readonly budget?: number;
  /** Weights that may change later: nothing is worked out from them. */
  readonly variables?: ReadonlySet<string>;
}

/** A constant is worked out when it is no larger than this, or no larger than what it is made from. */
export const foldedBytes = 1 << 16;

/**
 * Types of every value, in order, with constants worked out on the way where shapes may need them. Throws what the ops'
 * rules throw (E_SHAPE, E_ATTRIBUTE, E_GRAPH, E_INDEX), and E_MEMORY when the values together exceed the budget.
 */
export function inferTypes(
  graph: Graph,
  inputShapes: ReadonlyMap<string, Shape>,
  inputValues: ReadonlyMap<string, HostTensor> = new Map(),
  options: InferOptions = {},
): Inference {
  const types = new Map<string, TensorType>();
  const values = new Map<string, HostTensor>([...graph.weights, ...inputValues]);
  let bytes = 0;
  const add = (name: string, type: TensorType, node: Node | undefined): void => {
    types.set(name, type);
    bytes += sizeOf(type.shape) * byteWidth(type.dtype);
    if (options.budget !== undefined && bytes > options.budget) {
      const where = node
        ? ` (at ${printable(node.op)} "${printable(node.name)}", ${showShape(type.shape)})`
        : "";
      throw new SecateurError(
        "E_MEMORY",
        `the graph's values take more than ${options.budget} bytes${where}. Use smaller inputs, or raise the budget.`,
      );
    }
  };
  for (const [name, weight] of graph.weights)
    add(name, { dtype: weight.dtype, shape: weight.shape }, undefined);
  for (const input of graph.inputs) {
    const shape = inputShapes.get(input.name) ?? inputValues.get(input.name)?.shape ?? input.shape;
    if (shape.some((d) => d === null)) {
      throw new GraphError(
        "E_SHAPE",
        `input "${printable(input.name)}" has open dimensions ${showShape(input.shape)}; their sizes are needed here.`,
      );
    }
    checkShape(shape as Shape, `input "${printable(input.name)}"`);
    add(input.name, { dtype: input.dtype, shape: shape as Shape }, undefined);
  }
  for (const node of graph.nodes) {
    const context = contextOf(node, types, values);
    const outputs = opOf(node).infer(context);
    for (const [i, name] of node.outputs.entries()) if (name !== "") add(name, outputs[i]!, node);
    if (!isConstant(node, values)) continue;
    if (node.inputs.some((name) => options.variables?.has(name)) && !readsTypeOnly(node)) continue;
    const inputs = node.inputs.map((name) => (name === "" ? undefined : values.get(name)));
    if (tooLarge(inputs, outputs)) continue;
    for (const [i, value] of evaluateAs(context, inputs, outputs).entries()) {
      const name = node.outputs[i];
      if (name) values.set(name, value);
    }
  }
  return { types, values };
}

/** Does a node depend on nothing but constants? Shape and Size need only their input's type. */
export const isConstant = (node: Node, values: ReadonlyMap<string, HostTensor>): boolean =>
  readsTypeOnly(node) || node.inputs.every((name) => name === "" || values.has(name));

const readsTypeOnly = (node: Node): boolean => node.op === "Shape" || node.op === "Size";

function tooLarge(inputs: readonly (HostTensor | undefined)[], outputs: readonly TensorType[]): boolean {
  const made = outputs.reduce((sum, t) => sum + sizeOf(t.shape) * byteWidth(t.dtype), 0);
  // An operand read twice counts once: a chain of doublings must not fold for ever.
  const given = [...new Set(inputs)].reduce(
    (sum, t) => sum + (t ? t.data.length * byteWidth(t.dtype) : 0),
    0,
  );
  return made > Math.max(foldedBytes, given);
}

/**
 * Graph inputs whose *values* decide shapes, or are read by the host for another reason: a session has to know them before
 * it can compile. Found by following host operands back through the graph; shapes of values are known without their values.
 */
export function requiredValues(graph: Graph): string[] {
  const needed = new Set<string>();
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i]!;
    for (const k of opOf(node).hostInputs ?? []) {
      const name = node.inputs[k];
      if (name) needed.add(name);
    }
    if (readsTypeOnly(node) || !node.outputs.some((name) => needed.has(name))) continue;
    for (const name of node.inputs) if (name !== "") needed.add(name);
  }
  return graph.inputs.map((input) => input.name).filter((name) => needed.has(name));
}
