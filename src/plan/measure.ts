import { SecateurError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { WeightMatrix } from "../kernels/columns/pack.ts";
import type { ColumnsPlace } from "./columns-place.ts";
import { type Contender, openTrack, type Runner, type Track } from "./runners.ts";

/** How long a race goes on. */
export interface RaceOptions {
  /** Most rounds; in each, every contender runs once. */
  readonly rounds: number;
  /** No round is begun after this long, once there are `leastRounds`. */
  readonly budgetMs: number;
  readonly leastRounds: number;
  /** Contenders this many times as slow as the best of their weight leave after two rounds. */
  readonly drop: number;
  /** Milliseconds that one sample lasts, at least. */
  readonly sampleMs: number;
  /**
   * When the race has to end, by `now`. Half of the time until then may go into checking contenders, in their order; those not
   * reached are "late", and so are all where not even one round is possible.
   */
  readonly deadline?: number;
  /** A clock in milliseconds; `performance.now` unless given. */
  readonly now?: () => number;
}

/** What choosing a layer's kernel takes. */
export const tuning: RaceOptions = { rounds: 7, budgetMs: 600, leastRounds: 3, drop: 2, sampleMs: 1 };

/** Milliseconds per run of each round that a contender took part in; none where its result was wrong, or time ran out. */
export interface RaceResult {
  readonly contender: Contender;
  readonly state: "timed" | "wrong" | "late";
  readonly times: readonly number[];
}

interface Racer {
  readonly runner: Runner;
  readonly times: number[];
}

/** Contenders made ready together where time is short: the next ones may not be wanted any more. */
const fewAtOnce = 4;

/**
 * Runs every contender of one layer on random data, checks it against a double-precision reference, and times them in turn
 * (A B C A B C …). A contender whose result is wrong is never timed; if that leaves none, throws E_VERIFY.
 */
export async function race(
  gpu: Gpu,
  place: ColumnsPlace,
  contenders: readonly Contender[],
  options: RaceOptions = tuning,
): Promise<RaceResult[]> {
  const { deadline, now = () => performance.now() } = options;
  const begun = now();
  const late = (share = 1): boolean => deadline !== undefined && now() >= begun + (deadline - begun) * share;
  const track = openTrack(gpu, place);
  try {
    const runners: Runner[] = [];
    const atOnce = deadline === undefined ? contenders.length : fewAtOnce;
    for (let from = 0; from < contenders.length && !late(0.5); from += atOnce)
      runners.push(...(await track.enter(contenders.slice(from, from + atOnce), () => late(0.5))));
    const racers = runners.filter(({ right }) => right).map((runner): Racer => ({ runner, times: [] }));
    if (racers.length === 0 && runners.length === contenders.length) {
      throw new SecateurError(
        "E_VERIFY",
        `layer "${place.step.name}": no kernel gives the right result on this adapter.`,
      );
    }
    await run(track, racers, options, late);
    return contenders.map((contender) => {
      const times = racers.find((r) => r.runner.contender === contender)?.times ?? [];
      const wrong = runners.some((r) => r.contender === contender && !r.right);
      return { contender, state: times.length > 0 ? "timed" : wrong ? "wrong" : "late", times };
    });
  } finally {
    track.close();
  }
}

/** Times the racers in turn, unless the deadline comes within the first round. */
async function run(
  track: Track,
  racers: readonly Racer[],
  options: RaceOptions,
  late: () => boolean,
): Promise<void> {
  const { now = () => performance.now() } = options;
  const repeats = new Map<Racer, number>();
  for (const racer of racers) {
    if (late()) return;
    repeats.set(racer, await repeatsOf(track, racer.runner, options.sampleMs));
  }
  let running = racers;
  const started = now();
  for (let round = 0; round < options.rounds; round++) {
    if (round >= options.leastRounds && now() - started > options.budgetMs) return;
    for (const racer of running) {
      if (late()) {
        if (round === 0) for (const { times } of racers) times.length = 0;
        return;
      }
      const times = repeats.get(racer)!;
      racer.times.push((await track.time(racer.runner, times)) / times);
    }
    if (round === 1) running = notFarBehind(running, options.drop);
  }
}

/** How often a runner runs in a sample of `sampleMs`, so that the sample is well above the clock's step; at most 64 times. */
export async function repeatsOf(track: Track, runner: Runner, sampleMs: number): Promise<number> {
  const ms = await track.time(runner, 1);
  return Math.max(1, Math.min(64, Math.ceil(sampleMs / Math.max(ms, 1e-3))));
}

/** Those less than `drop` times as slow as the best of their weight. */
function notFarBehind(racers: readonly Racer[], drop: number): Racer[] {
  const best = new Map<WeightMatrix, number>();
  for (const { runner, times } of racers) {
    const { weight } = runner.contender;
    best.set(weight, Math.min(best.get(weight) ?? Number.POSITIVE_INFINITY, ...times));
  }
  return racers.filter(
    ({ runner, times }) => Math.min(...times) <= drop * best.get(runner.contender.weight)!,
  );
}
