import { forEachElement, type PrunableLayer, unitCount } from "../prune/layers.ts";
import { prune } from "../prune/prune.ts";
import { getNumber, type HostTensor } from "../tensor/host-tensor.ts";
import type { Masking } from "../train/masking.ts";
import type { Trainer } from "../train/trainer.ts";
import { maskBy, maskedBy, onlyRound, recipeLayers, trainMasked } from "./masked-training.ts";
import type { Recipe, RecipeContext } from "./recipe.ts";
import { pruneOptionsOf, wantedSparsity } from "./retrain.ts";

/** Share of the active weights that are replaced at step `t` of `end`: α/2 · (1 + cos(πt/T_end)). */
export const dropShare = (alpha: number, t: number, end: number): number =>
  (alpha / 2) * (1 + Math.cos((Math.PI * t) / end));

/**
 * Rigging the lottery: a sparse net from the first step on. Every so often the smallest weights of each layer are dropped,
 * and as many grow where the gradient is largest, from zero. The sparsity of every layer stays as it began
 * (Erdős-Rényi-Kernel unless said).
 */
export const rigl: Recipe = {
  name: "rigl",
  kind: "training",
  granularities: ["element"],
  reference: "Evci et al. 2020 (RigL), arXiv 1911.11134, algorithm 1",
  settings: {
    alpha: { default: 0.3, what: "share replaced at the first update", range: [0, 1] },
    every: { default: 100, what: "steps between updates", range: [1, 1e9] },
    end: { default: 0.75, what: "share of the training at the last update", range: [0, 1] },
  },
  budget: "magnitude",
  unread: ["norm", "recover", "rounds"],
  async run(context) {
    const wanted = wantedSparsity(context, "rigl");
    const { allocation, scope, ...rest } = pruneOptionsOf(context);
    const spread =
      allocation !== undefined || scope !== undefined || typeof wanted === "object"
        ? { ...(scope && { scope }), ...(allocation !== undefined && { allocation }) }
        : { allocation: "erk" };
    // Weights that were trained keep their largest; from seeded ones any are as good.
    const method = context.options.train?.fineTune ? "magnitude" : "random";
    const { graph } = await prune(context.graph, {
      ...rest,
      ...spread,
      method,
      seed: context.options.seed ?? 1,
    });
    return onlyRound(
      context,
      await trainMasked(context, graph, riglMasking(context), { track: ["gradient"] }),
    );
  },
};

/** The masking of `rigl`; public for tests. */
export function riglMasking(context: RecipeContext): Masking {
  const { setting } = context;
  const layers = recipeLayers(context);
  const every = setting("every");
  const last = (total: number): number => Math.floor(setting("end") * total);
  const isUpdate = (step: number, total: number): boolean =>
    step > 0 && step % every === 0 && step < last(total);
  return {
    name: "rigl",
    settings: { alpha: setting("alpha"), every, end: setting("end") },
    weights: layers.map((l) => l.weight),
    settles: last,
    async before(step, total, trainer) {
      if (isUpdate(step, total)) {
        const share = dropShare(setting("alpha"), step, last(total));
        for (const layer of layers) await replace(trainer, layer, share);
      }
      // Growth looks at the gradient of the one batch before it.
      if (isUpdate(step + 1, total))
        for (const { weight } of layers) await trainer.tracked(weight, "gradient", { reset: true });
    },
  };
}

async function replace(trainer: Trainer, layer: PrunableLayer, share: number): Promise<void> {
  const mask = trainer.mask(layer.weight)!;
  const weight = await trainer.dense(layer.weight);
  const gradient = await trainer.tracked(layer.weight, "gradient");
  const next = dropAndGrow(layer, weight, mask, gradient, share);
  trainer.setMask(layer.weight, next);
  // What grows begins at zero, also where it was dropped a moment ago.
  const stays = maskBy(mask.shape, mask.data.length, (i) => mask.data[i] !== 0 && next.data[i] !== 0);
  trainer.setDense(layer.weight, maskedBy(weight, stays));
}

/**
 * The next mask: `share` of the active elements go, smallest |w| first, and as many come, largest |gradient| first, among
 * those that are not active now (the dropped ones too, as in the paper). Ties by place, lowest first.
 */
export function dropAndGrow(
  layer: PrunableLayer,
  weight: HostTensor,
  mask: HostTensor,
  gradient: HostTensor,
  share: number,
): HostTensor {
  const active: number[] = [];
  forEachElement(layer, { kind: "element" }, (i) => {
    if (getNumber(mask.data, i) !== 0) active.push(i);
  });
  const size = (i: number): number => Math.abs(getNumber(weight.data, i));
  const slope = (i: number): number => Math.abs(getNumber(gradient.data, i));
  active.sort((a, b) => size(b) - size(a) || a - b);
  const count = unitCount(layer, { kind: "element" });
  const moved = Math.min(Math.round(share * active.length), count - active.length);
  const kept = new Set(active.slice(0, active.length - moved));
  const free = Array.from({ length: count }, (_, i) => i).filter((i) => !kept.has(i));
  free.sort((a, b) => slope(b) - slope(a) || a - b);
  for (const i of free.slice(0, moved)) kept.add(i);
  return maskBy(mask.shape, count, (i) => kept.has(i));
}
