import { type Graph, type GraphValue, makeGraph, type Node } from "../graph/graph.ts";
import { isFloat } from "../tensor/dtype.ts";
import { getNumber, type HostTensor, scalar, tensor, zeros } from "../tensor/host-tensor.ts";
import { sizeOf } from "../tensor/shape.ts";

/**
 * The net through which synaptic flow runs (Tanaka et al. 2020): absolute weights, no biases, activations that pass
 * everything, an image of ones. All of it is positive and linear in every weight.
 */
export interface FlowGraph {
  readonly graph: Graph;
  /** The flow R, one element. */
  readonly flow: string;
  /**
   * Values that all flow passes through, in order; reading nodes see them times `scale`. Flow grows or shrinks by a factor
   * per layer, so that f32 overflows in deep nets: scaling where everything passes changes all scores by one factor.
   */
  readonly cuts: readonly Cut[];
}

export interface Cut {
  readonly value: string;
  /** A weight of one element. */
  readonly scale: string;
}

/** Activations: positive flow passes unchanged. */
const passing = new Set([
  ...[
    "Relu",
    "LeakyRelu",
    "PRelu",
    "Elu",
    "Selu",
    "Celu",
    "Sigmoid",
    "HardSigmoid",
    "HardSwish",
    "Tanh",
    "Clip",
  ],
  ...["Gelu", "Mish", "Softplus", "Softsign", "ThresholdedRelu", "Dropout", "LRN", "Identity"],
]);

/** `absolute` are the weights whose magnitudes carry the flow; they keep their names. */
export function flowGraph(graph: Graph, absolute: readonly string[]): FlowGraph {
  const input = graph.inputs[0]!;
  const weights = new Map(graph.weights);
  for (const name of absolute) weights.set(name, magnitudes(weights.get(name)!));
  const nodes: Node[] = [];
  const cuts: Cut[] = [];
  const renamed = new Map<string, string>();
  const readers = lastReaders(graph);
  const open = new Set([input.name]);
  // Has flow gone through weights since the last cut?
  let grown = false;
  const last = graph.nodes.find((n) => n.outputs.includes(graph.outputs[0]!.name));
  for (const [i, node] of graph.nodes.entries()) {
    if (node === last && node.op === "Softmax") {
      renamed.set(node.outputs[0]!, renamed.get(node.inputs[0]!) ?? node.inputs[0]!);
      continue;
    }
    const flowing = positive(node, graph, weights);
    nodes.push({ ...flowing, inputs: flowing.inputs.map((name) => renamed.get(name) ?? name) });
    for (const output of node.outputs) open.add(output);
    for (const name of open) if ((readers.get(name) ?? -1) <= i) open.delete(name);
    grown ||= absolute.some((w) => node.inputs.includes(w));
    const [only] = open;
    if (grown && open.size === 1 && only === node.outputs[0]) {
      grown = false;
      cuts.push({ value: only!, scale: `${only}/scale` });
      weights.set(`${only}/scale`, tensor([1], [1]));
      nodes.push(nodeOf("Mul", [only!, `${only}/scale`], `${only}/scaled`));
      renamed.set(only!, `${only}/scaled`);
    }
  }
  const { name } = graph.outputs[0]!;
  nodes.push(nodeOf("ReduceSum", [renamed.get(name) ?? name], "flow", [["keepdims", 0]]));
  const inputs = [{ ...input, shape: input.shape.map((d, i) => (i === 0 ? 1 : d)) }];
  const outputs: GraphValue[] = [{ name: "flow", dtype: "f32", shape: [] }];
  return { graph: makeGraph({ name: graph.name, inputs, outputs, nodes, weights }), flow: "flow", cuts };
}

export const nodeOf = (
  op: string,
  inputs: readonly string[],
  output: string,
  attributes: readonly (readonly [string, number])[] = [],
): Node => ({ name: output, op, inputs, outputs: [output], attributes: new Map(attributes) });

/** Index of the last node that reads each value. */
function lastReaders(graph: Graph): Map<string, number> {
  const readers = new Map<string, number>();
  for (const [i, node] of graph.nodes.entries()) for (const name of node.inputs) readers.set(name, i);
  return readers;
}

/** The node as positive flow sees it; constants that it needs are put into `weights`. */
function positive(node: Node, graph: Graph, weights: Map<string, HostTensor>): Node {
  if (passing.has(node.op)) return nodeOf("Identity", node.inputs.slice(0, 1), node.outputs[0]!);
  if (node.op === "Conv" || node.op === "Gemm") return { ...node, inputs: node.inputs.slice(0, 2) };
  if (node.op === "BatchNormalization") {
    const [x, scale, bias, , variance] = node.inputs as [string, string, string, string, string];
    const own = (name: string, value: HostTensor): string => {
      weights.set(`${node.name}/flow/${name}`, value);
      return `${node.name}/flow/${name}`;
    };
    const shape = graph.weights.get(bias)!.shape;
    const operands = [
      x,
      own("scale", magnitudes(graph.weights.get(scale)!)),
      own("bias", zeros(shape)),
      own("mean", zeros(shape)),
      variance,
    ];
    return { ...node, inputs: operands, outputs: node.outputs.slice(0, 1) };
  }
  const added = node.op === "Add" || node.op === "Sub";
  if (!added && node.op !== "Mul" && node.op !== "Div") return node;
  const inputs = node.inputs.map((name, i) => {
    const constant = graph.weights.get(name);
    if (!constant || !isFloat(constant.dtype)) return name;
    const other = `${node.name}/flow/${i}`;
    weights.set(other, added ? zeros(constant.shape) : magnitudes(constant));
    return other;
  });
  return { ...node, op: node.op === "Sub" ? "Add" : node.op, inputs };
}

const magnitudes = (t: HostTensor): HostTensor => ({
  dtype: "f32",
  shape: t.shape,
  data: Float32Array.from({ length: sizeOf(t.shape) }, (_, i) => Math.abs(getNumber(t.data, i))),
});

/** The same net where every cut is divided by its own mean, which is an output: what the scales should be. */
export function meansOf({ graph, cuts }: FlowGraph): Graph {
  const weights = new Map(graph.weights);
  weights.set("flow/least", scalar(1e-30));
  const nodes = graph.nodes.flatMap((node): Node[] => {
    const cut = cuts.find((c) => node.op === "Mul" && node.inputs[1] === c.scale);
    if (!cut) return [node];
    const mean = `${cut.value}/mean`;
    return [
      nodeOf("ReduceMean", [cut.value], mean, [["keepdims", 0]]),
      nodeOf("Max", [mean, "flow/least"], `${mean}/floored`),
      nodeOf("Div", [cut.value, `${mean}/floored`], node.outputs[0]!),
    ];
  });
  const outputs = cuts.map((c): GraphValue => ({ name: `${c.value}/mean/floored`, dtype: "f32", shape: [] }));
  for (const { scale } of cuts) weights.delete(scale);
  return makeGraph({ ...graph, nodes, weights, outputs });
}
