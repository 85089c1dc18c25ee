import { contextOf, opOf } from "../graph/evaluate.ts";
import type { Graph, Node } from "../graph/graph.ts";
import { type Inference, inferTypes } from "../graph/infer.ts";
import { activationOf, noActivation } from "../kernels/activation.ts";
import { fusesActivation, fusesResidual } from "../kernels/ops/index.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import { type Shape, sameShape } from "../tensor/shape.ts";
import { type Affine, affineOf, foldBatchNormalization, trains } from "./batch-norm.ts";
import { columnsSteps, perRow, type Values } from "./columns-step.ts";
import type { ColumnsStep, OpStep, Program, Step } from "./program.ts";
import { spreadGathers } from "./spread-gathers.ts";

/**
 * Turns a graph into a program: gathered columns given back to their product, BatchNormalization folded into convolutions, nodes with constant results dropped, and
 * bias, residual add and activation merged into the step that produces their operand. Only values with a single reader
 * are merged away; graph outputs never are.
 */
export function simplify(
  original: Graph,
  inputShapes: ReadonlyMap<string, Shape>,
  inputValues: ReadonlyMap<string, HostTensor>,
  variables: ReadonlySet<string>,
): Program {
  const spread = spreadGathers(original, inputShapes, inputValues, variables);
  const graph = foldBatchNormalization(spread, variables);
  const inference = inferTypes(graph, inputShapes, inputValues, { variables });
  const constants = new Map([...inference.values].filter(([name]) => !variables.has(name)));
  const nodes = needed(
    graph,
    graph.nodes.filter((node) => node.outputs.some((o) => o !== "" && !constants.has(o))),
  );
  const values = valuesOf(inference, constants);
  const readers = readersOf(graph, nodes);
  const steps: { at: number; step: Step }[] = [];
  const taken = new Set<Node>();
  const position = new Map(nodes.map((n, i) => [n, i]));
  for (const node of nodes) {
    if (taken.has(node)) continue;
    const [start = opStep(node, values), ...phases] = columnsSteps(node, values);
    if (phases.length > 0) {
      for (const step of [start, ...phases]) steps.push({ at: position.get(node)!, step });
      continue;
    }
    const { step, last } = absorb(start, node, values, readers, taken, (n) => position.get(n)!);
    steps.push({ at: position.get(last)!, step });
  }
  steps.sort((a, b) => a.at - b.at);
  return { graph, steps: steps.map((s) => s.step), types: inference.types, constants, variables };
}

/** Nodes that an output depends on, or that replace a variable. */
function needed(graph: Graph, nodes: readonly Node[]): readonly Node[] {
  const read = new Set(graph.outputs.map((o) => o.name));
  const kept: Node[] = [];
  for (const node of [...nodes].reverse()) {
    if (!opOf(node).inPlace && !node.outputs.some((name) => read.has(name))) continue;
    kept.push(node);
    for (const name of node.inputs) read.add(name);
  }
  return kept.reverse();
}

function valuesOf(inference: Inference, constants: ReadonlyMap<string, HostTensor>): Values {
  return {
    type: (name) => inference.types.get(name)!,
    constant: (name) => constants.get(name),
    context: (node) => contextOf(node, inference.types, inference.values),
  };
}

/** The nodes that read each value; a graph output counts as a reader that cannot be merged. */
type Readers = ReadonlyMap<string, readonly (Node | undefined)[]>;

function readersOf(graph: Graph, nodes: readonly Node[]): Readers {
  const readers = new Map<string, (Node | undefined)[]>();
  const add = (name: string, reader: Node | undefined): void => {
    const list = readers.get(name);
    if (list) list.push(reader);
    else readers.set(name, [reader]);
  };
  for (const node of nodes) for (const input of node.inputs) add(input, node);
  for (const output of graph.outputs) add(output.name, undefined);
  return readers;
}

const opStep = (node: Node, _values: Values): OpStep => ({
  kind: "op",
  name: node.name,
  node,
  output: node.outputs[0]!,
  residual: undefined,
  activation: noActivation,
  fused: [node.name],
});

function absorb(
  start: Step,
  first: Node,
  values: Values,
  readers: Readers,
  taken: Set<Node>,
  position: (node: Node) => number,
): { step: Step; last: Node } {
  let step = start;
  let last = first;
  for (;;) {
    const list = readers.get(step.output) ?? [];
    const next = list.length === 1 ? list[0] : undefined;
    if (!next || taken.has(next) || next.outputs.length !== 1) return { step, last };
    const merged = step.kind === "columns" ? intoColumns(step, next, values) : intoOp(step, next, values);
    if (!merged) return { step, last };
    taken.add(next);
    step = merged;
    if (position(next) > position(last)) last = next;
  }
}

function intoOp(step: OpStep, next: Node, values: Values): OpStep | undefined {
  const { op } = step.node;
  if (step.activation.code !== 0) return undefined;
  const grown = { ...step, output: next.outputs[0]!, fused: [...step.fused, next.name] };
  const activation =
    next.inputs[0] === step.output && fusesActivation(op)
      ? activationOf(next, (i) => values.constant(next.inputs[i] ?? ""))
      : undefined;
  if (activation) return { ...grown, activation };
  const residual = fusesResidual(op) && step.residual === undefined ? addend(step, next, values) : undefined;
  if (residual === undefined || values.constant(residual) || !sameShapes(residual, step.output, values))
    return undefined;
  return { ...grown, residual };
}

const sameShapes = (a: string, b: string, values: Values): boolean =>
  sameShape(values.type(a).shape, values.type(b).shape);

/** What an Add that leaves the shape of a step's output as it is adds to it; undefined for any other node. */
function addend({ output }: Step, next: Node, values: Values): string | undefined {
  if (next.op !== "Add") return undefined;
  const other = next.inputs[0] === output ? next.inputs[1]! : next.inputs[0]!;
  return other === output || !sameShapes(next.outputs[0]!, output, values) ? undefined : other;
}

function intoColumns(step: ColumnsStep, next: Node, values: Values): ColumnsStep | undefined {
  if (step.activation.code !== 0) return undefined;
  const grown = { ...step, output: next.outputs[0]!, fused: [...step.fused, next.name] };
  const activation =
    next.inputs[0] === step.output
      ? activationOf(next, (i) => values.constant(next.inputs[i] ?? ""))
      : undefined;
  if (activation) return { ...grown, activation };
  if (step.residual !== undefined) return undefined;
  if (next.op === "BatchNormalization" && !trains(next)) return intoVariable(step, grown, next, values);
  const other = addend(step, next, values);
  if (other === undefined) return undefined;
  const type = values.type(step.output);
  const constant = values.constant(other);
  if (constant) {
    const added = perRow(constant, step.rows, step.channelAxis - type.shape.length);
    if (!added || step.bias.kind !== "constant") return undefined;
    return { ...grown, bias: { kind: "constant", values: step.bias.values.map((v, m) => v + added[m]!) } };
  }
  return sameShapes(other, step.output, values) ? { ...grown, residual: other } : undefined;
}

/** BatchNormalization after a variable weight: its scale goes into the packing, its shift into the bias. */
function intoVariable(
  step: ColumnsStep,
  grown: ColumnsStep,
  next: Node,
  values: Values,
): ColumnsStep | undefined {
  if (step.weight.kind !== "variable" || step.bias.kind !== "constant") return undefined;
  const norm = batchNormalization(next, values);
  if (!norm) return undefined;
  const { scale, shift } = norm;
  const weight = { ...step.weight, scale: step.weight.scale.map((s, m) => s * scale[m]!) };
  return {
    ...grown,
    weight,
    bias: { kind: "constant", values: step.bias.values.map((v, m) => v * scale[m]! + shift[m]!) },
  };
}

function batchNormalization(node: Node, values: Values): Affine | undefined {
  const parameters = node.inputs.slice(1, 5).map((name) => values.constant(name));
  if (parameters.some((p) => p === undefined)) return undefined;
  return affineOf(node, parameters as HostTensor[]);
}
