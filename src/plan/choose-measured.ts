import type { Gpu } from "../gpu/gpu.ts";
import type { WeightMatrix } from "../kernels/columns/pack.ts";
import { type Choice, densityOf, formatsFor, layerPlan, ranked, weightOf } from "./choose.ts";
import type { ColumnsPlace } from "./columns-place.ts";
import type { AdapterKind, Ranked } from "./estimate.ts";
import { race } from "./measure.ts";
import type { Candidate } from "./plan.ts";
import { spread } from "./stats.ts";

/** How much faster than dense a sparse kernel must measure before it is taken: beyond the noise of one measurement. */
const margin = 0.97;
/** Dense variants tried once per geometry, and variants tried per sparse format. */
const denseTries = 6;
const sparseTries = 2;

/** Measured dense winners by adapter and geometry, so that fifty equal layers are tuned once. */
export type DenseCache = Map<string, string>;

/**
 * Measures the candidates of one layer and takes the fastest, dense always among them. First the dense variants are
 * ranked on this geometry (cached); then the dense winner runs against the best variants of every sparse format, in turn.
 */
export async function chooseMeasured(
  gpu: Gpu,
  place: ColumnsPlace,
  kind: AdapterKind,
  cache: DenseCache,
): Promise<Choice> {
  const { step, problem } = place;
  const density = densityOf(step);
  const weight = weightOf(step) ?? {
    rows: step.rows,
    k: problem.k,
    values: new Float32Array(step.rows * problem.k).fill(0.5),
  };
  const dense = ranked(place, "dense", kind);
  const key = geometryKey(place);
  let winner = dense.find((r) => r.variant.name === cache.get(key));
  const seen: Candidate[] = [];
  if (!winner) {
    const measured = await measureCandidates(gpu, place, weight, dense.slice(0, denseTries));
    seen.push(...measured);
    winner = dense.find((r) => r.variant.name === fastest(measured)!.kernel)!;
    cache.set(key, winner.variant.name);
  }
  const sparse = formatsFor(place, density)
    .filter((f) => f !== "dense")
    .flatMap((format) => worthTrying(ranked(place, format, kind)));
  if (sparse.length === 0) return layerPlan(place, winner, density, seen, "dense: nothing to skip");
  const candidates = [winner, ...sparse];
  const measured = await measureCandidates(gpu, place, weight, candidates);
  const denseMs = measured[0]!.ms ?? Number.POSITIVE_INFINITY;
  const best = fastest(measured.slice(1));
  const all = [...measured, ...seen.filter((s) => s.kernel !== measured[0]!.kernel)];
  if (!best || best.ms! > denseMs * margin) {
    const reason = best
      ? `dense measured fastest (best sparse ${(best.ms! / denseMs).toFixed(2)}x its time)`
      : "dense measured fastest";
    return layerPlan(place, winner, density, all, reason);
  }
  const chosen = candidates.find((r) => r.variant.format === best.format && r.variant.name === best.kernel)!;
  return layerPlan(
    place,
    chosen,
    density,
    all,
    `measured ${(denseMs / best.ms!).toFixed(2)}x faster than dense`,
  );
}

/** A sparse format that stores nearly everything cannot win; do not spend a measurement on it. */
const worthTrying = (list: readonly Ranked[]): Ranked[] =>
  list.length === 0 || list[0]!.density > 0.85 ? [] : list.slice(0, sparseTries);

const fastest = (list: readonly Candidate[]): Candidate | undefined =>
  list.filter((c) => c.ms !== undefined).sort((a, b) => a.ms! - b.ms!)[0];

function geometryKey({ problem: p }: ColumnsPlace): string {
  const grid = (g: { base: number; channel: number; steps: readonly number[] }): string =>
    `${g.base},${g.channel},${g.steps}`;
  return [
    p.groups,
    p.rowsPerGroup,
    p.k,
    p.out,
    p.batch,
    p.xBase,
    p.xSteps,
    p.xGroup,
    p.taps.at(1),
    p.taps.at(-1),
    grid(p.y),
    p.residual ? grid(p.residual) : "-",
  ].join(" ");
}

/** What the race says of every candidate, in order; one whose result was wrong has no milliseconds. */
async function measureCandidates(
  gpu: Gpu,
  place: ColumnsPlace,
  weight: WeightMatrix,
  candidates: readonly Ranked[],
): Promise<Candidate[]> {
  const results = await race(
    gpu,
    place,
    candidates.map((ranked) => ({ ranked, weight })),
  );
  return results.map(({ contender, times }) => ({
    format: contender.ranked.variant.format,
    kernel: contender.ranked.variant.name,
    ...(times.length > 0 && timing(times)),
  }));
}

function timing(times: readonly number[]): Pick<Candidate, "ms" | "p10" | "p90" | "samples"> {
  const { median: ms, p10, p90, samples } = spread(times);
  return { ms, p10, p90, samples };
}
