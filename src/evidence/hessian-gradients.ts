import { compile } from "../run/compile.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import { underMasks } from "../train/net.ts";
import type { Collector } from "./collector.ts";
import { lossGraph, weightSums } from "./loss-graph.ts";

/** Wang et al. divide the logits by it, so that a net which has learned nothing yet does not saturate. */
const temperature = 200;
/** Length of the step over which gradients are compared, as a share of the weights' own length. */
const stepShare = 1e-2;

/**
 * The Hessian of the loss times its gradient, by the difference of the gradients a little before and a little behind along the
 * gradient: H·g ≈ (∇L(w + ε·g) - ∇L(w - ε·g)) / 2ε (Pearlmutter 1994, section 2). Exact differentiation twice, as the
 * authors do it, would need second derivatives of every op.
 */
export const hessianGradients: Collector = {
  kind: "hessianGradients",
  needsData: true,
  async collect({ gpu, graph, layers, norms, calibration, onProgress }) {
    const data = calibration();
    const names = layers.map((l) => l.weight);
    const { batch, classes, images } = data;
    const loss = lossGraph(graph, { batch, classes, weights: names, norms, temperature });
    const session = await compile(gpu, loss.graph, { variables: [...names, ...loss.statistics] });
    try {
      const start = underMasks(graph);
      const gradients = async (): Promise<ReturnType<typeof weightSums>> => {
        const sums = weightSums(graph, names);
        for (const { images: batchImages, targets } of data.batches()) {
          const result = await session.run({ [loss.input]: batchImages, [loss.targets]: targets });
          for (const [weight, name] of loss.gradients) {
            const sum = sums.of(weight);
            const { data: g } = result[name]!;
            for (let i = 0; i < sum.length; i++) sum[i]! += (Number(g[i]) * batch) / images;
          }
        }
        return sums;
      };
      const g = await gradients();
      onProgress?.(1, 3);
      const epsilon =
        (stepShare * lengthOf(names.map((n) => start.get(n)!.data as Float32Array))) /
        Math.max(1e-30, lengthOf(names.map((n) => g.of(n))));
      const moved = async (by: number): Promise<ReturnType<typeof weightSums>> => {
        for (const name of names) {
          const w = start.get(name)!;
          const slope = g.of(name);
          const at = (w.data as Float32Array).map((v, i) => v + by * slope[i]!);
          session.write(name, { ...w, data: at });
        }
        return gradients();
      };
      const ahead = await moved(epsilon);
      onProgress?.(2, 3);
      const behind = await moved(-epsilon);
      onProgress?.(3, 3);
      return new Map(
        names.map((name): [string, HostTensor] => {
          const back = behind.of(name);
          const value = ahead.of(name).map((v, i) => (v - back[i]!) / (2 * epsilon));
          return [name, { dtype: "f64", shape: graph.weights.get(name)!.shape, data: value }];
        }),
      );
    } finally {
      session.dispose();
    }
  },
};

/** L2 norm of all values together. */
function lengthOf(arrays: readonly (Float32Array | Float64Array)[]): number {
  let sum = 0;
  for (const array of arrays) for (const v of array) sum += v * v;
  return Math.sqrt(sum);
}
