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

/**
 * A built-in net with random weights, BatchNormalization statistics and shifts included, that keep activations near 1. Nets that
 * end in a global average get small images: what belongs together does not depend on the size, and the reference is slow.
 */
export function randomNet(name: string, seed = name.length + 17, side = smallSide(name)): Graph {
  const graph = buildNet(name, { init: "zeros" });
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
      else data[i] = key.endsWith("running_var") || key.endsWith(".weight") ? 0.5 + u : u - 0.5;
    }
    weights.set(key, { ...w, data });
  }
  const [channels] = findArch(name)!.input;
  return { ...graph, inputs: [{ ...graph.inputs[0]!, shape: [null, channels, side, side] }], weights };
}

/** A seeded batch for the net's only input, uniform in [-1, 1). */
export function randomImage(graph: Graph, batch = 1, seed = 5): HostTensor {
  const shape = graph.inputs[0]!.shape.map((d) => d ?? batch);
  const next = stream(seed);
  const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 2 * next() - 1);
  return { dtype: "f32", shape, data };
}
