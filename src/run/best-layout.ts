import { SecateurError } from "../errors.ts";
import type { CostedDraft, Draft } from "../plan/activations.ts";
import type { Choice } from "../plan/choose.ts";
import type { TuningTally } from "../plan/plan.ts";
import type { Step } from "../plan/program.ts";
import type { Timed, Tuning } from "../plan/tuning.ts";
import type { Entrant } from "./layout-race.ts";

/** A net with its activations in one layout, ready to run. */
export interface Built extends Entrant {
  readonly choices: ReadonlyMap<Step, Choice>;
  readonly tally: TuningTally | undefined;
}

/** Makes a net ready as its plan says, or with what the cost model says of every layer. */
export type Build = (one: Draft, estimated?: boolean) => Promise<Built>;

/** What a measured plan has to find the faster layout. */
export interface Measuring {
  /** How long each net took; undefined where there is no time left. */
  race(nets: readonly Built[]): Promise<readonly Timed[] | undefined>;
  /** Where outcomes are kept, and under which name: worked out only where layouts are to be told apart. */
  readonly tuning: Tuning;
  key(): string;
  /** A layout that is more than so many times as dear as the cheapest by the cost model is not measured. */
  readonly reach: number;
}

interface Settled {
  readonly built: Built;
  /** Why in this layout; undefined where there is no other. */
  readonly reason: string | undefined;
}

/** Beyond so many times the time of the fastest, with the kernels that the cost model chose, measuring kernels would hardly help. */
const close = 1.05;

/**
 * The net in the layout that the cost model takes for the cheapest; or, where a plan is measured, in the one that is faster as a whole. A
 * layer's kernels are measured for one layout, so a layout that is far behind before that is not taken any further.
 */
export async function inBestLayout(
  drafts: readonly CostedDraft[],
  build: Build,
  measuring: Measuring | undefined,
): Promise<Settled> {
  const [first, second] = drafts as [CostedDraft, CostedDraft?];
  if (!second) return { built: await build(first), reason: undefined };
  const both = [first, second] as const;
  const ratio = (second.cost / first.cost).toFixed(2);
  const estimated = `${second.activations} ${ratio}x as dear by the cost model`;
  if (!measuring || second.cost > measuring.reach * first.cost)
    return { built: await build(first), reason: estimated };
  const key = measuring.key();
  const known = measuring.tuning.get(key);
  if (known) return { built: await build(fastest(both, known)), reason: `measured before: ${told(known)}` };

  const heat = await raced(both, (one) => build(one, true), measuring);
  if (typeof heat === "string") return { built: await build(first), reason: `${estimated}; ${heat}` };
  for (const { device } of heat.nets) device.dispose();
  if (lead(heat.timed) > close) {
    const built = await build(fastest(both, heat.timed));
    await keep(measuring, key, heat.timed);
    return { built, reason: `measured with estimated kernels: ${told(heat.timed)}` };
  }
  const final = await raced(both, build, measuring);
  if (typeof final === "string") return { built: await build(first), reason: `${estimated}; ${final}` };
  await keep(measuring, key, final.timed);
  const winner = fastest(final.nets, final.timed);
  const loser = final.nets.find((net) => net !== winner)!;
  loser.device.dispose();
  return { built: { ...winner, tally: together(winner, loser) }, reason: `measured: ${told(final.timed)}` };
}

interface Raced {
  readonly nets: readonly Built[];
  readonly timed: readonly Timed[];
}

/** Builds nets and runs them in turn; where that cannot be, says why. */
async function raced(
  drafts: readonly Draft[],
  build: (one: Draft) => Promise<Built>,
  { race }: Measuring,
): Promise<Raced | string> {
  const nets: Built[] = [];
  let timed: readonly Timed[] | undefined;
  try {
    for (const one of drafts) nets.push(await build(one));
    timed = await race(nets);
    return timed ? { nets, timed } : "not measured: the budget was used up";
  } catch (error) {
    if (error instanceof SecateurError && error.code === "E_MEMORY")
      return "not measured: memory does not hold the net in both layouts";
    throw error;
  } finally {
    if (!timed) for (const { device } of nets) device.dispose();
  }
}

const keep = ({ tuning }: Measuring, key: string, timed: readonly Timed[]): Promise<void> => {
  tuning.put(key, timed);
  return tuning.flush();
};

const byMs = (timed: readonly Timed[]): Timed[] => [...timed].sort((a, b) => a.ms! - b.ms!);

/** Times of the slowest over those of the fastest. */
const lead = (timed: readonly Timed[]): number => byMs(timed).at(-1)!.ms! / byMs(timed)[0]!.ms!;

const told = (timed: readonly Timed[]): string =>
  byMs(timed)
    .map(({ format, ms }) => `${format} ${ms!.toFixed(2)} ms`)
    .join(", ");

const fastest = <T extends { readonly activations: string }>(
  list: readonly T[],
  timed: readonly Timed[],
): T => list.find(({ activations }) => activations === byMs(timed)[0]!.format)!;

/** What measuring took of both nets; `now`, `before` and `skipped` are of the one that is kept. */
const together = ({ tally }: Built, other: Built): TuningTally | undefined =>
  tally && {
    ...tally,
    races: tally.races + other.tally!.races,
    seconds: tally.seconds + other.tally!.seconds,
  };
