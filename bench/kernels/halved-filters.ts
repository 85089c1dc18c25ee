import type { Gpu } from "../../src/gpu/gpu.ts";
import type { ColumnsPlace } from "../../src/plan/columns-place.ts";
import { weightFor } from "../../src/plan/contenders.ts";
import type { AdapterKind } from "../../src/plan/estimate.ts";
import { race, repeatsOf } from "../../src/plan/measure.ts";
import { type Contender, openTrack, type Runner, type Track } from "../../src/plan/runners.ts";
import { spread } from "../../src/plan/stats.ts";
import {
  type ContestOptions,
  candidates,
  denseFinalists,
  denseSide,
  fastestFirst,
  heat,
  leastRounds,
  type Row,
  sampleMs,
} from "./contest.ts";
import { placeOf, type Shape } from "./shapes.ts";

/** The layer with half of its filters, and half of those of the layer before. */
const halfOf = (shape: Shape): Shape => ({ ...shape, rows: shape.rows / 2, channels: shape.channels / 2 });

/** The fastest dense kernel, Winograd's among them, of a layer and of its half, in turn: a quarter of the multiply-adds. */
export async function halvedFilters(
  gpu: Gpu,
  shape: Shape,
  batch: number,
  kind: AdapterKind,
  { rounds, budgetMs }: ContestOptions,
): Promise<Row> {
  const places = [shape, halfOf(shape)].map((s) => placeOf(s, batch));
  const chosen: Contender[][] = [];
  for (const place of places) chosen.push(await finalists(gpu, place, kind, budgetMs));
  const tracks = places.map((place) => openTrack(gpu, place));
  try {
    const sides: Timed[][] = [];
    for (const [i, track] of tracks.entries()) sides.push(await enter(track, chosen[i]!));
    const started = performance.now();
    for (
      let round = 0;
      round < rounds && (round < leastRounds || performance.now() - started < budgetMs);
      round++
    ) {
      for (const { track, runner, repeats, times } of sides.flat())
        times.push((await track.time(runner, repeats)) / repeats);
    }
    const [before, after] = [fastest(sides[0]!), fastest(sides[1]!)];
    const ratio = spread(after.times.map((ms, round) => before.times[round]! / ms));
    return {
      kind: "filters",
      sparsity: 0.5,
      kernel: after.runner.contender.ranked.variant.name,
      stored: 1,
      ms: spread(after.times),
      vsDirect: ratio,
      vsBest: ratio,
    };
  } finally {
    for (const track of tracks) track.close();
  }
}

interface Timed {
  readonly track: Track;
  readonly runner: Runner;
  readonly repeats: number;
  readonly times: number[];
}

const fastest = (list: readonly Timed[]): Timed =>
  [...list].sort((a, b) => spread(a.times).median - spread(b.times).median)[0]!;

/** Those of the contenders whose result is right, as it was in their heat. */
async function enter(track: Track, contenders: readonly Contender[]): Promise<Timed[]> {
  const runners = (await track.enter(contenders)).filter(({ right }) => right);
  const timed: Timed[] = [];
  for (const runner of runners)
    timed.push({ track, runner, repeats: await repeatsOf(track, runner, sampleMs), times: [] });
  return timed;
}

async function finalists(
  gpu: Gpu,
  place: ColumnsPlace,
  kind: AdapterKind,
  budgetMs: number,
): Promise<Contender[]> {
  const list = denseSide(weightFor(place)).flatMap((entrant) => candidates(place, entrant, kind));
  const timed = fastestFirst(await race(gpu, place, list, heat(budgetMs)));
  return timed.slice(0, denseFinalists).map(({ contender }) => contender);
}
