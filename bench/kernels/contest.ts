import { SecateurError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { blockRowsOf, type Format, isHalf } from "../../src/kernels/columns/formats.ts";
import { roundedToHalf } from "../../src/kernels/columns/half.ts";
import type { WeightMatrix } from "../../src/kernels/columns/pack.ts";
import { storedDensity, takesWeight } from "../../src/kernels/columns/realise.ts";
import type { Variant } from "../../src/kernels/columns/variants.ts";
import type { ColumnsPlace } from "../../src/plan/columns-place.ts";
import { tried } from "../../src/plan/contenders.ts";
import { type AdapterKind, type Ranked, rank } from "../../src/plan/estimate.ts";
import { type RaceOptions, type RaceResult, race } from "../../src/plan/measure.ts";
import type { Contender } from "../../src/plan/runners.ts";
import { type Spread, spread } from "../../src/plan/stats.ts";
import { adapterKind } from "../../src/run/adapter-kind.ts";
import { randomPattern } from "./patterns.ts";

type Kind = "direct" | "winograd" | Exclude<Format, "dense">;

/** One weight in one format, or dense; the fastest of its kernels stands for it. */
export interface Entrant {
  /** "direct" (dense without Winograd, K split or not), "winograd", or a format. */
  readonly kind: Kind;
  readonly weight: WeightMatrix;
  /** Share of weights that are zero; 0 for a dense entrant. */
  readonly sparsity: number;
  readonly pattern?: string;
  /** May its kernels round what they load of x to half precision? */
  readonly rounds?: boolean;
  /** Only kernels that read x out of a texture, or only those that do not. */
  readonly texels?: boolean;
}

export interface Row {
  /** "filters": dense, with half of the filters and of the channels; its ratios are to the fastest dense kernel of all. */
  readonly kind: Kind | "filters";
  readonly sparsity: number;
  readonly pattern?: string;
  readonly rounds?: boolean;
  readonly kernel: string;
  /** Stored values over all values. */
  readonly stored: number;
  readonly ms: Spread;
  /** Times of the dense entrants over this one's, round by round: of the fastest direct, and of the fastest of all. */
  readonly vsDirect: Spread;
  readonly vsBest: Spread;
}

export interface ContestOptions {
  /** Rounds of the race that counts. */
  readonly rounds: number;
  /** No round is begun after this long. */
  readonly budgetMs: number;
}

/** The dense side of every contest. */
export const denseSide = (whole: WeightMatrix): readonly Entrant[] => [
  { kind: "direct", weight: whole, sparsity: 0 },
  { kind: "winograd", weight: whole, sparsity: 0 },
];

/** The weight in a format of its own, with a random share of that format's blocks gone; rounded where the format holds half precision. */
export function randomEntrant(
  whole: WeightMatrix,
  kind: Exclude<Format, "dense">,
  sparsity: number,
  seed: number,
): Entrant {
  const from = isHalf(kind) ? { ...whole, values: roundedToHalf(whole.values) } : whole;
  return { kind, weight: randomPattern(from, sparsity, blockRowsOf(kind), seed), sparsity };
}

/** The race that finds the fastest of an entrant's likeliest kernels, or of a dense one's the fastest two. */
export const heat = (budgetMs: number): RaceOptions => ({
  rounds: 5,
  budgetMs,
  leastRounds: 3,
  drop: 1.4,
  sampleMs: 1,
});

/**
 * Kernels of each dense entrant that run in the race that counts: one that a busy moment chose would make every ratio too large. Of sparse
 * ones the fastest does alone; one chosen so makes its own ratios too small.
 */
export const denseFinalists = 2;

/** Rounds of the race that counts, however long they take. */
export const leastRounds = 7;

/** What one of its samples lasts at least. */
export const sampleMs = 2;

/** Kernels tried per entrant before the race that counts; of Winograd's, per size of tile. */
const directTries = 7;
const winogradTries = 3;
const sparseTries = 4;

/**
 * For one layer: every entrant's likeliest kernels race briefly, each checked first; then the winners run in turn. The direct
 * side is also sparse kernels on the whole weight (`sparseOnWhole`): one that beats the dense kernels there would be a dense kernel. Where blocks
 * still are faster than their zeros explain, their own kernels join it and the race is run again.
 */
export async function contest(
  gpu: Gpu,
  place: ColumnsPlace,
  entrants: readonly Entrant[],
  options: ContestOptions,
): Promise<Row[]> {
  const [exact, rounding] = [adapterKind(gpu), adapterKind(gpu, "f16")];
  const heats = entrants.map((entrant) =>
    candidates(place, entrant, {
      ...(entrant.rounds ? rounding : exact),
      ...(entrant.texels === false && { texels: false }),
    }),
  );
  const timed = await race(gpu, place, heats.flat(), heat(4 * options.budgetMs));
  refuseWrong(place, timed);
  const running = entrants.flatMap((entrant, i): Running[] => {
    const own = fastestFirst(timed.filter((r) => heats[i]!.includes(r.contender)));
    return own
      .slice(0, entrant.sparsity === 0 ? denseFinalists : 1)
      .map(({ contender }) => ({ entrant, contender }));
  });
  for (let turn = 1; ; turn++) {
    const results = await race(
      gpu,
      place,
      running.map((r) => r.contender),
      { ...options, leastRounds, drop: Number.POSITIVE_INFINITY, sampleMs },
    );
    const rows = rowsOf(entrants, running, results);
    const beyond = impossible(rows);
    if (beyond.length === 0 || turn === mostTurns) return rows;
    running.push(...onWhole(entrants, running, beyond));
  }
}

interface Running {
  readonly entrant: Entrant;
  readonly contender: Contender;
}

/** Races that a layer gets until no row is impossible. */
const mostTurns = 3;

/** Rows of blocks that are faster than leaving their zeros out can make them: the dense side is weak there. */
export const impossible = <T extends Row>(rows: readonly T[]): T[] =>
  rows.filter((r) => r.kind.startsWith("block") && !r.rounds && r.vsDirect.median > 1 / (1 - r.sparsity));

/** The kernels of rows that beat the dense side by more than their zeros explain, as dense ones: on the whole weight. */
function onWhole(
  entrants: readonly Entrant[],
  running: readonly Running[],
  rows: readonly Row[],
): readonly Running[] {
  const direct = entrants.find(({ kind }) => kind === "direct");
  if (!direct) return [];
  const own = running.filter(({ entrant }) => entrant === direct);
  const kernels = new Map(
    running
      .filter(({ entrant: e }) => rows.some((r) => r.kind === e.kind && r.sparsity === e.sparsity))
      .map(({ contender }) => [contender.ranked.variant, contender.ranked] as const),
  );
  return [...kernels.values()]
    .filter(({ variant }) => !own.some(({ contender }) => contender.ranked.variant === variant))
    .map((ranked) => ({
      entrant: direct,
      contender: { ranked: { ...ranked, density: 1 }, weight: { ...direct.weight } },
    }));
}

/** A row per entrant that was timed: its fastest contender beside the fastest of the dense side, round by round. */
function rowsOf(
  entrants: readonly Entrant[],
  running: readonly Running[],
  results: readonly RaceResult[],
): Row[] {
  const times = (wanted: (kind: Entrant["kind"]) => boolean): readonly number[][] =>
    results
      .filter((_, i) => wanted(running[i]!.entrant.kind) && !running[i]!.entrant.rounds)
      .map((r) => [...r.times]);
  const direct = fastest(times((k) => k === "direct"));
  const best = fastest(times((k) => k === "direct" || k === "winograd"));
  return entrants.flatMap((entrant): Row[] => {
    const [first] = fastestFirst(results.filter((_, i) => running[i]!.entrant === entrant));
    if (!first) return [];
    const { contender, times: own } = first;
    return [
      {
        kind: entrant.kind,
        sparsity: entrant.sparsity,
        ...(entrant.pattern !== undefined && { pattern: entrant.pattern }),
        ...(entrant.rounds && { rounds: true }),
        kernel: contender.ranked.variant.name,
        stored: contender.ranked.density,
        ms: spread(own),
        vsDirect: spread(own.map((ms, round) => direct[round]! / ms)),
        vsBest: spread(own.map((ms, round) => best[round]! / ms)),
      },
    ];
  });
}

/** A kernel whose result is wrong is no slower kernel but a fault. Throws E_VERIFY. */
export function refuseWrong({ step }: ColumnsPlace, results: readonly RaceResult[]): void {
  const wrong = results.find(({ state }) => state === "wrong");
  if (!wrong) return;
  const { format, name } = wrong.contender.ranked.variant;
  throw new SecateurError("E_VERIFY", `${name} (${format}) gives a wrong result on ${step.name}.`);
}

/** Those that were timed, by their medians. */
export const fastestFirst = (results: readonly RaceResult[]): RaceResult[] =>
  results
    .filter(({ times }) => times.length > 0)
    .sort((a, b) => spread(a.times).median - spread(b.times).median);

/** The times, round by round, of whichever has the least median. */
function fastest(list: readonly (readonly number[])[]): readonly number[] {
  return [...list].sort((a, b) => spread(a).median - spread(b).median)[0]!;
}

/** Formats that hold any weight, on the direct side with nothing left out: clustered rows are blocks there. */
const sparseOnWhole = ["csr", "ell", "block2x1", "block4x1", "block8x1", "block16x1"] as const;

/**
 * The likeliest kernels of an entrant, by the cost model, with a weight of their own: a race drops what is slow for its weight, and no
 * entrant is to lose its kernels to another that is faster altogether.
 */
export function candidates(
  place: ColumnsPlace,
  { kind: entrant, weight: shared, texels }: Entrant,
  kind: AdapterKind,
): Contender[] {
  const weight = { ...shared };
  const { problem } = place;
  const sparse = (format: Format): Ranked[] =>
    rank(problem, format, storedDensity(problem, format, weight), kind).filter(
      ({ variant }) => takesWeight(problem, variant, weight) && (!texels || variant.texels),
    );
  const entering = (list: readonly Ranked[]): Contender[] => list.map((ranked) => ({ ranked, weight }));
  if (entrant === "dense-f16") return entering(sparse(entrant).slice(0, directTries));
  if (entrant !== "direct" && entrant !== "winograd") return entering(tried(sparse(entrant), sparseTries));
  const dense = rank(problem, "dense", 1, kind);
  const likeliest = (side: Variant["winograd"], tries: number): Ranked[] =>
    dense.filter((r) => r.variant.winograd === side).slice(0, tries);
  if (entrant === "winograd")
    return entering([...likeliest(2, winogradTries), ...likeliest(4, winogradTries)]);
  const whole = sparseOnWhole.flatMap((format) => sparse(format).slice(0, 1));
  return entering([...likeliest(0, directTries), ...whole]);
}
