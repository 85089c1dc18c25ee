import type { Graph } from "../../src/graph/graph.ts";
import { findArch } from "../../src/nets/arches.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import type { HostTensor } from "../../src/tensor/host-tensor.ts";

/** A cheap seeded stream in [0, 1): the big nets have 25 million weights. */
export function stream(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** The smallest image that a net's layers make sense of; where a flattened image decides a width, its own size. */
function smallSide(name: string): number {
  const arch = findArch(name)!;
  if (arch.dataset === "imagenet") return 32;
  return /^(resnet|densenet|googlenet)/.test(name) ? 8 : arch.input[1];
}

export interface RandomNetOptions {
  readonly seed?: number;
  /** Height and width of the image. */
  readonly side?: number;
  /** Divides the output channels of every convolution and hidden linear layer. */
  readonly narrow?: number;
  /** Share of the BatchNormalization scales that are zero. */
  readonly flat?: number;
}

/**
 * A built-in net with random weights, BatchNormalization statistics and shifts included, that keep activations near 1. Nets that
 * end in a global average get small images: what belongs together does not depend on the size, and the reference is slow.
 */
export function randomNet(name: string, options: RandomNetOptions = {}): Graph {
  const { seed = name.length + 17, side = smallSide(name), narrow = 1, flat = 0 } = options;
  const graph = buildNet(name, { init: "zeros", ...(narrow > 1 && { widths: narrowed(name, narrow) }) });
  const next = stream(seed);
  const weights = new Map<string, HostTensor>();
  for (const [key, w] of graph.weights) {
    if (w.dtype !== "f32" || w.shape.length === 0) {
      weights.set(key, w);
      continue;
    }
    const fan = w.shape.slice(1).reduce((a, b) => a * b, 1);
    const data = new Float32Array(w.data.length);
    for (let i = 0; i < data.length; i++) {
      const u = next();
      if (w.shape.length > 1) data[i] = (2 * u - 1) * Math.sqrt(6 / fan);
      else if (key.endsWith(".weight")) data[i] = u < flat ? 0 : 0.5 + u;
      else data[i] = key.endsWith("running_var") ? 0.5 + u : u - 0.5;
    }
    weights.set(key, { ...w, data });
  }
  const [channels] = findArch(name)!.input;
  return { ...graph, inputs: [{ ...graph.inputs[0]!, shape: [null, channels, side, side] }], weights };
}

function narrowed(name: string, by: number): Map<string, number> {
  const graph = buildNet(name, { init: "zeros" });
  const widths = new Map<string, number>();
  for (const node of graph.nodes) {
    if ((node.op !== "Conv" && node.op !== "Gemm") || node.outputs[0] === "logits") continue;
    const depthwise = node.op === "Conv" && node.attributes.get("group") !== 1;
    const out = graph.weights.get(node.inputs[1]!)!.shape[0]!;
    if (!depthwise) widths.set(node.name, Math.max(2, Math.round(out / by)));
  }
  return widths;
}

/** A seeded batch for the net's only input, uniform in [-1, 1). */
export function randomImage(graph: Graph, batch = 1, seed = 5): HostTensor {
  const shape = graph.inputs[0]!.shape.map((d) => d ?? batch);
  const next = stream(seed);
  const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 2 * next() - 1);
  return { dtype: "f32", shape, data };
}
