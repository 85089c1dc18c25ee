import { PruneError } from "../errors.ts";
import { learnedNames } from "../graph/statistics.ts";
import { compile } from "../run/compile.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import type { CollectContext, Collector } from "./collector.ts";
import { lossGraph, weightSums } from "./loss-graph.ts";

/**
 * The diagonal of the Gauss-Newton matrix of the mean cross-entropy, exactly: for softmax outputs p the second derivative
 * with respect to the logits is diag(p) - p·pᵀ = sum over classes c of p_c (p - e_c)(p - e_c)ᵀ, and p - e_c is the gradient
 * of the loss were c the label. So each image takes one pass per class, and labels are not looked at. LeCun et al. (1989)
 * approximate the same diagonal by one backward pass that drops what units share.
 */
export const curvature: Collector = {
  kind: "curvature",
  needsData: true,
  async collect(context) {
    const weights = context.layers.map((l) => l.weight);
    const sums = weightSums(context.graph, weights);
    const images = await perClass(context, weights, (gradients, probability) => {
      for (const [weight, g] of gradients) {
        const sum = sums.of(weight);
        for (let i = 0; i < sum.length; i++) sum[i]! += probability * g[i]! * g[i]!;
      }
    });
    return sums.tensors(1 / images);
  },
};

/** Elements of all rows together: beyond it the method that needs them would not end either. */
const mostElements = 1 << 26;

/**
 * Rows whose outer products add up to the Gauss-Newton matrix: the square root of p_c / images times the gradient were c the
 * label, for every image and class. Throws E_PRUNE for models too large to hold them.
 */
export const jacobian: Collector = {
  kind: "jacobian",
  needsData: true,
  async collect(context) {
    // Biases too: they make up for what is removed.
    const names = learnedNames(context.graph);
    const weights = names.map((name) => context.graph.weights.get(name)!.data.length);
    const { images, classes } = context.calibration();
    const rows = images * classes;
    const elements = weights.reduce((a, b) => a + b, 0);
    if (rows * elements > mostElements) {
      throw new PruneError(
        `the full second derivative of ${elements} weights from ${rows} gradients is too much: it is for small nets. Use fewer images, or obd (its diagonal) or sparsegpt (one layer at a time).`,
      );
    }
    const result = new Map(names.map((name, i) => [name, new Float64Array(rows * weights[i]!)] as const));
    let row = 0;
    await perClass(context, names, (gradients, probability) => {
      const scale = Math.sqrt(probability / images);
      for (const [weight, g] of gradients) {
        const to = result.get(weight)!;
        for (let i = 0; i < g.length; i++) to[row * g.length + i] = scale * g[i]!;
      }
      row++;
    });
    return new Map(
      [...result].map(([weight, data]): [string, HostTensor] => {
        return [weight, { dtype: "f64", shape: [rows, data.length / rows], data }];
      }),
    );
  },
};

/**
 * Visits the gradient of every image's loss under every possible label, with the probability that the net gives that label.
 * Returns the number of images.
 */
async function perClass(
  context: CollectContext,
  weights: readonly string[],
  visit: (gradients: ReadonlyMap<string, Float32Array>, probability: number) => void,
): Promise<number> {
  const { gpu, graph, onProgress } = context;
  const data = context.calibration().inBatchesOf(1);
  // One image has no statistics of its own.
  const loss = lossGraph(graph, { batch: 1, classes: data.classes, weights, norms: "running" });
  const session = await compile(gpu, loss.graph, {});
  try {
    let done = 0;
    for (const { images } of data.batches()) {
      for (let c = 0; c < data.classes; c++) {
        const label = new Float32Array(data.classes);
        label[c] = 1;
        const targets: HostTensor = { dtype: "f32", shape: [1, data.classes], data: label };
        const result = await session.run({ [loss.input]: images, [loss.targets]: targets });
        const probability = Number(result[loss.probabilities]!.data[c]);
        const gradients = new Map(
          [...loss.gradients].map(([weight, name]) => [weight, result[name]!.data as Float32Array] as const),
        );
        visit(gradients, probability);
      }
      onProgress?.(++done, data.images);
    }
    return data.images;
  } finally {
    session.dispose();
  }
}
