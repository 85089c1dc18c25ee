import { InputError, printable, UnsupportedError } from "../errors.ts";
import { type Attribute, type Graph, makeGraph, type Node } from "../graph/graph.ts";
import { attributesOf } from "../graph/op.ts";
import { learnedNames } from "../graph/statistics.ts";
import { isFloat } from "../tensor/dtype.ts";
import { getNumber, type HostTensor } from "../tensor/host-tensor.ts";
import { showShape } from "../tensor/shape.ts";

/** A classifier made ready to be trained: its nodes in training form, and what of it changes. */
export interface TrainableNet {
  readonly nodes: readonly Node[];
  /** The value of the logits [N, classes]. */
  readonly logits: string;
  readonly input: { readonly name: string; readonly shape: readonly (number | null)[] };
  readonly learned: readonly string[];
  /** Running statistics of BatchNormalization. */
  readonly statistics: readonly string[];
  /** Does it contain dropout, which needs the number of the step? */
  readonly dropout: boolean;
}

/** Name of the input that counts steps; dropout draws by it. */
export const stepInput = "train/step";

/**
 * Reads a graph with one image input and one output of logits for training: BatchNormalization takes the batch's statistics,
 * Dropout drops, a final Softmax is left to the loss. Throws E_INPUT for other graphs and for weights that are not f32.
 */
export function trainableNet(
  graph: Graph,
  options: { readonly seed: number; readonly freezeNorms?: boolean },
): TrainableNet {
  const [input] = graph.inputs;
  const [output] = graph.outputs;
  if (graph.inputs.length !== 1 || graph.outputs.length !== 1 || !input || !output || input.dtype !== "f32") {
    throw new InputError(
      `"${printable(graph.name)}" has ${graph.inputs.length} inputs and ${graph.outputs.length} outputs; training needs one f32 image input and one output of logits.`,
    );
  }
  const learned = learnedNames(graph);
  if (learned.length === 0) throw new InputError(`"${printable(graph.name)}" has no weights to train.`);
  for (const name of learned) {
    const { dtype } = graph.weights.get(name)!;
    if (dtype !== "f32")
      throw new InputError(`weight "${printable(name)}" is ${dtype}; training needs f32 weights.`);
  }
  const statistics: string[] = [];
  let dropout = false;
  const nodes: Node[] = [];
  for (const [i, node] of graph.nodes.entries()) {
    if (node.op === "BatchNormalization" && !options.freezeNorms) {
      nodes.push(inTraining(node, graph));
      statistics.push(...node.inputs.slice(3, 5));
    } else if (node.op === "Dropout") {
      const dropping = droppingOut(node, graph, options.seed * 65_537 + i);
      dropout ||= dropping.length > 1;
      nodes.push(...dropping);
    } else nodes.push(node);
  }
  const last = nodes.find((n) => n.outputs.includes(output.name));
  const logits = last?.op === "Softmax" ? last.inputs[0]! : output.name;
  return { nodes, logits, input, learned, statistics: [...new Set(statistics)], dropout };
}

function inTraining(node: Node, graph: Graph): Node {
  const a = attributesOf(node);
  for (const name of node.inputs.slice(1, 5)) {
    if (!graph.weights.has(name))
      throw new UnsupportedError(
        `BatchNormalization "${printable(node.name)}" takes "${printable(name)}" from another node, so its statistics cannot be kept.`,
        { op: node.op, node: printable(node.name) },
      );
  }
  const made = (what: string): string => `${node.outputs[0]}/train/${what}`;
  return {
    ...node,
    op: "BatchNormTraining",
    outputs: [
      node.outputs[0]!,
      made("running-mean"),
      made("running-variance"),
      made("mean"),
      made("variance"),
    ],
    attributes: new Map<string, Attribute>([
      ["epsilon", a.float("epsilon", 1e-5)],
      ["momentum", a.float("momentum", 0.9)],
    ]),
  };
}

function droppingOut(node: Node, graph: Graph, seed: number): Node[] {
  const given = graph.weights.get(node.inputs[1] ?? "");
  const ratio = given ? getNumber(given.data, 0) : 0.5;
  const [x] = node.inputs;
  const [y] = node.outputs;
  if (node.outputs.length > 1 && node.outputs[1] !== "")
    throw new UnsupportedError(`Dropout "${printable(node.name)}" gives its mask to other nodes.`, {
      op: node.op,
      node: printable(node.name),
    });
  const plain = { name: node.name, attributes: new Map<string, Attribute>() };
  if (ratio === 0) return [{ ...plain, op: "Identity", inputs: [x!], outputs: [y!] }];
  const mask = `${y}/train/mask`;
  return [
    {
      name: mask,
      op: "RandomMask",
      inputs: [x!, stepInput],
      outputs: [mask],
      attributes: new Map<string, Attribute>([
        ["seed", seed],
        ["ratio", ratio],
      ]),
    },
    { ...plain, op: "Mul", inputs: [x!, mask], outputs: [y!] },
  ];
}

/** The nodes of another net, its values and weights renamed, reading the same images: a teacher beside its student. */
export function beside(
  graph: Graph,
  prefix: string,
  input: string,
  shape: readonly (number | null)[],
): {
  readonly nodes: readonly Node[];
  readonly weights: ReadonlyMap<string, HostTensor>;
  readonly logits: string;
} {
  const [own] = graph.inputs;
  const [output] = graph.outputs;
  if (graph.inputs.length !== 1 || graph.outputs.length !== 1 || !own || !output || !isFloat(own.dtype))
    throw new InputError(
      `the teacher "${printable(graph.name)}" must have one image input and one output of logits.`,
    );
  const fits =
    own.shape.length === shape.length &&
    own.shape.every((d, i) => i === 0 || d === null || shape[i] === null || d === shape[i]);
  if (!fits)
    throw new InputError(
      `the teacher "${printable(graph.name)}" takes ${showShape(own.shape)}, but the model ${showShape(shape)}. Both must see the same images.`,
    );
  const renamed = (name: string): string =>
    name === "" ? "" : name === own.name ? input : `${prefix}${name}`;
  return {
    nodes: graph.nodes.map((node) => ({
      ...node,
      name: renamed(node.name),
      inputs: node.inputs.map(renamed),
      outputs: node.outputs.map(renamed),
    })),
    weights: new Map([...underMasks(graph)].map(([name, t]) => [renamed(name), t])),
    logits: renamed(output.name),
  };
}

/** An f32 weight, zero where its mask (of any dtype) is. */
export const underMask = (weight: HostTensor, mask: HostTensor): HostTensor => ({
  ...weight,
  data: (weight.data as Float32Array).map((w, i) => (getNumber(mask.data, i) === 0 ? 0 : w)),
});

/** The weights with their masks applied, but for those in `dense`. */
export function underMasks(graph: Graph, dense: readonly string[] = []): ReadonlyMap<string, HostTensor> {
  const weights = new Map(graph.weights);
  for (const [name, mask] of graph.masks) {
    const weight = weights.get(name)!;
    if (dense.includes(name) || weight.dtype !== "f32") continue;
    weights.set(name, underMask(weight, mask));
  }
  return weights;
}

/**
 * Masks of 1 and 0 as f32, by weight: what the graph holds, with `zeros` also every prunable weight's own zeros, and one of
 * ones for those in `always`.
 */
export function masksOf(
  graph: Graph,
  learned: readonly string[],
  zeros: boolean,
  always: readonly string[] = [],
): ReadonlyMap<string, HostTensor> {
  const masks = new Map<string, HostTensor>();
  for (const name of learned) {
    const weight = graph.weights.get(name)!;
    const mask = graph.masks.get(name);
    const prunable = weight.shape.length >= 2;
    if (!mask && !(zeros && prunable) && !always.includes(name)) continue;
    const data = new Float32Array(weight.data.length);
    let held = 0;
    for (let i = 0; i < data.length; i++) {
      const kept =
        (!mask || getNumber(mask.data, i) !== 0) && (!zeros || !prunable || getNumber(weight.data, i) !== 0);
      data[i] = kept ? 1 : 0;
      if (!kept) held++;
    }
    if (held > 0 || mask || always.includes(name))
      masks.set(name, { dtype: "f32", shape: weight.shape, data });
  }
  return masks;
}

/** A graph of the same net with other weights and the masks that training held, as bool tensors. */
export function withTrained(
  graph: Graph,
  values: ReadonlyMap<string, HostTensor>,
  masks: ReadonlyMap<string, HostTensor>,
): Graph {
  const weights = new Map([...graph.weights].map(([name, w]) => [name, values.get(name) ?? w]));
  const held = new Map(graph.masks);
  for (const [name, mask] of masks) {
    held.set(name, {
      dtype: "bool",
      shape: mask.shape,
      data: Uint8Array.from(mask.data as Float32Array, (v) => (v === 0 ? 0 : 1)),
    });
  }
  return makeGraph({ ...graph, weights, masks: held });
}
