import { withWeights } from "../graph/graph.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import type { Trainer } from "../train/trainer.ts";
import {
  allLayers,
  endSetting,
  type FilterTraining,
  silenced,
  type TrainingPlace,
  trainFilters,
} from "./filter-training.ts";
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
  budget: "magnitude",
  unread: ["norm"],
  run(context) {
    const penalties = allLayers(context).map((layer) => layer.weight);
    return trainFilters(context, growingTraining(context), { penalties });
  },
};

/** A penalty that rises from 0 by equal steps every so often to `ceiling`, reached where x is `length`. */
export const risen = (x: number, length: number, every: number, ceiling: number): number =>
  length <= 0 ? ceiling : Math.min(1, (Math.floor(x / every) * every + every) / length) * ceiling;

/** What happens on the way; public for tests. */
export function growingTraining(context: RecipeContext): FilterTraining {
  const { setting } = context;
  const layers = allLayers(context);
  const names = ["version", "ceiling", "picking", "pick", "every", "end"];
  const every = setting("every");
  const choice = { method: "magnitude", norm: "l1" } as const;
  const second = setting("version") >= 1.5;
  // Before the filters go in any case.
  const pickAt = ({ last, total }: Omit<TrainingPlace, "step">): number =>
    second ? Math.max(0, Math.min(last - 1, Math.floor(setting("pick") * total))) : 0;
  const penalise = (trainer: Trainer, factor: (weight: string, element: number) => number): void => {
    for (const { weight, shape, rows, cols } of layers) {
      const data = Float32Array.from({ length: rows * cols }, (_, i) => factor(weight, i));
      trainer.setPenalty(weight, { dtype: "f32", shape, data });
    }
  };
  return {
    name: "greg",
    settings: Object.fromEntries(names.map((name) => [name, setting(name)])),
    removeAt: setting("end"),
    choice,
    async prepare({ step, last, total }, trainer) {
      const pick = pickAt({ last, total });
      if (step < pick) {
        if (step % every !== 0) return;
        const factor = risen(step, pick, every, setting("picking"));
        penalise(trainer, () => factor);
        return;
      }
      if ((step - pick) % every !== 0) return;
      const factor = risen(step - pick, last - pick, every, setting("ceiling"));
      const chosen = step === pick ? await silenced(context, await trainer.graph(), choice) : undefined;
      const goes = new Map<string, (i: number) => boolean>();
      for (const { weight } of layers) {
        // Later on the device knows which they are.
        const before = chosen ? undefined : (await trainer.penalty(weight)).data;
        const mask = chosen?.masks.get(weight)?.data;
        goes.set(weight, (i) => (before ? Number(before[i]) > 0 : mask?.[i] === 0));
      }
      penalise(trainer, (weight, i) => (goes.get(weight)!(i) ? factor : 0));
    },
    async seen(graph, trainer) {
      // What is zero goes first: the filters chosen then, whatever the others have become.
      const shrunk = new Map<string, HostTensor>();
      for (const { weight } of layers) {
        const { data } = await trainer.penalty(weight);
        const w = graph.weights.get(weight)!;
        const left = (w.data as Float32Array).map((v, i) => (Number(data[i]) > 0 ? 0 : v));
        shrunk.set(weight, { ...w, data: left });
      }
      return withWeights(graph, shrunk);
    },
    removed(trainer) {
      penalise(trainer, () => 0);
    },
  };
}
