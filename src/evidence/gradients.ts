import { compile } from "../run/compile.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import type { CollectContext, Collector } from "./collector.ts";
import { lossGraph, weightSums } from "./loss-graph.ts";

/** The gradient of the mean cross-entropy over all images. */
export const gradients: Collector = {
  kind: "gradients",
  needsData: true,
  collect: meanGradients,
};

async function meanGradients(context: CollectContext): Promise<Map<string, HostTensor>> {
  const { gpu, graph, layers, norms, onProgress } = context;
  const data = context.calibration();
  const weights = layers.map((l) => l.weight);
  const loss = lossGraph(graph, { batch: data.batch, classes: data.classes, weights, norms });
  const session = await compile(gpu, loss.graph, { variables: loss.statistics });
  try {
    const sums = weightSums(graph, weights);
    let done = 0;
    for (const { images, targets } of data.batches()) {
      const result = await session.run({ [loss.input]: images, [loss.targets]: targets });
      for (const [weight, name] of loss.gradients) {
        const sum = sums.of(weight);
        const { data: g } = result[name]!;
        for (let i = 0; i < sum.length; i++) sum[i]! += Number(g[i]);
      }
      done += data.batch;
      onProgress?.(done, data.images);
    }
    return sums.tensors(data.batch / data.images);
  } finally {
    session.dispose();
  }
}
