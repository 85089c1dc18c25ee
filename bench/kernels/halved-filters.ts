import type { Gpu } from "../../src/gpu/gpu.ts";
import type { ColumnsPlace } from "../../src/plan/columns-place.ts";
import { weightFor } from "../../src/plan/contenders.ts";
import type { AdapterKind } from "../../src/plan/estimate.ts";
import { type Contender, type RaceOptions, race } from "../../src/plan/measure.ts";
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
  const whole = await finalists(gpu, placeOf(shape, batch), kind, budgetMs);
  const half = await finalists(gpu, placeOf(halfOf(shape), batch), kind, budgetMs);
  const started = performance.now();
  for (
    let round = 0;
    round < rounds && (round < leastRounds || performance.now() - started < budgetMs);
    round++
  ) {
    for (const { place, contender, times } of [...whole, ...half]) {
      const once: RaceOptions = { rounds: 1, leastRounds: 1, budgetMs: 0, drop: 2, sampleMs: 2 };
      const [result] = await race(gpu, place, [contender], once);
      times.push(result!.times[0]!);
    }
  }
  const [before, after] = [fastest(whole), fastest(half)];
  const ratio = spread(after.times.map((ms, round) => before.times[round]! / ms));
  return {
    kind: "filters",
    sparsity: 0.5,
    kernel: after.contender.ranked.variant.name,
    stored: 1,
    ms: spread(after.times),
    vsDirect: ratio,
    vsBest: ratio,
  };
}

interface Finalist {
  readonly place: ColumnsPlace;
  readonly contender: Contender;
  readonly times: number[];
}

const fastest = (list: readonly Finalist[]): Finalist =>
  [...list].sort((a, b) => spread(a.times).median - spread(b.times).median)[0]!;

async function finalists(
  gpu: Gpu,
  place: ColumnsPlace,
  kind: AdapterKind,
  budgetMs: number,
): Promise<Finalist[]> {
  const list = denseSide(weightFor(place)).flatMap((entrant) => candidates(place, entrant, kind));
  const timed = fastestFirst(await race(gpu, place, list, heat(budgetMs)));
  return timed.slice(0, denseFinalists).map(({ contender }) => ({ place, contender, times: [] }));
}
