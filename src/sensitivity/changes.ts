import { InputError } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import type { PrunableLayer } from "../prune/layers.ts";
import { clearSlices, copyOf } from "../prune/mask-filters.ts";
import type { PruneStep } from "../prune/record.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";

/**
 * The weights that make the whole net compute what the pruned one does, without any shape changing: pruned weights as they are; of
 * removed channels, zeros wherever a layer reads them. Throws E_INPUT where a method changes more than the weights of `layers`.
 */
export function changedWeights(
  graph: Graph,
  pruned: Graph,
  step: PruneStep,
  layers: readonly PrunableLayer[],
): Map<string, HostTensor> {
  const changed = new Map<string, HostTensor>();
  if (step.structure.weights.length > 0) {
    const reading = new Map(layers.map((layer) => [layer.weight, layer.inAxis]));
    for (const { weight, axis, of, kept } of step.structure.weights) {
      if (reading.get(weight) !== axis) continue;
      const alive = new Set(kept);
      const gone = Array.from({ length: of }, (_, k) => k).filter((k) => !alive.has(k));
      const value = copyOf(graph.weights.get(weight)!);
      clearSlices(value, axis, gone);
      changed.set(weight, value);
    }
    return changed;
  }
  const open = new Set(layers.map((layer) => layer.weight));
  for (const [name, value] of pruned.weights) {
    if (value === graph.weights.get(name)) continue;
    if (!open.has(name)) {
      throw new InputError(
        `method ${step.options.method} also changes "${name}", which no sensitivity scan can follow. Scan with magnitude.`,
      );
    }
    changed.set(name, value);
  }
  return changed;
}
