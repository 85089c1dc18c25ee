import { InputError, printable } from "../errors.ts";
import { gradientGraph } from "../graph/gradient.ts";
import { type Attribute, type Graph, type GraphValue, makeGraph, type Node } from "../graph/graph.ts";
import { inferTypes } from "../graph/infer.ts";
import { hyperLength } from "../graph/ops/update.ts";
import { type HostTensor, scalar, tensor, zeros } from "../tensor/host-tensor.ts";
import { showShape } from "../tensor/shape.ts";
import { beside, masksOf, stepInput, type TrainableNet, trainableNet, underMasks } from "./net.ts";
import { momentsOf, type Optimizer } from "./optimizer.ts";

export type MaskMode = "hold" | "soft" | "gate";

/**
 * What can be summed up per element on the way: the loss's gradient with respect to the weight as the net uses it (also where the
 * mask is 0), that times the weight ("movement": Sanh et al. 2020), or that times the step that the weight then takes ("work":
 * Karnin 1990).
 */
export type Tracked = "gradient" | "movement" | "work";

export interface StepOptions {
  readonly batch: number;
  readonly optimizer: Optimizer;
  readonly seed: number;
  /**
   * What the graph's masks do: "hold" keeps weights and moments of masked weights at zero; "soft" multiplies the weights by the
   * mask on the way forward and lets the gradient through to the dense weights underneath, so that a mask may be decided anew;
   * "gate" does the same but stops the gradient where the mask is 0, as the derivative of the product says.
   */
  readonly masks: MaskMode;
  /** Weights that get a mask of ones where the graph has none, so that it can be changed. */
  readonly masked?: readonly string[];
  /** Sums over steps that are kept for every weight with a mask, see `Tracked`. */
  readonly track?: readonly Tracked[];
  /** Weights with a factor of their own for every element (0 at first) that adds factor · w to the gradient. */
  readonly penalties?: readonly string[];
  /** Also hold every zero of a weight of two or more axes. */
  readonly maskZeros?: boolean;
  /** Normalisation keeps its running statistics instead of the batch's. */
  readonly freezeNorms?: boolean;
  /** Learned weights that stay as they are. */
  readonly frozen?: readonly string[];
  readonly teacher?: Teacher;
}

/** Distillation (Hinton et al. 2015): alpha · T² · CE(teacher, student at temperature T) + (1 - alpha) · CE(labels). */
export interface Teacher {
  readonly graph: Graph;
  readonly temperature: number;
  readonly alpha: number;
}

/** One training step as a graph, and the names by which the trainer knows its state. */
export interface StepGraph {
  readonly graph: Graph;
  /** Everything that lives on the device from step to step: learned weights, moments, statistics, masks, metrics. */
  readonly variables: readonly string[];
  /** The variables that make up the trained net. */
  readonly trained: readonly string[];
  readonly masks: ReadonlyMap<string, HostTensor>;
  readonly input: string;
  readonly dropout: boolean;
  readonly classes: number;
}

export const targetsInput = "train/targets";
export const hyperInput = "train/hyper";
/** [sum of losses, right answers] since it was last set to zero. */
export const metrics = "train/metrics";
export const maskName = (weight: string): string => `${weight}/mask`;
export const trackedName = (weight: string, what: Tracked): string => `${weight}/sum-of-${what}`;
export const penaltyName = (weight: string): string => `${weight}/penalty`;
/** Variables that hold the factors of penalties on whole filters and on scales: a training may switch them off on its way. */
export const factorNames = { groupLasso: "train/group-lasso", l1Scales: "train/l1-scales" } as const;
export type PenaltyFactor = keyof typeof factorNames;
export const momentName = (weight: string, moment: string): string => `${weight}/${moment}`;

/** Nodes and constants put together by name. */
interface Draft {
  readonly nodes: Node[];
  readonly weights: Map<string, HostTensor>;
  node(
    op: string,
    inputs: readonly string[],
    attributes?: Record<string, Attribute>,
    outputs?: number,
  ): readonly string[];
  constant(value: HostTensor): string;
}

function draft(nodes: readonly Node[], weights: ReadonlyMap<string, HostTensor>, prefix: string): Draft {
  let count = 0;
  const d: Draft = {
    nodes: [...nodes],
    weights: new Map(weights),
    node(op, inputs, attributes = {}, outputs = 1) {
      const name = `${prefix}/${op}#${count++}`;
      const names = outputs === 1 ? [name] : Array.from({ length: outputs }, (_, i) => `${name}:${i}`);
      d.nodes.push({ name, op, inputs, outputs: names, attributes: new Map(Object.entries(attributes)) });
      return names;
    },
    constant(value) {
      const name = `${prefix}/constant#${count++}`;
      d.weights.set(name, value);
      return name;
    },
  };
  return d;
}

/**
 * The graph of one step: forward, loss, gradients, updates, metrics. Inputs: the image, targets [N, classes], the vector of
 * hyperparameters, and with dropout the step's number; its output is the mean loss [1].
 */
export function buildStepGraph(graph: Graph, options: StepOptions): StepGraph {
  const net = trainableNet(graph, options);
  const { batch, optimizer, teacher } = options;
  const unknown = options.frozen?.find((name) => !net.learned.includes(name));
  if (unknown !== undefined)
    throw new InputError(
      `frozen names "${printable(unknown)}", which is no learned weight of "${printable(graph.name)}".`,
    );
  const learned = net.learned.filter((name) => !options.frozen?.includes(name));
  if (learned.length === 0) throw new InputError("every weight is frozen; there is nothing to train.");
  const masks = masksOf(graph, learned, options.maskZeros ?? false, options.masked);
  const classes = classesOf(graph, net, batch);
  const image = net.input.shape.map((d, i) => (i === 0 ? batch : d));
  const inputs: GraphValue[] = [
    { name: net.input.name, dtype: "f32", shape: image },
    { name: targetsInput, dtype: "f32", shape: [batch, classes] },
    { name: hyperInput, dtype: "f32", shape: [hyperLength] },
  ];
  if (net.dropout) inputs.push({ name: stepInput, dtype: "i32", shape: [1] });
  const soft = options.masks !== "hold";
  const dense = soft ? learned : [];
  const d = draft(soft ? masked(net.nodes, masks) : net.nodes, underMasks(graph, dense), "train");
  for (const [name, mask] of masks) d.weights.set(maskName(name), mask);
  const loss = addLoss(d, net, teacher);
  addMetrics(d, net, loss, batch);
  const wrt = learned.map((name) => (soft && masks.has(name) ? effective(name) : name));
  const outputs = [{ name: loss, dtype: "f32" as const, shape: [] }];
  const forward = makeGraph({ name: graph.name, inputs, outputs, nodes: d.nodes, weights: d.weights });
  const gradients = gradientGraph(forward, { loss, wrt });
  const backward = draft(gradients.graph.nodes, gradients.graph.weights, "update");
  const variables = [...learned, ...net.statistics, ...[...masks.keys()].map(maskName), metrics];
  const found = new Map(
    learned.flatMap((name, i) => {
      const g = gradients.of.get(wrt[i]!);
      return g === undefined ? [] : [[name, g] as const];
    }),
  );
  const tracking = track(backward, found, masks, options.track ?? []);
  variables.push(...tracking.sums);
  const gated = options.masks === "gate" ? throughMasks(backward, found, masks) : found;
  const scale = clipping(backward, [...gated.values()], optimizer);
  const scales = optimizer.l1Scales > 0 ? normScales(graph) : new Set<string>();
  for (const factor of ["groupLasso", "l1Scales"] as const) {
    if (optimizer[factor] === 0) continue;
    backward.weights.set(factorNames[factor], tensor([optimizer[factor]], [1]));
    variables.push(factorNames[factor]);
  }
  for (const [name, gradient] of gated) {
    const weight = graph.weights.get(name)!;
    const moments = momentsOf(optimizer).map((moment) => momentName(name, moment));
    for (const moment of moments) backward.weights.set(moment, zeros(weight.shape));
    variables.push(...moments);
    const penalise = weight.shape.length >= 2;
    const lasso = penalise && optimizer.groupLasso > 0;
    const growing = options.penalties?.includes(name) ?? false;
    // Penalties are not clipped, so that one which is a gradient of its own joins the clipped gradient.
    const slimming = scales.has(name);
    const separate = lasso || growing || slimming;
    let g = separate && scale ? backward.node("Mul", [gradient, scale])[0]! : gradient;
    if (lasso) g = withGroupLasso(backward, graph, name, g);
    if (slimming) {
      const [sign] = backward.node("Sign", [name]);
      const [pull] = backward.node("Mul", [sign!, factorNames.l1Scales]);
      [g] = backward.node("Add", [g, pull!]) as [string];
    }
    if (growing) {
      backward.weights.set(penaltyName(name), zeros(weight.shape));
      variables.push(penaltyName(name));
      const [pull] = backward.node("Mul", [name, penaltyName(name)]);
      [g] = backward.node("Add", [g, pull!]) as [string];
    }
    const mask = masks.has(name) && !soft ? maskName(name) : "";
    const operands = [name, g, ...moments, hyperInput, mask, separate ? "" : (scale ?? "")];
    while (operands.at(-1) === "") operands.pop();
    const sgd = optimizer.kind === "sgd";
    const own: Record<string, Attribute> = sgd
      ? { nesterov: optimizer.nesterov ? 1 : 0 }
      : { decoupled: optimizer.kind === "adamw" ? 1 : 0 };
    const [next] = backward.node(
      sgd ? "SgdUpdate" : "AdamUpdate",
      operands,
      { ...own, penalise: penalise ? 1 : 0 },
      sgd ? 2 : 3,
    );
    tracking.moved(name, next!);
  }
  return {
    graph: makeGraph({ ...gradients.graph, nodes: backward.nodes, weights: backward.weights }),
    variables,
    trained: [...learned, ...net.statistics],
    masks,
    input: net.input.name,
    dropout: net.dropout,
    classes,
  };
}

/** Names of the scales of every BatchNormalization. */
const normScales = (graph: Graph): Set<string> =>
  new Set(graph.nodes.flatMap((node) => (node.op === "BatchNormalization" ? node.inputs.slice(1, 2) : [])));

interface Tracking {
  /** The variables that hold the sums. */
  readonly sums: readonly string[];
  /** Adds what can be said only once the weight has its new value. */
  moved(weight: string, next: string): void;
}

/** Sums over steps of what `what` says, for every weight with a mask. */
function track(
  d: Draft,
  gradients: ReadonlyMap<string, string>,
  masks: ReadonlyMap<string, HostTensor>,
  what: readonly Tracked[],
): Tracking {
  const sums: string[] = [];
  const products = new Map<string, string>();
  for (const kind of what) {
    for (const [name, mask] of masks) {
      const gradient = gradients.get(name);
      const sum = trackedName(name, kind);
      d.weights.set(sum, zeros(mask.shape));
      sums.push(sum);
      if (gradient === undefined) continue;
      if (kind === "gradient") d.node("Accumulate", [sum, gradient]);
      else {
        const product = products.get(name) ?? d.node("Mul", [gradient, name])[0]!;
        products.set(name, product);
        if (kind === "movement") d.node("Accumulate", [sum, product]);
      }
    }
  }
  return {
    sums,
    moved(weight, next) {
      if (!what.includes("work") || !products.has(weight)) return;
      const [after] = d.node("Mul", [gradients.get(weight)!, next]);
      const [step] = d.node("Sub", [after!, products.get(weight)!]);
      d.node("Accumulate", [trackedName(weight, "work"), step!]);
    },
  };
}

/** Gradients that pass only where the masks are 1. */
const throughMasks = (
  d: Draft,
  gradients: ReadonlyMap<string, string>,
  masks: ReadonlyMap<string, HostTensor>,
): Map<string, string> =>
  new Map(
    [...gradients].map(([name, g]) => [name, masks.has(name) ? d.node("Mul", [g, maskName(name)])[0]! : g]),
  );

/** Number of classes; the logits must be [batch, classes]. */
function classesOf(graph: Graph, net: TrainableNet, batch: number): number {
  const shape = net.input.shape.map((d, i) => (i === 0 ? batch : d));
  if (shape.some((d) => d === null))
    throw new InputError(
      `input "${printable(net.input.name)}" has open dimensions ${showShape(net.input.shape)}.`,
    );
  const { types } = inferTypes(graph, new Map([[net.input.name, shape as number[]]]));
  const logits = types.get(net.logits)!.shape;
  if (logits.length !== 2 || logits[0] !== batch)
    throw new InputError(
      `the output of "${printable(graph.name)}" is ${showShape(logits)}; training needs logits [N, classes].`,
    );
  return logits[1]!;
}

const effective = (weight: string): string => `${weight}/effective`;

/** Nodes that read masked weights read weight · mask instead. */
function masked(nodes: readonly Node[], masks: ReadonlyMap<string, HostTensor>): Node[] {
  const products = [...masks.keys()].map((name) => ({
    name: effective(name),
    op: "Mul",
    inputs: [name, maskName(name)],
    outputs: [effective(name)],
    attributes: new Map<string, Attribute>(),
  }));
  const renamed = nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map((name) => (masks.has(name) ? effective(name) : name)),
  }));
  return [...products, ...renamed];
}

/** Mean over the batch of the cross-entropy, with a teacher mixed with that against its softened answer. Returns a [1] value. */
function addLoss(d: Draft, net: TrainableNet, teacher: Teacher | undefined): string {
  const mean = (logits: string, targets: string): string => {
    const [each] = d.node("SoftmaxCrossEntropy", [logits, targets], {}, 2);
    return d.node("ReduceMean", [each!], { keepdims: 1 })[0]!;
  };
  const hard = mean(net.logits, targetsInput);
  if (!teacher) return hard;
  const { temperature, alpha } = teacher;
  if (!(temperature > 0) || !(alpha >= 0 && alpha <= 1))
    throw new InputError(
      `temperature is ${temperature} and alpha ${alpha}; the first must be above 0, the second from 0 to 1.`,
    );
  const other = beside(teacher.graph, "teacher/", net.input.name, net.input.shape);
  d.nodes.push(...other.nodes);
  for (const [name, t] of other.weights) d.weights.set(name, t);
  const softened = (logits: string): string =>
    d.node("Mul", [logits, d.constant(scalar(1 / temperature))])[0]!;
  const [answer] = d.node("Softmax", [softened(other.logits)], { axis: 1 });
  const soft = mean(softened(net.logits), answer!);
  const weighted = (value: string, by: number): string => d.node("Mul", [value, d.constant(scalar(by))])[0]!;
  return d.node("Add", [weighted(soft, alpha * temperature ** 2), weighted(hard, 1 - alpha)])[0]!;
}

/** metrics += [loss · images, right answers]. */
function addMetrics(d: Draft, net: TrainableNet, loss: string, batch: number): void {
  d.weights.set(metrics, zeros([2]));
  const best = (value: string): string => d.node("ArgMax", [value], { axis: 1, keepdims: 0 })[0]!;
  const [same] = d.node("Equal", [best(net.logits), best(targetsInput)]);
  const [ones] = d.node("Cast", [same!], { to: 1 });
  const [right] = d.node("ReduceSum", [ones!], { keepdims: 1 });
  const [sum] = d.node("Mul", [loss, d.constant(scalar(batch))]);
  const [both] = d.node("Concat", [sum!, right!], { axis: 0 });
  d.node("Accumulate", [metrics, both!]);
}

/** min(1, limit / norm of all gradients together), or nothing where there is no limit. */
function clipping(d: Draft, gradients: readonly string[], { clipNorm }: Optimizer): string | undefined {
  if (clipNorm === undefined) return undefined;
  const squares = gradients.map((g) => d.node("ReduceSumSquare", [g], { keepdims: 0 })[0]!);
  const [total] = squares.length > 1 ? d.node("Sum", squares) : squares;
  const [norm] = d.node("Sqrt", [total!]);
  const [floored] = d.node("Max", [norm!, d.constant(scalar(1e-12))]);
  const [ratio] = d.node("Div", [d.constant(scalar(clipNorm)), floored!]);
  const [factor] = d.node("Min", [ratio!, d.constant(scalar(1))]);
  return d.node("Reshape", [factor!, d.constant(tensor([1], [1], "i64"))])[0]!;
}

/** gradient + lambda · w / norm of its filter: that of lambda · the sum of the filters' norms. */
function withGroupLasso(d: Draft, graph: Graph, name: string, gradient: string): string {
  const outAxis = outputAxis(graph, name);
  const rank = graph.weights.get(name)!.shape.length;
  const others = Array.from({ length: rank }, (_, i) => i).filter((i) => i !== outAxis);
  const axes = d.constant(tensor(others, [others.length], "i64"));
  const [norm] = d.node("ReduceL2", [name, axes], { keepdims: 1 });
  const [floored] = d.node("Max", [norm!, d.constant(scalar(1e-12))]);
  const [direction] = d.node("Div", [name, floored!]);
  const [slope] = d.node("Mul", [direction!, factorNames.groupLasso]);
  return d.node("Add", [gradient, slope!])[0]!;
}

/** The axis of a weight's filters: Gemm without transB and MatMul keep them last. */
function outputAxis(graph: Graph, weight: string): number {
  const reader = graph.nodes.find((node) => node.inputs[1] === weight);
  if (reader?.op === "MatMul") return graph.weights.get(weight)!.shape.length - 1;
  if (reader?.op === "Gemm") return reader.attributes.get("transB") === 1 ? 0 : 1;
  return reader?.op === "ConvTranspose" ? 1 : 0;
}
