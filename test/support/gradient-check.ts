import type { Test } from "uvu";
import { type GraphBuilder, graphBuilder } from "../../src/graph/builder.ts";
import { gradientGraph } from "../../src/graph/gradient.ts";
import { type Graph, makeGraph } from "../../src/graph/graph.ts";
import { inferTypes } from "../../src/graph/infer.ts";
import { runReference } from "../../src/run/reference.ts";
import { isFloat } from "../../src/tensor/dtype.ts";
import { cast, type HostTensor, tensor } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import { type Shape, sameShape, showShape, sizeOf } from "../../src/tensor/shape.ts";

/** A small graph whose gradients are held against differences. */
export interface GradientCase {
  /** The op whose rule it is about, and what sets the case apart from others of that op. */
  readonly op: string;
  readonly name?: string;
  /** Graph inputs by name: floats of any width (they are used in double precision), other dtypes as they are. */
  readonly inputs: Readonly<Record<string, HostTensor>>;
  /** The inputs to differentiate with respect to; all floats unless said. */
  readonly wrt?: readonly string[];
  /** Adds the nodes that are checked, on f32 values named as the inputs are; returns the outputs, of which every element counts. */
  readonly build: (b: GraphBuilder) => string | readonly string[];
  /** Error allowed, relative to the greatest element of the gradient; 1e-6 unless said. */
  readonly tolerance?: number;
  /** Half the distance between the two values of a difference, relative to the operand where that is above 1; 1e-5 unless said. */
  readonly step?: number;
}

/** Seeded operands in double precision. */
export interface Operands {
  /** Uniform values in [low, high). */
  between(low: number, high: number, shape: Shape): HostTensor;
  /** Values of either sign whose magnitudes lie in [low, high): away from the kink that a function has at 0. */
  apart(low: number, high: number, shape: Shape): HostTensor;
}

export function operands(seed: number): Operands {
  const random = seeded(seed);
  const magnitude = (low: number, high: number): number => low + random.uniform() * (high - low);
  const fill = (shape: Shape, of: () => number): HostTensor =>
    tensor(Float64Array.from({ length: sizeOf(shape) }, of), shape);
  return {
    between: (low, high, shape) => fill(shape, () => magnitude(low, high)),
    apart: (low, high, shape) =>
      fill(shape, () => (random.uniform() < 0.5 ? -magnitude(low, high) : magnitude(low, high))),
  };
}

/** ONNX's number of f32, as Cast wants it. */
const toF32 = 1;
const loss = "loss";
const wide = (name: string): string => `${name}/f64`;

/**
 * The graph of a case: inputs come as f64 and are cast to f32, which the reference does not round, so that differences are
 * exact while every node sees the dtype it has in a model. The loss is the sum of all outputs, weighted at random.
 */
function assemble(c: GradientCase): Graph {
  const draft = (finish: (b: GraphBuilder, outputs: readonly string[]) => void): Graph => {
    const b = graphBuilder(`gradient of ${c.op}`);
    for (const [name, t] of Object.entries(c.inputs)) {
      if (!isFloat(t.dtype)) b.input(name, t.shape, t.dtype);
      else b.node("Cast", [b.input(wide(name), t.shape, "f64")], { to: toF32 }, { name });
    }
    const made = c.build(b);
    finish(b, typeof made === "string" ? [made] : made);
    return b.build();
  };
  const bare = draft((b, outputs) => {
    for (const name of outputs) b.output(name, []);
  });
  const { types } = inferTypes(bare, new Map());
  const random = seeded(1234);
  return draft((b, outputs) => {
    const terms = outputs.map((name) => {
      const { shape } = types.get(name)!;
      const weights = Float32Array.from({ length: sizeOf(shape) }, () => 0.5 + random.uniform());
      const signed = weights.map((w) => (random.uniform() < 0.5 ? w : -w));
      return b.node("ReduceSum", [b.node("Mul", [name, b.constant(tensor(signed, shape))])], { keepdims: 0 });
    });
    const last = terms.length === 1 ? terms[0]! : b.node("Sum", terms);
    b.node("Identity", [last], {}, { name: loss });
    b.output(loss, []);
  });
}

const withOutputs = (graph: Graph, names: readonly string[]): Graph =>
  makeGraph({ ...graph, outputs: names.map((name) => ({ name, dtype: "f32" as const, shape: [] })) });

type Values = Readonly<Record<string, HostTensor>>;

/** Gradients by the rules, zeros where the loss does not depend on an input; also checks what dtype and shape they have. */
function byRules(graph: Graph, wrt: readonly string[], inputs: Values): ReadonlyMap<string, Float64Array> {
  const result = gradientGraph(graph, { loss, wrt });
  const { types } = inferTypes(result.graph, new Map());
  for (const [name, gradient] of result.of) {
    const [of, to] = [types.get(gradient)!, types.get(name)!];
    if (of.dtype !== to.dtype || !sameShape(of.shape, to.shape)) {
      throw new Error(
        `the gradient of ${name} is ${of.dtype} ${showShape(of.shape)}, not ${to.dtype} ${showShape(to.shape)}`,
      );
    }
  }
  const values = runReference(withOutputs(result.graph, [...new Set(result.of.values())]), inputs);
  return new Map(
    wrt.map((name) => {
      const gradient = result.of.get(name);
      const data = gradient === undefined ? undefined : values[gradient]!.data;
      return [name, (data as Float64Array) ?? new Float64Array(sizeOf(types.get(name)!.shape))];
    }),
  );
}

/** Central differences of the loss along every element of one input. */
function byDifferences(graph: Graph, name: string, inputs: Values, step: number): Float64Array {
  const x = inputs[wide(name)]!;
  const lossAt = (i: number, value: number): number => {
    const data = Float64Array.from(x.data as Float64Array);
    data[i] = value;
    return Number(runReference(graph, { ...inputs, [wide(name)]: { ...x, data } })[loss]!.data[0]);
  };
  return Float64Array.from(x.data as Float64Array, (value, i) => {
    const h = step * Math.max(1, Math.abs(value));
    return (lossAt(i, value + h) - lossAt(i, value - h)) / (2 * h);
  });
}

const greatest = (...lists: readonly Float64Array[]): number =>
  lists.reduce((most, list) => list.reduce((m, v) => Math.max(m, Math.abs(v)), most), 0);

function compare(what: string, actual: Float64Array, expected: Float64Array, tolerance: number): void {
  const allowed = tolerance * greatest(actual, expected);
  const bad = [...expected.keys()].filter((i) => !(Math.abs(actual[i]! - expected[i]!) <= allowed));
  if (bad.length === 0) return;
  const rows = bad.slice(0, 5).map((i) => `  [${i}] ${actual[i]}, expected ${expected[i]}`);
  throw new Error(`${what}: ${bad.length} of ${expected.length} are off:\n${rows.join("\n")}`);
}

const titleOf = (c: GradientCase): string => `${c.op}${c.name ? `, ${c.name}` : ""}`;

const floatsOf = (c: GradientCase): string[] =>
  Object.keys(c.inputs).filter((name) => isFloat(c.inputs[name]!.dtype));

const inputsOf = (c: GradientCase): Values =>
  Object.fromEntries(
    Object.entries(c.inputs).map(([name, t]) =>
      isFloat(t.dtype) ? [wide(name), cast(t, "f64")] : [name, t],
    ),
  );

/** A case as a graph that gives out its gradients, and the inputs of that graph. */
export function gradientsAsGraph(c: GradientCase): {
  readonly title: string;
  readonly graph: Graph;
  readonly inputs: Values;
} {
  const { graph, of } = gradientGraph(assemble(c), { loss, wrt: c.wrt ?? floatsOf(c) });
  return { title: titleOf(c), graph: withOutputs(graph, [...new Set(of.values())]), inputs: inputsOf(c) };
}

/**
 * Throws unless every element of every gradient is what central differences of the loss say, whether the gradients are asked
 * for together or one by one. A case whose differences are all zero says nothing and fails as well.
 */
export function checkGradients(c: GradientCase): void {
  const graph = assemble(c);
  const inputs = inputsOf(c);
  const wrt = c.wrt ?? floatsOf(c);
  const title = titleOf(c);
  const together = byRules(graph, wrt, inputs);
  for (const name of wrt) {
    const what = `${title}: gradient of ${name}`;
    const expected = byDifferences(graph, name, inputs, c.step ?? 1e-5);
    if (expected.length > 0 && greatest(expected) === 0) throw new Error(`${what}: nothing depends on it`);
    compare(what, together.get(name)!, expected, c.tolerance ?? 1e-6);
    if (wrt.length > 1)
      compare(`${what} alone`, byRules(graph, [name], inputs).get(name)!, together.get(name)!, 1e-12);
  }
}

/** One test per op. */
export function addGradientTests(test: Test, cases: readonly GradientCase[]): void {
  for (const op of new Set(cases.map((c) => c.op)))
    test(op, () => cases.filter((c) => c.op === op).forEach(checkGradients));
}
