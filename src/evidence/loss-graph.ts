import { InputError } from "../errors.ts";
import { gradientGraph } from "../graph/gradient.ts";
import { type Graph, type GraphValue, makeGraph, type Node } from "../graph/graph.ts";
import { inferTypes } from "../graph/infer.ts";
import { type HostTensor, scalar, tensor } from "../tensor/host-tensor.ts";
import { showShape } from "../tensor/shape.ts";
import { trainableNet, underMasks } from "../train/net.ts";

/** A graph of the mean cross-entropy over a batch and its gradients, made for one batch size. */
export interface LossGraph {
  readonly graph: Graph;
  readonly input: string;
  readonly targets: string;
  /** Value of the class probabilities [batch, classes]; an output. */
  readonly probabilities: string;
  /** Outputs that hold gradients, by weight; missing where the loss does not depend on a weight. */
  readonly gradients: ReadonlyMap<string, string>;
  /** Running statistics that a batch would update; variables of the session. */
  readonly statistics: readonly string[];
}

export interface LossOptions {
  readonly batch: number;
  readonly classes: number;
  /** Weights to differentiate by. */
  readonly weights: readonly string[];
  readonly norms: "batch" | "running";
  /** Logits are divided by it before the loss; 1 unless said. */
  readonly temperature?: number;
  /** What is meant over the batch: the cross-entropy, unless said, or the sum over classes of |target - probability|. */
  readonly error?: "cross-entropy" | "linear";
}

const targets = "evidence/targets";

/**
 * The loss of a net with one image input and one output of logits, dropout off, masks applied, and its gradients with respect
 * to some weights. Throws E_INPUT for other nets.
 */
export function lossGraph(graph: Graph, options: LossOptions): LossGraph {
  const { batch, classes, weights, temperature = 1 } = options;
  const still = makeGraph({ ...graph, nodes: graph.nodes.map(withoutDropout) });
  const net = trainableNet(still, { seed: 1, freezeNorms: options.norms === "running" });
  const shape = net.input.shape.map((d, i) => (i === 0 ? batch : d));
  checkLogits(still, net.input.name, shape, net.logits, classes);
  const inputs: GraphValue[] = [
    { name: net.input.name, dtype: "f32", shape },
    { name: targets, dtype: "f32", shape: [batch, classes] },
  ];
  const constants = new Map(underMasks(still));
  constants.set("evidence/temperature", scalar(1 / temperature));
  const nodes: Node[] = [...net.nodes];
  const add = (op: string, operands: readonly string[], outputs: readonly string[], axis?: number): void => {
    const attributes = new Map<string, number>(axis === undefined ? [] : [["axis", axis]]);
    nodes.push({ name: outputs[0]!, op, inputs: operands, outputs, attributes });
  };
  let { logits } = net;
  if (temperature !== 1) {
    add("Mul", [logits, "evidence/temperature"], ["evidence/logits"]);
    logits = "evidence/logits";
  }
  add("Softmax", [logits], ["evidence/probabilities"], 1);
  if (options.error === "linear") {
    constants.set("evidence/classes", tensor([1], [1], "i64"));
    add("Sub", ["evidence/probabilities", targets], ["evidence/misses"]);
    add("Abs", ["evidence/misses"], ["evidence/errors"]);
    add("ReduceSum", ["evidence/errors", "evidence/classes"], ["evidence/losses"]);
  } else add("SoftmaxCrossEntropy", [logits, targets], ["evidence/losses", "evidence/slope"]);
  nodes.push({
    name: "evidence/loss",
    op: "ReduceMean",
    inputs: ["evidence/losses"],
    outputs: ["evidence/loss"],
    attributes: new Map([["keepdims", 1]]),
  });
  const loss: GraphValue = { name: "evidence/loss", dtype: "f32", shape: [1] };
  const forward = makeGraph({ name: graph.name, inputs, outputs: [loss], nodes, weights: constants });
  const { graph: backward, of } = gradientGraph(forward, { loss: "evidence/loss", wrt: weights });
  const named = ["evidence/probabilities", ...of.values()];
  const outputs = named.map((name): GraphValue => ({ name, dtype: "f32", shape: [] }));
  return {
    graph: makeGraph({ ...backward, outputs }),
    input: net.input.name,
    targets,
    probabilities: "evidence/probabilities",
    gradients: of,
    statistics: net.statistics,
  };
}

/** E_INPUT unless the logits are [N, classes]. */
function checkLogits(
  graph: Graph,
  input: string,
  shape: readonly (number | null)[],
  logits: string,
  classes: number,
): void {
  const { types } = inferTypes(graph, new Map([[input, shape as number[]]]));
  const found = types.get(logits)!.shape;
  if (found.length === 2 && found[1] === classes) return;
  throw new InputError(
    `the model's output is ${showShape(found)}, but the data have ${classes} classes. Use data with as many classes as the model.`,
  );
}

const withoutDropout = (node: Node): Node =>
  node.op === "Dropout" && node.outputs.length === 1
    ? { ...node, op: "Identity", inputs: node.inputs.slice(0, 1), attributes: new Map() }
    : node;

/** Sums of doubles per weight, handed out as f64 tensors of the weights' shapes. */
export function weightSums(graph: Graph, names: readonly string[]) {
  const sums = new Map(names.map((name) => [name, new Float64Array(graph.weights.get(name)!.data.length)]));
  return {
    of: (name: string): Float64Array => sums.get(name)!,
    tensors: (scale: number): Map<string, HostTensor> =>
      new Map(
        names.map((name) => {
          const data = sums.get(name)!.map((v) => v * scale);
          return [name, { dtype: "f64", shape: graph.weights.get(name)!.shape, data }];
        }),
      ),
  };
}
