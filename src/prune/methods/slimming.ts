import { printable } from "../../errors.ts";
import { getNumber } from "../../tensor/host-tensor.ts";
import { layerFeatures } from "../feature-sites.ts";
import type { Method, ScoreContext } from "./method.ts";

/**
 * The magnitude of the BatchNormalization scale behind each filter, which a training with an L1 penalty on scales has pushed to zero
 * where a channel is not needed; compared over the whole net.
 */
export const slimming: Method = {
  name: "slimming",
  kind: "weights",
  granularities: ["filter"],
  reference: "Liu et al. 2017 (Network Slimming), arXiv 1708.06519, section 3",
  needs: [],
  defaults: { granularity: "filter", scope: "global" },
  comparable: true,
  refuses: (context) =>
    scaleOf(context)
      ? undefined
      : `layer "${printable(context.layer.name)}" has no BatchNormalization of its own`,
  score(context) {
    const scale = scaleOf(context)!;
    return new Float64Array(context.layer.rows).map((_, row) => Math.abs(getNumber(scale.data, row)));
  },
};

/** The scales of the one BatchNormalization behind a layer. */
function scaleOf({ graph, types, layer }: Pick<ScoreContext, "graph" | "types" | "layer">) {
  const features = layerFeatures(graph, types, layer);
  const names = new Set(features.map(({ norm }) => norm?.inputs[1]));
  const [name] = names;
  return names.size === 1 && name !== undefined ? graph.weights.get(name) : undefined;
}
