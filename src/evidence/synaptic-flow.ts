import { PruneError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { gradientGraph } from "../graph/gradient.ts";
import { type Graph, type GraphValue, makeGraph, withWeights } from "../graph/graph.ts";
import { chooseUnits, removedUnits, type UnitPool, unitState } from "../prune/budget.ts";
import { prunableLayers } from "../prune/layers.ts";
import { staticTypes } from "../prune/types.ts";
import { compile } from "../run/compile.ts";
import { getNumber, type HostTensor, tensor } from "../tensor/host-tensor.ts";
import { sizeOf } from "../tensor/shape.ts";
import { underMasks } from "../train/net.ts";
import type { Collector } from "./collector.ts";
import { flowGraph, meansOf } from "./flow-graph.ts";

const usualRounds = 100;
/** Where rounds go when no sparsity is given: the order in which weights fall then serves every sparsity below. */
const furthest = 0.9999;

/**
 * Synaptic flow |w · dR/dw| in rounds: round k keeps the share (1 - s)^(k/n) of the weights with the largest scores, over the
 * whole net. The last round is left to `prune`: weights that are still there have their scores then, those that fell in round
 * k are between k - n - 1 and k - n in the order of theirs, so that pruning to the sparsity of the rounds ends in their
 * masks. What is conserved is the flow through everything together, and past a shortcut it would go without the layers beside
 * it; so the best weight of every layer counts as the best of all.
 */
export const synapticFlow: Collector = {
  kind: "synapticFlow",
  needsData: false,
  async collect(context) {
    const { rounds = usualRounds, layers } = context;
    const sparsity = context.sparsity ?? furthest;
    if (!(sparsity >= 0 && sparsity < 1))
      throw new PruneError(`sparsity is ${sparsity}; a share from 0 to below 1 is needed.`);
    const flow = await openFlow(
      context.gpu,
      context.graph,
      layers.map((l) => l.weight),
    );
    try {
      const pools = layers.map(({ name, weight }): UnitPool => {
        const { data } = context.graph.weights.get(weight)!;
        const mask = context.graph.masks.get(weight)?.data;
        const states = Uint8Array.from({ length: data.length }, (_, i) =>
          mask?.[i] === 0 ? unitState.masked : getNumber(data, i) === 0 ? unitState.zero : unitState.live,
        );
        return { layer: name, states, scores: new Float64Array(data.length) };
      });
      const result = pools.map((pool) => new Float64Array(pool.scores.length).fill(-rounds - 1));
      const total = pools.reduce((n, pool) => n + pool.scores.length, 0);
      for (let k = 1; k <= rounds; k++) {
        const alive = pools.map((pool) => pool.states.map((s) => (s === unitState.live ? 1 : 0)));
        const scores = await flow.scores(alive);
        const most = scores.reduce((m, list) => list.reduce((a, b) => Math.max(a, b), m), 0);
        for (const [i, pool] of pools.entries()) {
          pool.scores.set(scores[i]!);
          const best = bestOf(pool);
          if (best >= 0) pool.scores[best] = 2 * most;
        }
        context.onProgress?.(k, rounds);
        if (k === rounds) break;
        const target = removedUnits(total, 1 - (1 - sparsity) ** (k / rounds));
        const flags = chooseUnits(pools, target);
        const falling: { readonly pool: number; readonly unit: number; readonly score: number }[] = [];
        for (const [i, { states, scores: own }] of pools.entries()) {
          for (const [unit, gone] of flags[i]!.entries())
            if (gone !== 0 && states[unit] !== unitState.masked)
              falling.push({ pool: i, unit, score: states[unit] === unitState.zero ? -1 : own[unit]! });
        }
        falling.sort((a, b) => a.score - b.score || a.pool - b.pool || a.unit - b.unit);
        for (const [rank, { pool, unit }] of falling.entries()) {
          result[pool]![unit] = k - rounds - 1 + rank / falling.length;
          pools[pool]!.states[unit] = unitState.masked;
        }
      }
      return new Map(
        layers.map(({ weight, shape }, i): [string, HostTensor] => {
          const { scores, states } = pools[i]!;
          const data = scores.map((s, unit) => (states[unit] === unitState.masked ? result[i]![unit]! : s));
          return [weight, { dtype: "f64", shape, data }];
        }),
      );
    } finally {
      flow.dispose();
    }
  },
};

/** The live unit with the highest score, the first of equal ones; -1 where none is alive. */
function bestOf({ scores, states }: UnitPool): number {
  let best = -1;
  for (const [unit, score] of scores.entries()) {
    if (states[unit] === unitState.live && (best < 0 || score > scores[best]!)) best = unit;
  }
  return best;
}

export interface Flow {
  /** |w · dR/dw| of every weight, given which are there; up to one common factor. */
  scores(alive: readonly Uint8Array[]): Promise<Float64Array[]>;
  dispose(): void;
}

/** Compiles the flow through a net and its derivatives by some weights. */
export async function openFlow(gpu: Gpu, graph: Graph, names: readonly string[]): Promise<Flow> {
  // Flow runs through what is skipped too.
  const all = prunableLayers(graph, staticTypes(graph)).map((l) => l.weight);
  const flow = flowGraph(withWeights(graph, underMasks(graph)), all);
  const { graph: backward, of } = gradientGraph(flow.graph, { loss: flow.flow, wrt: names });
  const outputs = [...of.values()].map((name): GraphValue => ({ name, dtype: "f32", shape: [] }));
  const input = flow.graph.inputs[0]!;
  const ones = tensor(new Float32Array(sizeOf(input.shape as number[])).fill(1), input.shape as number[]);
  const scaling = await compile(gpu, meansOf(flow), { variables: names });
  const session = await compile(gpu, makeGraph({ ...backward, outputs }), {
    variables: [...names, ...flow.cuts.map((c) => c.scale)],
  });
  return {
    async scores(alive) {
      const magnitudes = names.map((name, i) => {
        const whole = flow.graph.weights.get(name)!;
        const data = (whole.data as Float32Array).map((w, k) => (alive[i]![k] === 0 ? 0 : w));
        const value = { ...whole, data };
        scaling.write(name, value);
        session.write(name, value);
        return data;
      });
      const means = await scaling.run({ [input.name]: ones });
      for (const { value, scale } of flow.cuts) {
        session.write(scale, tensor([1 / Number(means[`${value}/mean/floored`]!.data[0])], [1]));
      }
      const slopes = await session.run({ [input.name]: ones });
      return names.map((name, i) => {
        const slope = of.get(name);
        const g = slope === undefined ? undefined : slopes[slope]!.data;
        return Float64Array.from(magnitudes[i]!, (w, k) => (g ? w * Number(g[k]) : 0));
      });
    },
    dispose() {
      scaling.dispose();
      session.dispose();
    },
  };
}
