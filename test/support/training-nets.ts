import { type GraphBuilder, graphBuilder } from "../../src/graph/builder.ts";
import { opOf } from "../../src/graph/evaluate.ts";
import { type Graph, makeGraph, withWeights } from "../../src/graph/graph.ts";
import { shapedFor } from "../../src/run/evaluate.ts";
import { runReference } from "../../src/run/reference.ts";
import type { Tensors } from "../../src/run/session.ts";
import { type HostTensor, scalar, tensor } from "../../src/tensor/host-tensor.ts";
import type { Shape } from "../../src/tensor/shape.ts";
import { hyperAt, type Optimizer } from "../../src/train/optimizer.ts";
import { hyperInput, targetsInput } from "../../src/train/step-graph.ts";
import { type Values, values } from "./kernel-cases.ts";

export const batch = 6;
export const classes = 4;
const image: Shape = [2, 5, 7];

/** Scale, shift and running statistics of `channels`. */
function batchNorm(b: GraphBuilder, v: Values, x: string, name: string, channels: number): string {
  const parameter = (what: string, low: number, high: number): string =>
    b.weight(`${name}.${what}`, v.between(low, high, [channels]));
  return b.node(
    "BatchNormalization",
    [
      x,
      parameter("scale", 0.5, 1.5),
      parameter("bias", -0.5, 0.5),
      parameter("mean", -0.1, 0.1),
      parameter("variance", 0.5, 2),
    ],
    { momentum: 0.8 },
  );
}

/** Conv, BatchNormalization, Relu, MaxPool, a residual block, Dropout, Gemm. */
export function residualNet(seed: number): Graph {
  const v = values(seed);
  const b = graphBuilder("residual net");
  const pads = { pads: [1, 1, 1, 1] };
  const conv = b.node(
    "Conv",
    [b.input("image", [null, ...image]), b.weight("conv1", v.normal([6, 2, 3, 3], 0.4))],
    pads,
  );
  const first = b.node("Relu", [batchNorm(b, v, conv, "norm1", 6)]);
  const pooled = b.node("MaxPool", [first], { kernel_shape: [2, 2], strides: [2, 2] });
  const inner = b.node("Conv", [pooled, b.weight("conv2", v.normal([6, 6, 3, 3], 0.2))], pads);
  const sum = b.node("Add", [batchNorm(b, v, inner, "norm2", 6), pooled]);
  const dropped = b.node("Dropout", [b.node("Relu", [sum]), b.constant(scalar(0.3), "ratio")]);
  const flat = b.node("Flatten", [dropped]);
  const gemm = [
    flat,
    b.weight("fc", v.normal([classes, 36], 0.2)),
    b.weight("fc.bias", v.normal([classes], 0.2)),
  ];
  b.output(b.node("Gemm", gemm, { transB: 1 }, { outputs: ["logits"] }), [null, classes]);
  return b.build();
}

/** Depthwise, grouped, strided and transposed convolutions, an overlapping AveragePool, MatMul, a final Softmax; no Dropout. */
export function mixedNet(seed: number): Graph {
  const v = values(seed);
  const b = graphBuilder("mixed net");
  const layer = (
    op: string,
    x: string,
    name: string,
    shape: Shape,
    out: number,
    attributes: object,
  ): string =>
    b.node(op, [x, b.weight(name, v.normal(shape, 0.4)), b.weight(`${name}.bias`, v.normal([out], 0.2))], {
      ...attributes,
    });
  const x = b.input("image", [null, ...image]);
  const wide = b.node("Relu", [
    layer("Conv", x, "depthwise", [4, 1, 3, 3], 4, { group: 2, pads: [1, 1, 1, 1] }),
  ]);
  const strided = layer("Conv", wide, "strided", [8, 2, 3, 2], 8, {
    group: 2,
    strides: [2, 2],
    pads: [1, 0, 1, 1],
  });
  const up = layer("ConvTranspose", b.node("Sigmoid", [strided]), "up", [8, 5, 2, 3], 5, { strides: [2, 2] });
  const pool = b.node("AveragePool", [b.node("Relu", [up])], {
    kernel_shape: [3, 3],
    strides: [2, 2],
    pads: [1, 1, 1, 1],
  });
  const mean = b.node("Flatten", [b.node("GlobalAveragePool", [pool])]);
  const logits = b.node("MatMul", [mean, b.weight("head", v.normal([5, classes], 0.8))]);
  const shifted = b.node("Add", [logits, b.weight("head.bias", v.normal([classes], 0.2))]);
  b.output(b.node("Softmax", [shifted], {}, { outputs: ["answer"] }), [null, classes]);
  return b.build();
}

/** Flat images, BatchNormalization of vectors, one weight that two layers share. */
export function tiedNet(seed: number): Graph {
  const v = values(seed);
  const b = graphBuilder("tied net");
  const x = b.input("image", [null, 70]);
  const wide = b.node("Gemm", [x, b.weight("wide", v.normal([70, 16], 0.1))]);
  let y = b.node("Relu", [batchNorm(b, v, wide, "norm", 16)]);
  b.weight("tied", v.normal([16, 16], 0.25));
  b.weight("tied.bias", v.normal([16], 0.1));
  for (let i = 0; i < 2; i++) y = b.node("Relu", [b.node("Gemm", [y, "tied", "tied.bias"], { transB: 1 })]);
  b.output(b.node("MatMul", [y, b.weight("head", v.normal([16, classes], 0.3))]), [null, classes]);
  return b.build();
}

/** The graph with masks that drop about `share` of these weights; what they drop is zero. */
export function maskedNet(graph: Graph, names: readonly string[], share: number, seed: number): Graph {
  const v = values(seed);
  const masks = new Map<string, HostTensor>();
  const weights = new Map(graph.weights);
  for (const name of names) {
    const { shape, data } = graph.weights.get(name)!;
    const kept = Uint8Array.from({ length: data.length }, () => (v.random.uniform() < share ? 0 : 1));
    masks.set(name, { dtype: "bool", shape, data: kept });
    weights.set(
      name,
      tensor(
        (data as Float32Array).map((w, i) => w * kept[i]!),
        shape,
      ),
    );
  }
  return makeGraph({ ...graph, weights, masks });
}

/** Images and smoothed labels of one batch. */
export function someBatch(seed: number): { readonly images: HostTensor; readonly targets: HostTensor } {
  // Small seeds in a row begin with much the same numbers, so they are spread.
  const v = values(Math.imul(seed, 0x9e3779b1));
  const label = Array.from({ length: batch }, () => v.random.below(classes));
  const targets = Float32Array.from({ length: batch * classes }, (_, i) =>
    label[Math.floor(i / classes)] === i % classes ? 0.91 : 0.03,
  );
  return { images: v.normal([batch, ...image]), targets: tensor(targets, [batch, classes]) };
}

/** A training done again in double precision, from the same graph of one step. */
export interface ReferenceTraining {
  /** Every variable that a step changes. */
  readonly state: Map<string, HostTensor>;
  /** The factors by which clipping has scaled the gradients, one per step; empty where nothing is clipped. */
  readonly factors: number[];
  step(images: HostTensor, targets: HostTensor, rate: number): void;
  /** Takes a value over, as restore and setMask do. */
  set(name: string, value: HostTensor): void;
}

export function referenceTraining(step: Graph, optimizer: Optimizer): ReferenceTraining {
  const replaced = step.nodes.flatMap((node) =>
    (opOf(node).inPlace ?? []).map(([to, from]) => [node.outputs[to]!, node.inputs[from]!] as const),
  );
  const clip = step.nodes.filter((node) => node.op === "Min").map((node) => node.outputs[0]!);
  const outputs = [...replaced.map(([output]) => output), ...clip];
  let graph = makeGraph({ ...step, outputs: outputs.map((name) => ({ name, dtype: "f32", shape: [] })) });
  const state = new Map(replaced.map(([, name]) => [name, step.weights.get(name)!]));
  const factors: number[] = [];
  let steps = 0;
  return {
    state,
    factors,
    set(name, value) {
      graph = withWeights(graph, new Map([[name, value]]));
    },
    step(images, targets, rate) {
      const given: Tensors = {
        image: shapedFor(step.inputs[0]!, images),
        [targetsInput]: targets,
        [hyperInput]: hyperAt(optimizer, rate, steps),
        "train/step": tensor(Int32Array.of(steps), [1]),
      };
      const inputs = Object.fromEntries(step.inputs.map(({ name }) => [name, given[name]!]));
      const results = runReference(graph, inputs);
      for (const [output, name] of replaced) {
        // Declared f32, as ops want one dtype, but held in double precision.
        state.set(name, { ...results[output]!, dtype: "f32" });
      }
      graph = withWeights(graph, state);
      for (const name of clip) factors.push(Number(results[name]!.data[0]));
      steps++;
    },
  };
}
