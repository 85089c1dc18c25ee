import { withWeights } from "../graph/graph.ts";
import type { PrunableLayer } from "../prune/layers.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import {
  endSetting,
  type FilterTraining,
  silenced,
  type TrainingPlace,
  trainFilters,
} from "./filter-training.ts";
import { recipeLayers } from "./masked-training.ts";
import type { Recipe, RecipeContext } from "./recipe.ts";

/**
 * Growing regularisation. Version 1 chooses filters by their L1 norm and lets an L2 penalty on these alone grow step by step, until they
 * are all but zero and go. Version 2 first lets a penalty on everything grow, under which weights part by how curved the loss is
 * along them, and chooses then; what was not chosen is left in peace from there on.
 */
export const greg: Recipe = {
  name: "greg",
  kind: "training",
  granularities: ["filter"],
  reference: "Wang et al. 2021 (GReg), arXiv 2012.09243, algorithms 1 and 2",
  settings: {
    version: {
      default: 1,
      what: "1: choose at once; 2: choose after a penalty on everything",
      range: [1, 2],
    },
    ceiling: { default: 1, what: "what the penalty on the chosen filters grows to", range: [0, 1000] },
    picking: { default: 0.01, what: "version 2: what the penalty on everything grows to", range: [0, 1000] },
    pick: { default: 0.2, what: "version 2: share of the training before it chooses", range: [0, 1] },
    every: { default: 10, what: "steps between two rises of a penalty", range: [1, 1e9] },
    end: endSetting,
  },
  run(context) {
    const penalties = recipeLayers(context).map((layer) => layer.weight);
    return trainFilters(context, growingTraining(context), { penalties });
  },
};

/** A penalty that rises from 0 by equal steps every so often to `ceiling`, reached where x is `length`. */
export const risen = (x: number, length: number, every: number, ceiling: number): number =>
  length <= 0 ? ceiling : Math.min(1, (Math.floor(x / every) * every + every) / length) * ceiling;

/** What happens on the way; public for tests. */
export function growingTraining(context: RecipeContext): FilterTraining {
  const { setting } = context;
  const layers = recipeLayers(context);
  const names = ["version", "ceiling", "picking", "pick", "every", "end"];
  const every = setting("every");
  const choice = { method: "magnitude", norm: "l1" } as const;
  const second = setting("version") >= 1.5;
  // Before the filters go in any case.
  const pickAt = ({ last, total }: Omit<TrainingPlace, "step">): number =>
    second ? Math.max(0, Math.min(last - 1, Math.floor(setting("pick") * total))) : 0;
  return {
    name: "greg",
    settings: Object.fromEntries(names.map((name) => [name, setting(name)])),
    removeAt: setting("end"),
    async prepare({ step, last, total }, trainer) {
      const pick = pickAt({ last, total });
      if (step < pick) {
        if (step % every !== 0) return;
        const factor = risen(step, pick, every, setting("picking"));
        for (const layer of layers)
          trainer.setPenalty(
            layer.weight,
            filled(layer, () => factor),
          );
        return;
      }
      if ((step - pick) % every !== 0) return;
      const factor = risen(step - pick, last - pick, every, setting("ceiling"));
      const chosen = step === pick ? await silenced(context, await trainer.graph(), choice) : undefined;
      for (const layer of layers) {
        // Later on the device knows which they are.
        const before = chosen ? undefined : (await trainer.penalty(layer.weight)).data;
        const mask = chosen?.masks.get(layer.weight)?.data;
        const goes = (i: number): boolean => (before ? Number(before[i]) > 0 : mask?.[i] === 0);
        trainer.setPenalty(
          layer.weight,
          filled(layer, (i) => (goes(i) ? factor : 0)),
        );
      }
    },
    async choose(graph, trainer) {
      const shrunk = new Map<string, HostTensor>();
      for (const { weight } of layers) {
        const { data } = await trainer.penalty(weight);
        const w = graph.weights.get(weight)!;
        shrunk.set(weight, {
          ...w,
          data: (w.data as Float32Array).map((v, i) => (Number(data[i]) > 0 ? 0 : v)),
        });
      }
      // What is zero goes first, so these are the filters chosen then, whatever the others have become.
      return silenced(context, withWeights(graph, shrunk), choice);
    },
    removed(trainer) {
      for (const layer of layers)
        trainer.setPenalty(
          layer.weight,
          filled(layer, () => 0),
        );
    },
  };
}

/** A factor for every element of a weight. */
const filled = (layer: PrunableLayer, of: (element: number) => number): HostTensor => ({
  dtype: "f32",
  shape: layer.shape,
  data: Float32Array.from({ length: layer.rows * layer.cols }, (_, i) => of(i)),
});
