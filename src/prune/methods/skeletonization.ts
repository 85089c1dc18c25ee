import { evidenceOf } from "../evidence.ts";
import type { Method } from "./method.ts";

/**
 * Relevance of a unit: the error without it less the error with it, by the derivative of the error by an attentional gate of 1 on its
 * output. Units that add to the error go first. The error is the linear one, as in the paper; its running average with a decay of 0.8
 * belongs to weights that are being trained, and is a plain mean here, where they stand still.
 *
 * On nets trained to the end this is worse than random, and the error is not why. The linear error was taken since the slope of a
 * squared one fades where the target is reached; that of |target - probability| by the logits still has the factor 1 - p of a softmax,
 * and chooses nearly as the cross-entropy does. Without that factor (by log-odds) it is hardly better: on ResNet-20 for CIFAR-10 (91 %),
 * 30 % of the first convolutions of all blocks, 200 test images, 9.5 and 18 % are right, where three random draws leave 15 to 35 and
 * the same derivatives without their signs 35 and 48.5. What fails is the sign: a filter with a steep slope down does not add to the
 * error when it is gone, for the slope at 1 says nothing of the way to 0. `taylor` squares it; this is here as the ancestor that it is.
 */
export const skeletonization: Method = {
  name: "skeletonization",
  kind: "data",
  granularities: ["filter"],
  reference: "Mozer and Smolensky 1988 (NIPS 1), section 3",
  needs: ["gateRelevance"],
  defaults: { granularity: "filter", scope: "global", images: 512 },
  comparable: true,
  score: ({ layer, evidence }) =>
    Float64Array.from(evidenceOf(evidence, "gateRelevance", layer.weight, layer.rows)),
};
