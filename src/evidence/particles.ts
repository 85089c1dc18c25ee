import { InputError, internal } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { channelGroups } from "../prune/channel-groups.ts";
import type { Evidence } from "../prune/evidence.ts";
import { type PrunableLayer, prunableLayers } from "../prune/layers.ts";
import { silencedWeights } from "../prune/mask-filters.ts";
import { prune } from "../prune/prune.ts";
import { staticTypes } from "../prune/types.ts";
import { compile } from "../run/compile.ts";
import { getNumber, type HostTensor } from "../tensor/host-tensor.ts";
import { type Random, seeded } from "../tensor/random.ts";
import { underMasks } from "../train/net.ts";
import type { Calibration, CollectContext, Collector } from "./collector.ts";

/** Patterns at a time, and generations where nothing is said. */
const particleCount = 12;
const usualGenerations = 8;
/** Share of the filters whose place in a pattern is drawn anew from one generation to the next. */
const perturbed = 0.2;
/** Misclassified share that makes a particle e times less likely to be drawn again. */
const temperature = 0.02;

/** One pattern: 1 per filter that stays, by weight; and the share of images that the net gets wrong under it. */
interface Particle {
  readonly kept: ReadonlyMap<string, Uint8Array>;
  readonly errors: number;
}

/**
 * Sequential importance resampling over patterns of filters (Anwar et al. 2017, section 3): weigh every pattern by the misclassification
 * rate of the net under it, draw as many anew by their weights, perturb, repeat. All patterns have the sparsity asked for in every
 * layer; `rounds` are the generations.
 */
export const particles: Collector = {
  kind: "particles",
  needsData: true,
  async collect(context) {
    const { graph, layers, sparsity, rounds = usualGenerations, onProgress } = context;
    if (sparsity === undefined) {
      throw new InputError(
        "particles are patterns of one sparsity, so it must be known: pass it to collectEvidence too, as one number.",
      );
    }
    const random = seeded(context.seed);
    const judge = await openJudge(context, context.calibration());
    try {
      const evaluated = async (scores: Evidence["particles"] & {}): Promise<Particle> => {
        const skip = skippedOf(graph, layers);
        const options = {
          method: "particle",
          ...context.budget,
          sparsity,
          skip,
          keepShape: true,
          evidence: { particles: scores },
        };
        const masked = (await prune(graph, options)).graph;
        const kept = new Map(layers.map((l) => [l.weight, keptFilters(masked, l)]));
        return { kept, errors: await judge.errors(masked) };
      };
      let current: Particle[] = [];
      for (let i = 0; i < particleCount; i++) {
        current.push(await evaluated(scoresOf(layers, () => random.uniform())));
      }
      let best = bestOf(current);
      onProgress?.(1, rounds);
      for (let k = 2; k <= rounds; k++) {
        const next: Particle[] = [];
        for (const parent of resampled(current, random)) {
          next.push(await evaluated(scoresOf(layers, moved(parent, random))));
        }
        current = next;
        best = bestOf([best, ...current]);
        onProgress?.(k, rounds);
      }
      const weights = weightsOf(current);
      return scoresOf(layers, (weight, row) => {
        const share = current.reduce((s, p, i) => s + weights[i]! * p.kept.get(weight)![row]!, 0);
        return best.kept.get(weight)![row]! + share / 2;
      });
    } finally {
      judge.dispose();
    }
  },
};

/** A value per filter of every layer. */
const scoresOf = (
  layers: readonly PrunableLayer[],
  value: (weight: string, row: number) => number,
): Map<string, HostTensor> =>
  new Map(
    layers.map(({ weight, rows }) => {
      const data = Float64Array.from({ length: rows }, (_, row) => value(weight, row));
      return [weight, { dtype: "f64", shape: [rows], data }];
    }),
  );

/** A pattern with some of its places drawn anew: what stays is 1, what goes 0, and what was drawn somewhere between. */
export const moved =
  ({ kept }: Pick<Particle, "kept">, random: Random) =>
  (weight: string, row: number): number => {
    const draw = random.uniform();
    const value = random.uniform();
    return draw < perturbed ? value : kept.get(weight)![row]!;
  };

/** Shares that add up to 1: the fewer errors, the more. */
export function weightsOf(particles: readonly Pick<Particle, "errors">[]): number[] {
  const least = Math.min(...particles.map((p) => p.errors));
  const raw = particles.map((p) => Math.exp((least - p.errors) / temperature));
  const sum = raw.reduce((a, b) => a + b, 0);
  return raw.map((w) => w / sum);
}

/** As many particles, drawn by their weights with one draw for all (systematic resampling; Kitagawa 1996). */
export function resampled<T extends Pick<Particle, "errors">>(particles: readonly T[], random: Random): T[] {
  const weights = weightsOf(particles);
  const offset = random.uniform();
  let at = 0;
  let sum = weights[0]!;
  return particles.map((_, i) => {
    while (sum < (i + offset) / particles.length && at < particles.length - 1) sum += weights[++at]!;
    return particles[at]!;
  });
}

const bestOf = (list: readonly Particle[]): Particle =>
  list.reduce((best, p) => (p.errors < best.errors ? p : best));

/** Which filters of a layer hold anything. */
function keptFilters(graph: Graph, { weight, rows, shape, outAxis }: PrunableLayer): Uint8Array {
  const mask = graph.masks.get(weight)?.data;
  const kept = new Uint8Array(rows).fill(mask ? 0 : 1);
  if (!mask) return kept;
  const inner = shape.slice(outAxis + 1).reduce((a, b) => a * b, 1);
  for (let i = 0; i < mask.length; i++) {
    if (getNumber(mask, i) !== 0) kept[Math.floor(i / inner) % rows] = 1;
  }
  return kept;
}

/** Layers of which nothing is gathered are those that will be skipped. */
function skippedOf(graph: Graph, layers: readonly PrunableLayer[]): string[] {
  const names = new Set(layers.map((l) => l.weight));
  return prunableLayers(graph, staticTypes(graph)).flatMap((l) => (names.has(l.weight) ? [] : [l.weight]));
}

interface Judge {
  /** Share of the images that a net with other values of its filters gets wrong. */
  errors(graph: Graph): Promise<number>;
  dispose(): void;
}

/** The net, compiled once; what silencing filters changes are its variables. */
async function openJudge({ gpu, graph }: CollectContext, data: Calibration): Promise<Judge> {
  const variables = silencedWeights(channelGroups(graph, staticTypes(graph)));
  const session = await compile(gpu, graph, { plan: "estimated", variables, batch: data.batch });
  const input = graph.inputs[0] ?? internal("the net has no input");
  const output = graph.outputs[0] ?? internal("the net has no output");
  return {
    async errors(masked) {
      const values = underMasks(masked);
      for (const name of variables) session.write(name, values.get(name)!);
      let wrong = 0;
      for (const { images, targets } of data.batches()) {
        const logits = (await session.run({ [input.name]: images }))[output.name]!.data;
        for (let n = 0; n < data.batch; n++) {
          let best = 0;
          for (let c = 1; c < data.classes; c++) {
            if (Number(logits[n * data.classes + c]) > Number(logits[n * data.classes + best])) best = c;
          }
          if (Number(targets.data[n * data.classes + best]) !== 1) wrong++;
        }
      }
      return wrong / data.images;
    },
    dispose: () => session.dispose(),
  };
}
