import type { Graph, Node } from "../graph/graph.ts";
import { attributesOf } from "../graph/op.ts";
import { isFloat } from "../tensor/dtype.ts";
import { getNumber, type HostTensor } from "../tensor/host-tensor.ts";

/** y = scale·x + shift per channel: what BatchNormalization is at inference (Ioffe and Szegedy 2015, algorithm 2). */
export interface Affine {
  readonly scale: Float64Array;
  readonly shift: Float64Array;
}

/** With the batch's own statistics it is no affine map of fixed numbers. */
export const trains = (node: Node): boolean => attributesOf(node).int("training_mode", 0) !== 0;

/** `parameters`: scale, bias, mean, variance, each [C]. */
export function affineOf(node: Node, parameters: readonly HostTensor[]): Affine {
  const epsilon = attributesOf(node).float("epsilon", 1e-5);
  const [gamma, beta, mean, variance] = parameters.map((t) =>
    Float64Array.from(t.data as Iterable<number>, Number),
  ) as [Float64Array, Float64Array, Float64Array, Float64Array];
  const scale = gamma.map((g, c) => g / Math.sqrt(variance[c]! + epsilon));
  return { scale, shift: beta.map((b, c) => b - mean[c]! * scale[c]!) };
}

/**
 * Folds BatchNormalization into the convolution before it where the convolution has no other reader and everything is
 * constant: weights times scale, bias times scale plus shift, in double precision, stored as f32.
 */
export function foldBatchNormalization(graph: Graph, variables: ReadonlySet<string>): Graph {
  const readers = new Map<string, number>();
  const producer = new Map<string, Node>();
  for (const node of graph.nodes) {
    for (const name of node.inputs) readers.set(name, (readers.get(name) ?? 0) + 1);
    for (const name of node.outputs) producer.set(name, node);
  }
  for (const output of graph.outputs) readers.set(output.name, (readers.get(output.name) ?? 0) + 1);
  const weights = new Map(graph.weights);
  const replaced = new Map<Node, Node>();
  const dropped = new Set<Node>();
  const constant = (name: string | undefined): HostTensor | undefined =>
    name !== undefined && !variables.has(name) ? graph.weights.get(name) : undefined;
  for (const norm of graph.nodes) {
    if (norm.op !== "BatchNormalization" || trains(norm)) continue;
    const conv = producer.get(norm.inputs[0]!);
    if (conv?.op !== "Conv" || readers.get(norm.inputs[0]!) !== 1) continue;
    const weight = constant(conv.inputs[1]);
    const bias = constant(conv.inputs[2]);
    const parameters = norm.inputs.slice(1, 5).map(constant);
    if (!weight || !isFloat(weight.dtype) || (conv.inputs[2] && !bias) || parameters.some((p) => !p))
      continue;
    const affine = affineOf(norm, parameters as HostTensor[]);
    const names = { weight: `${norm.name}/weight`, bias: `${norm.name}/bias` };
    if (weights.has(names.weight) || weights.has(names.bias)) continue;
    weights.set(names.weight, scaledRows(weight, affine.scale));
    weights.set(names.bias, shifted(bias, affine));
    replaced.set(conv, {
      ...conv,
      inputs: [conv.inputs[0]!, names.weight, names.bias],
      outputs: [norm.outputs[0]!],
    });
    dropped.add(norm);
  }
  const nodes = graph.nodes.filter((n) => !dropped.has(n)).map((n) => replaced.get(n) ?? n);
  return { ...graph, nodes, weights };
}

function scaledRows(weight: HostTensor, scale: Float64Array): HostTensor {
  const rows = scale.length;
  const perRow = rows === 0 ? 0 : weight.data.length / rows;
  const data = new Float32Array(weight.data.length);
  for (let m = 0; m < rows; m++) {
    for (let i = m * perRow; i < (m + 1) * perRow; i++) data[i] = getNumber(weight.data, i) * scale[m]!;
  }
  return { dtype: "f32", shape: weight.shape, data };
}

function shifted(bias: HostTensor | undefined, { scale, shift }: Affine): HostTensor {
  const data = Float32Array.from(shift, (s, m) => s + (bias ? getNumber(bias.data, m) : 0) * scale[m]!);
  return { dtype: "f32", shape: [data.length], data };
}
