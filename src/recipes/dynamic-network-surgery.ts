import type { Graph } from "../graph/graph.ts";
import type { PrunableLayer } from "../prune/layers.ts";
import { layerMatches } from "../prune/layers.ts";
import { nthSmallest } from "../prune/nth-smallest.ts";
import { getNumber, type HostTensor } from "../tensor/host-tensor.ts";
import { seeded } from "../tensor/random.ts";
import type { Masking } from "../train/masking.ts";
import { maskBy, onlyRound, recipeLayers, trainMasked } from "./masked-training.ts";
import type { Recipe, RecipeContext } from "./recipe.ts";

/**
 * A weight goes below 0.9 and comes back above 1.1 of the threshold: what is in between stays as it is (the paper's a_k,
 * b_k).
 */
const prunesBelow = 0.9;
const splicesAbove = 1.1;

/**
 * Dynamic network surgery: connections are cut while the net trains and spliced back where that was wrong. The net computes
 * with w · mask, but the gradient reaches every w, so that one which was cut may grow beyond the threshold again. Thresholds
 * are set once, from the weights at the start: mean of |w| + c · deviation, over a layer's weights and biases, which are
 * pruned too.
 */
export const dynamicNetworkSurgery: Recipe = {
  name: "dynamic-network-surgery",
  kind: "training",
  granularities: ["element"],
  reference: "Guo, Yao and Chen 2016, arXiv 1608.04493, algorithm 1; constants of the authors' code",
  settings: {
    c: {
      default: 1,
      what: "deviations above the mean of |w|, unless a sparsity is given",
      range: [-100, 100],
    },
    gamma: {
      default: 1e-4,
      what: "masks change with probability (1 + gamma · step)^-power",
      range: [0, 1e9],
    },
    power: { default: 1, what: "see gamma", range: [0, 100] },
    stop: { default: 0.8, what: "share of the training after which masks stay", range: [0, 1] },
    biases: { default: 1, what: "1 prunes biases as well", range: [0, 1] },
  },
  budget: "magnitude",
  unread: ["scope", "allocation", "norm", "recover", "rounds"],
  async run(context) {
    const masking = surgeryMasking(context);
    return onlyRound(
      context,
      await trainMasked(context, context.graph, masking, { masks: "soft", fineTune: true }),
    );
  },
};

/** What surgery cuts by one threshold: a layer's weight and, with it, its bias. */
interface Patient {
  readonly layer: PrunableLayer;
  readonly tensors: readonly string[];
  readonly threshold: number;
}

/** The masking of the recipe; public for tests. */
export function surgeryMasking(context: RecipeContext): Masking {
  const { graph, options, setting } = context;
  const patients = patientsOf(context);
  const seed = options.seed ?? 1;
  const stop = (total: number): number => Math.floor(setting("stop") * total);
  return {
    name: "dynamic-network-surgery",
    settings: {
      gamma: setting("gamma"),
      power: setting("power"),
      stop: setting("stop"),
      seed,
      thresholds: patients.map((p) => p.threshold),
    },
    weights: patients.flatMap((p) => p.tensors),
    settles: stop,
    async before(step, total, trainer) {
      if (step >= stop(total)) return;
      const due = patients
        .filter((_, i) => operates(seed, step, i, setting))
        .flatMap(({ tensors, threshold }) => tensors.map((name) => ({ name, threshold })));
      const weights = await trainer.denseOf(due.map(({ name }) => name));
      for (const [i, { name, threshold }] of due.entries()) {
        const mask = trainer.mask(name)!;
        const next = surgery(weights[i]!, mask, threshold);
        if (next.data.some((m, k) => Number(m) !== Number(mask.data[k]))) trainer.setMask(name, next);
      }
    },
  };
  /** The draw of one layer at one step: of its own, so that a training that is resumed draws the same. */
  function operates(s: number, step: number, i: number, of: RecipeContext["setting"]): boolean {
    const random = seeded(
      Math.imul(s, 0x9e3779b1) ^ Math.imul(step + 1, 0x85ebca6b) ^ Math.imul(i + 1, 0xc2b2ae35),
    );
    for (let warm = 0; warm < 4; warm++) random.uniform();
    return graph.nodes.length > 0 && random.uniform() < (1 + of("gamma") * step) ** -of("power");
  }
}

/** The next mask of a tensor (equation 3 of the paper). */
export function surgery(dense: HostTensor, mask: HostTensor, threshold: number): HostTensor {
  return maskBy(dense.shape, dense.data.length, (i) => {
    const size = Math.abs(getNumber(dense.data, i));
    if (getNumber(mask.data, i) !== 0) return size > prunesBelow * threshold;
    return size > splicesAbove * threshold;
  });
}

/** max(mean of |w| + c · deviation, 0) over some tensors together, the deviation being that of |w|. */
export function surgeryThreshold(tensors: readonly HostTensor[], c: number): number {
  let [sum, squares, count] = [0, 0, 0];
  for (const { data } of tensors) {
    for (let i = 0; i < data.length; i++) {
      const w = getNumber(data, i);
      sum += Math.abs(w);
      squares += w * w;
      count++;
    }
  }
  const mean = sum / Math.max(1, count);
  const deviation = Math.sqrt(Math.max(0, squares / Math.max(1, count) - mean ** 2));
  return Math.max(0, mean + c * deviation);
}

function patientsOf(context: RecipeContext): Patient[] {
  const { graph, options, setting } = context;
  const layers = recipeLayers(context);
  const withBiases = layers.map((layer) => ({
    layer,
    tensors: [layer.weight, ...(setting("biases") >= 0.5 ? biasesOf(graph, layer) : [])],
  }));
  const tensorsOf = (names: readonly string[]): HostTensor[] => names.map((name) => graph.weights.get(name)!);
  const { sparsity } = options;
  if (sparsity === undefined) {
    return withBiases.map((p) => ({ ...p, threshold: surgeryThreshold(tensorsOf(p.tensors), setting("c")) }));
  }
  if (typeof sparsity === "object") {
    return withBiases.map((p) => {
      const [, share] = Object.entries(sparsity).find(([name]) => layerMatches(p.layer, name))!;
      return { ...p, threshold: quantile(tensorsOf(p.tensors), share) };
    });
  }
  // One c for all layers, such that the first operation cuts the share asked for.
  const cut = (c: number): number => {
    let [below, all] = [0, 0];
    for (const { tensors } of withBiases) {
      const list = tensorsOf(tensors);
      const threshold = prunesBelow * surgeryThreshold(list, c);
      for (const { data } of list) {
        all += data.length;
        for (let i = 0; i < data.length; i++) if (Math.abs(getNumber(data, i)) <= threshold) below++;
      }
    }
    return below / all;
  };
  let [low, high] = [-100, 100];
  for (let k = 0; k < 60; k++) {
    const middle = (low + high) / 2;
    if (cut(middle) < sparsity) low = middle;
    else high = middle;
  }
  return withBiases.map((p) => ({ ...p, threshold: surgeryThreshold(tensorsOf(p.tensors), high) }));
}

/** The threshold at which this share of the tensors' values is cut at first. */
function quantile(tensors: readonly HostTensor[], share: number): number {
  const sizes = Float64Array.from(
    tensors.flatMap(({ data }) =>
      Array.from({ length: data.length }, (_, i) => Math.abs(getNumber(data, i))),
    ),
  );
  const count = Math.round(share * sizes.length);
  return count === 0 ? 0 : nthSmallest(sizes, count - 1).value / prunesBelow;
}

/** Biases that the layer's nodes add themselves. */
function biasesOf(graph: Graph, layer: PrunableLayer): string[] {
  const nodes = graph.nodes.filter((node) => node.inputs.includes(layer.weight));
  const names = nodes
    .filter((node) => node.op === "Conv" || node.op === "Gemm")
    .map((node) => node.inputs[2] ?? "")
    .filter((name) => graph.weights.has(name));
  return [...new Set(names)];
}
