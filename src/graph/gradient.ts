import { GraphError, printable, UnsupportedError } from "../errors.ts";
import { isFloat } from "../tensor/dtype.ts";
import { cast, type HostTensor, scalar, tensor } from "../tensor/host-tensor.ts";
import { type Shape, showShape, sizeOf } from "../tensor/shape.ts";
import { contextOf, opOf } from "./evaluate.ts";
import type { GradientContext } from "./gradient-rule.ts";
import { type Attribute, type Graph, makeGraph, type Node } from "./graph.ts";
import { type Inference, inferTypes } from "./infer.ts";

export interface GradientOptions {
  /** The value to differentiate: one element. */
  readonly loss: string;
  /** Values to differentiate with respect to: weights, graph inputs, or values in between. */
  readonly wrt: readonly string[];
  /** Shapes of inputs whose dimensions the graph leaves open: rules need every size. */
  readonly inputShapes?: Readonly<Record<string, readonly number[]>>;
}

export interface Gradients {
  /** The given graph with the nodes of the backward pass behind its own; inputs and outputs are unchanged. */
  readonly graph: Graph;
  /** The value that holds the gradient of each of `wrt`, of the same shape; missing where the loss does not depend on it. */
  readonly of: ReadonlyMap<string, string>;
}

/**
 * Reverse-mode differentiation (Griewank and Walther, "Evaluating Derivatives", chapter 3) from graph to graph: walks the
 * nodes backwards and asks each op's rule for the nodes of its part. Values that feed several nodes add up what comes back.
 * Throws E_UNSUPPORTED where the loss depends on `wrt` through an op that has no rule, E_GRAPH for names that are not there.
 */
export function gradientGraph(graph: Graph, { loss, wrt, inputShapes = {} }: GradientOptions): Gradients {
  const inference = inferTypes(graph, new Map(Object.entries(inputShapes)), new Map(), {
    variables: new Set(wrt),
  });
  for (const name of [loss, ...wrt]) {
    const type = inference.types.get(name);
    if (!type) throw new GraphError("E_GRAPH", `"${printable(name)}" is no value of the graph.`);
    if (!isFloat(type.dtype))
      throw new GraphError(
        "E_GRAPH",
        `"${printable(name)}" is ${type.dtype}; only floats can be differentiated.`,
      );
  }
  const lossType = inference.types.get(loss)!;
  if (sizeOf(lossType.shape) !== 1) {
    throw new GraphError(
      "E_SHAPE",
      `the loss "${printable(loss)}" has shape ${showShape(lossType.shape)}; one element is needed. Reduce it first.`,
    );
  }
  const tape = openTape(graph, inference);
  const active = dependents(graph, wrt);
  tape.add(
    loss,
    tape.constant(
      cast(tensor(new Float32Array(sizeOf(lossType.shape)).fill(1), lossType.shape), lossType.dtype),
    ),
  );
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i]!;
    if (!node.inputs.some((name) => active.has(name))) continue;
    if (!node.outputs.some((name) => tape.has(name))) continue;
    backward(node, tape, active, inference);
  }
  const of = new Map<string, string>();
  for (const name of wrt) if (tape.has(name)) of.set(name, tape.gradient(name)!);
  return { graph: tape.close(), of };
}

/** Values that change when one of `wrt` does, themselves included. */
function dependents(graph: Graph, wrt: readonly string[]): Set<string> {
  const active = new Set(wrt);
  for (const node of graph.nodes) {
    if (node.inputs.some((name) => active.has(name)))
      for (const name of node.outputs) if (name !== "") active.add(name);
  }
  return active;
}

interface Tape {
  has(value: string): boolean;
  /** The gradient of a value: the sum of all that was added. */
  gradient(value: string): string | undefined;
  add(value: string, gradient: string): void;
  constant(value: HostTensor | readonly number[]): string;
  emit(
    owner: string,
    op: string,
    inputs: readonly string[],
    outputs: number,
    attributes: Readonly<Record<string, Attribute>>,
  ): readonly string[];
  close(): Graph;
}

function openTape(graph: Graph, { types }: Inference): Tape {
  const parts = new Map<string, string[]>();
  const nodes = [...graph.nodes];
  const weights = new Map(graph.weights);
  const used = new Set([...types.keys(), ...graph.nodes.map((n) => n.name)]);
  const shared = new Map<string, string>();
  let count = 0;
  const fresh = (what: string): string => {
    for (;;) {
      const name = `${what}#${count++}`;
      if (!used.has(name)) return name;
    }
  };
  const tape: Tape = {
    has: (value) => parts.has(value),
    add(value, gradient) {
      const list = parts.get(value);
      if (list) list.push(gradient);
      else parts.set(value, [gradient]);
    },
    gradient(value) {
      const list = parts.get(value);
      if (!list) return undefined;
      while (list.length > 1) {
        const [a, b] = list.splice(0, 2) as [string, string];
        list.unshift(tape.emit(value, "Add", [a, b], 1, {})[0]!);
      }
      return list[0];
    },
    constant(value) {
      const list = Array.isArray(value)
        ? tensor(value as readonly number[], [value.length], "i64")
        : (value as HostTensor);
      const key =
        list.data.length <= 16 ? `${list.dtype} ${showShape(list.shape)} ${list.data.join(" ")}` : "";
      const known = shared.get(key);
      if (key !== "" && known !== undefined) return known;
      const name = fresh("gradient/constant");
      weights.set(name, list);
      if (key !== "") shared.set(key, name);
      return name;
    },
    emit(owner, op, inputs, outputs, attributes) {
      const name = fresh(`${owner}/gradient/${op}`);
      const names = outputs === 1 ? [name] : Array.from({ length: outputs }, (_, i) => `${name}:${i}`);
      nodes.push({ name, op, inputs, outputs: names, attributes: new Map(Object.entries(attributes)) });
      return names;
    },
    close: () => makeGraph({ ...graph, nodes, weights }),
  };
  return tape;
}

function backward(node: Node, tape: Tape, active: ReadonlySet<string>, inference: Inference): void {
  const fail = (why: string): never => {
    throw new UnsupportedError(
      `${printable(node.op)} "${printable(node.name)}" cannot be trained through: ${why}.`,
      { op: printable(node.op), node: printable(node.name) },
    );
  };
  const wanted = (name: string): boolean => active.has(name) && isFloat(inference.types.get(name)!.dtype);
  if (!node.inputs.some(wanted)) return;
  const rule = opOf(node).gradient ?? fail("the op has no gradient");
  const context = contextOf(node, inference.types, inference.values);
  const outputs = node.outputs.map((name) => inference.types.get(name)!);
  const emitMany: GradientContext["emitMany"] = (op, inputs, count, attributes = {}) =>
    tape.emit(node.name, op, inputs, count, attributes);
  const g: GradientContext = {
    ...context,
    outputs,
    in: (i) => node.inputs[i] ?? "",
    out: (i) => node.outputs[i] ?? "",
    incoming: (i) => tape.gradient(node.outputs[i] ?? ""),
    get dy() {
      return tape.gradient(node.outputs[0]!) ?? fail("nothing depends on its first output");
    },
    wants: (i) => wanted(node.inputs[i] ?? ""),
    emit: (op, inputs, attributes = {}) => emitMany(op, inputs, 1, attributes)[0]!,
    emitMany,
    constant: tape.constant,
    scalar: (value) => tape.constant(scalar(value, isFloat(outputs[0]!.dtype) ? outputs[0]!.dtype : "f32")),
    sumTo: (name, from, to) => sumTo(g, name, from, to),
    refuse: fail,
  };
  for (const [i, gradient] of rule(g).entries()) {
    if (gradient !== undefined && g.wants(i)) tape.add(node.inputs[i]!, gradient);
  }
}

/** Broadcasting repeats a value; its gradient is the sum over the repetitions. */
function sumTo(g: GradientContext, name: string, from: Shape, to: Shape): string {
  const lead = from.length - to.length;
  const axes = from.flatMap((size, i) => (i < lead || (to[i - lead] === 1 && size !== 1) ? [i] : []));
  if (axes.length === 0) return name;
  const summed = g.emit("ReduceSum", [name, g.constant(axes)], { keepdims: lead === 0 ? 1 : 0 });
  if (lead === 0) return summed;
  return g.emit("Reshape", [summed, g.constant(to)], { allowzero: 1 });
}
