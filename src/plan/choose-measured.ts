import type { Gpu } from "../gpu/gpu.ts";
import type { Budget } from "./budget.ts";
import { type Choice, layerPlan } from "./choose.ts";
import type { ColumnsPlace } from "./columns-place.ts";
import { type Field, fieldOf, weightFor } from "./contenders.ts";
import type { AdapterKind, Ranked } from "./estimate.ts";
import { type RaceResult, race, tuning as raceOptions } from "./measure.ts";
import type { Candidate, TuningTally } from "./plan.ts";
import type { Step } from "./program.ts";
import { decide, sayMeasured, sayUnmeasured } from "./reason.ts";
import { spread } from "./stats.ts";
import type { Timed, Tuning } from "./tuning.ts";

/** Of a budget that is left, the share that one race may take. */
const slice = 1 / 3;
/** What is left of a budget is left alone when it is less than this share of it: too little for a race. */
const leastSlice = 0.05;
/** What has been measured is written when this many milliseconds have passed, in case there is no end. */
const flushMs = 10_000;

export interface MeasuredChoices {
  /** In order of the places. */
  readonly choices: Map<Step, Choice>;
  readonly tally: TuningTally;
}

/** How the races of one key went. `dense` and `all` are what is known of them, undefined where time ran out before. */
interface Outcome {
  readonly first: Field;
  /** Measured now, in whole or in part? */
  readonly fresh: boolean;
  readonly dense: readonly Timed[] | undefined;
  readonly all: readonly Timed[] | undefined;
}

/**
 * Measures the candidates of every layer and takes the fastest, dense always among them: first the dense variants race on
 * the layer's geometry, then their winner races with the best variants of every sparse format, in turn. A race that is known
 * from before, or from an equal layer, is not run again. The layers that cost most by the cost model are measured first;
 * with a budget, a race gets a third of what is left and may reach only some contenders, and the model decides about the
 * layers that time does not reach.
 */
export async function chooseMeasured(
  gpu: Gpu,
  places: ReadonlyMap<Step, ColumnsPlace>,
  kind: AdapterKind,
  tuning: Tuning,
  budget?: Budget,
  onProgress?: (done: number, total: number, what: string) => void,
): Promise<MeasuredChoices> {
  const began = performance.now();
  const fields = new Map([...places].map(([step, place]) => [step, fieldOf(place, kind)]));
  const groups = dearestFirst([...fields.values()]);
  const started = performance.now();
  const deadline = budget && began + budget.left;
  const rest = budget ? budget.left * leastSlice : 0;
  const outcomes = new Map<string, Outcome>();
  /** Keys of races run now. */
  const run = new Set<string>();
  let races = 0;
  let flushed = started;
  try {
    for (const [i, field] of groups.entries()) {
      onProgress?.(i, groups.length, field.place.step.name);
      outcomes.set(field.key, await settle(field));
      if (performance.now() - flushed < flushMs) continue;
      await tuning.flush();
      flushed = performance.now();
    }
  } finally {
    if (budget) budget.left = Math.max(0, budget.left - (performance.now() - began));
    await tuning.flush();
  }
  const choices = new Map<Step, Choice>();
  const layers = { now: 0, before: 0, skipped: 0 };
  for (const [step, field] of fields) {
    const outcome = outcomes.get(field.key)!;
    choices.set(step, choiceOf(field, outcome, budget));
    layers[!outcome.all ? "skipped" : outcome.fresh ? "now" : "before"]++;
  }
  const seconds = races === 0 ? 0 : Number(((performance.now() - started) / 1000).toFixed(3));
  return { choices, tally: { races, ...layers, seconds } };

  async function settle(field: Field): Promise<Outcome> {
    const dense = field.dense.length > 0 ? await timed(field.denseKey, field, field.dense) : [];
    const winner = dense && fastest(field.dense, dense);
    const against = winner ? [winner] : [];
    const raced = (winner || field.dense.length === 0) && field.sparse.length > 0;
    const all = raced ? await timed(field.key, field, [...against, ...field.sparse]) : dense;
    return { first: field, fresh: run.has(field.denseKey) || run.has(field.key), dense, all };
  }

  /** What is known of the contenders, by a race if need be; undefined where there is no time for one. */
  async function timed(
    key: string,
    field: Field,
    contenders: readonly Ranked[],
  ): Promise<readonly Timed[] | undefined> {
    const known = tuning.get(key);
    if (known && answers(known, contenders, deadline === undefined)) return known;
    const now = performance.now();
    if (run.has(key) || (deadline !== undefined && now >= deadline - rest)) return undefined;
    races++;
    run.add(key);
    const weight = weightFor(field.place);
    const results = await race(
      gpu,
      field.place,
      contenders.map((ranked) => ({ ranked, weight })),
      { ...raceOptions, ...(deadline !== undefined && { deadline: now + (deadline - now) * slice }) },
    );
    const list = results.filter(({ state }) => state !== "late").map(timedFrom);
    if (!answers(list, contenders, false)) return undefined;
    tuning.put(key, list);
    return list;
  }
}

/** More digits than a measurement has, and fewer than it is written with. */
const digits = (ms: number): number => Number(ms.toPrecision(6));

/** One field per key, those first whose layers cost most together. */
function dearestFirst(fields: readonly Field[]): Field[] {
  const groups = new Map<string, { field: Field; cost: number }>();
  for (const field of fields) {
    const group = groups.get(field.key);
    if (group) group.cost += field.cost;
    else groups.set(field.key, { field, cost: field.cost });
  }
  return [...groups.values()].sort((a, b) => b.cost - a.cost).map(({ field }) => field);
}

const timedOf = (ranked: Ranked, list: readonly Timed[]): Timed | undefined =>
  list.find((t) => t.format === ranked.variant.format && t.kernel === ranked.variant.name);

function timedFrom({ contender: { ranked }, times }: RaceResult): Timed {
  const name = { format: ranked.variant.format, kernel: ranked.variant.name };
  if (times.length === 0) return name;
  const { median, p10, p90, samples } = spread(times);
  return { ...name, ms: digits(median), p10: digits(p10), p90: digits(p90), samples };
}

/**
 * Does a list say which contender is fastest? In full when it tells of every one, none by a single sample; where time is
 * short it is enough that the first one, which the others are compared with, and another were in the race.
 */
function answers(list: readonly Timed[], contenders: readonly Ranked[], inFull: boolean): boolean {
  const told = contenders.map((r) => timedOf(r, list));
  if (inFull && !told.every((t) => t && (t.ms === undefined || t.samples! >= 2))) return false;
  const reached = told.filter((t) => t !== undefined).length;
  return (
    told[0] !== undefined &&
    reached >= Math.min(2, contenders.length) &&
    told.some((t) => t?.ms !== undefined)
  );
}

/** The contender with the fewest milliseconds; undefined where none has any. */
function fastest(contenders: readonly Ranked[], list: readonly Timed[]): Ranked | undefined {
  const ms = (r: Ranked): number => timedOf(r, list)?.ms ?? Number.POSITIVE_INFINITY;
  const [best] = [...contenders].sort((a, b) => ms(a) - ms(b));
  return best && ms(best) < Number.POSITIVE_INFINITY ? best : undefined;
}

function choiceOf(field: Field, { first, fresh, dense, all }: Outcome, budget: Budget | undefined): Choice {
  const { place, density, sparse } = field;
  const winner = dense && fastest(field.dense, dense);
  const candidate = (ranked: Ranked, list: readonly Timed[] = []): Candidate => ({
    format: ranked.variant.format,
    kernel: ranked.variant.name,
    estimate: Number((ranked.cost / 1e6).toFixed(3)),
    ...times(timedOf(ranked, list)),
  });
  const best = fastest(sparse, sparse.length > 0 ? (all ?? []) : []);
  if (!all || (!winner && !best)) {
    const cheapest = [...field.dense, ...sparse].sort((a, b) => a.cost - b.cost)[0]!;
    const chosen = winner && cheapest.variant.format === "dense" ? winner : cheapest;
    const candidates = [...field.dense.map((r) => candidate(r, dense)), ...sparse.map((r) => candidate(r))];
    return layerPlan(place, chosen, density, candidates, sayUnmeasured(field, chosen, winner, budget!));
  }
  const reached = candidatesReached(field, dense ?? [], all);
  const like = first === field ? undefined : first.place.step.name;
  if (!winner) {
    const reason = sayMeasured({
      field,
      reached,
      chosen: best!,
      best,
      ratio: undefined,
      before: !fresh,
      like,
    });
    return layerPlan(
      place,
      best!,
      density,
      sparse.map((r) => candidate(r, all)),
      reason,
    );
  }
  const denseMs = timedOf(winner, all)?.ms ?? timedOf(winner, dense)!.ms!;
  const verdict = decide(denseMs, best && timedOf(best, all)!.ms!);
  const chosen = verdict.sparse ? best! : winner;
  const candidates = [
    ...(sparse.length > 0 ? [winner, ...sparse].map((r) => candidate(r, all)) : []),
    ...field.dense.filter((r) => sparse.length === 0 || r !== winner).map((r) => candidate(r, dense)),
  ];
  return layerPlan(
    place,
    chosen,
    density,
    candidates,
    sayMeasured({ field, reached, chosen, best, ratio: verdict.ratio, before: !fresh, like }),
  );
}

/** How many contenders of a field ran. */
const candidatesReached = ({ dense, sparse }: Field, ...lists: readonly (readonly Timed[])[]): number =>
  [...dense, ...sparse].filter((r) => lists.some((list) => timedOf(r, list))).length;

function times(t: Timed | undefined): Pick<Candidate, "ms" | "p10" | "p90" | "samples"> {
  if (t?.ms === undefined) return {};
  const { ms, p10, p90, samples } = t;
  return {
    ms,
    ...(p10 !== undefined && { p10 }),
    ...(p90 !== undefined && { p90 }),
    ...(samples !== undefined && { samples }),
  };
}
