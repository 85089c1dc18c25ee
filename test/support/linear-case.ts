import { type Dataset, preprocess } from "../../src/data/dataset.ts";
import { graphBuilder } from "../../src/graph/builder.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { toNumbers } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import { noise } from "./prune-graphs.ts";

/** How the images below become numbers around 0. */
export const plain = { scale: 1 / 64, mean: [1], std: [1] };

/** Random images. */
export function randomImages(length: number, shape: Dataset["shape"] = [2, 5, 7], classes = 4): Dataset {
  const random = seeded(length);
  const size = shape[0] * shape[1] * shape[2];
  return {
    name: "glyphs",
    classes,
    shape,
    images: Uint8Array.from({ length: length * size }, () => random.below(256)),
    labels: Uint8Array.from({ length }, () => random.below(classes)),
    length,
  };
}

/** logits = W · x for flat images of 4 values in 3 classes: every derivative of its loss has a formula. */
export function linearNet(): Graph {
  const b = graphBuilder("linear");
  const w = b.weight("w", noise([3, 4], seeded(2), 0.5));
  b.output(b.node("Gemm", [b.input("x", [null, 4]), w], { transB: 1 }), [null, 3]);
  return b.build();
}

export const softmax = (z: readonly number[]): number[] => {
  const e = z.map((v) => Math.exp(v - Math.max(...z)));
  return e.map((v) => v / e.reduce((a, b) => a + b, 0));
};

/** Every image of a linear net with its probabilities at a temperature, by plain arithmetic. */
export function linearCases(
  graph: Graph,
  data: Dataset,
  temperature = 1,
): { readonly x: number[]; readonly p: number[]; readonly label: number }[] {
  const w = toNumbers(graph.weights.get("w")!);
  return Array.from({ length: data.length }, (_, n) => {
    const x = toNumbers(preprocess(data, n, 1, plain));
    const z = [0, 1, 2].map((c) => x.reduce((sum, v, k) => sum + v * w[c * 4 + k]!, 0) / temperature);
    return { x, p: softmax(z), label: data.labels[n]! };
  });
}
