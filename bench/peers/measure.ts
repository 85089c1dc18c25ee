import { SecateurError } from "../../src/errors.ts";
import { spread } from "../../src/plan/stats.ts";
import { type LoadMark, loadMeter, markLoad } from "../load.ts";
import { type Case, caseName, flops, type Operands } from "./cases.ts";
import type { Client } from "./client.ts";
import type { EngineName } from "./engine.ts";
import { peerNames } from "./install.ts";
import type { Sample } from "./protocol.ts";
import { type Expected, judge } from "./reference.ts";
import { type PeersResult, type PeersRow, type Samples, timesOurs } from "./result.ts";
import { contaminatedFrom, keptRounds, roundsDone } from "./rounds.ts";

/** A shape to measure. */
export interface Work {
  readonly case: Case;
  /** Made when it is its turn: large operands need not all lie in memory. */
  make(): { operands: Operands; expected: Expected };
}

export type Failures = PeersResult["failures"][number][];

/**
 * A sample repeats a short operation, up to eight times, until it lasts about so long: far beyond the clock's step and the
 * millisecond between polls. Our sessions wait at every eighth pass of their own accord, so a power of two makes no wait but the
 * one at a sample's end.
 */
const sampleMs = 80;
const mostRepeats = 8;
const warmUps = 2;
/** Rounds that a shape gets even when its time is up. */
const leastRounds = 5;

export const isPeer = (name: EngineName): boolean => peerNames.some((p) => p === name);

export const wrongHere = (name: EngineName, reason: string, cause: unknown): SecateurError =>
  new SecateurError("E_VERIFY", `${name}, ${reason}`, {}, { cause });

/** Can the engine run the case at all? TensorFlow.js reads no ONNX files; a whole model has no marginal node. */
const takes = (name: EngineName, c: Case): boolean =>
  c.op !== "model" || (name !== "tfjs" && name !== "secateur, in a net");

/** How long a shape is measured: so many quiet rounds, but no longer than so many seconds. */
export interface Effort {
  readonly rounds: number;
  readonly mostSeconds: number;
}

/** One sample with the load of the machine around it. */
interface Timed extends Sample {
  readonly from: LoadMark;
  readonly to: LoadMark;
}

interface Entry {
  readonly client: Client;
  readonly kernel: string | undefined;
  readonly maxError: number;
  /** One per round. */
  readonly samples: Timed[];
  repeats: number;
}

/** One shape: every engine is checked and warmed up, then all are timed in turn. What a peer cannot do goes to `failures`. */
export async function measure(
  clients: readonly Client[],
  work: Work,
  { rounds, mostSeconds }: Effort,
  failures: Failures,
  say: (what: string) => void,
): Promise<PeersRow[]> {
  const c = work.case;
  const { operands, expected } = work.make();
  let entries: Entry[] = [];
  const fail = (contender: EngineName, reason: string): void => {
    failures.push({ contender, op: c.op, shape: caseName(c), reason });
  };
  const attempt = async ({ name }: Client, run: () => Promise<void>): Promise<void> => {
    try {
      await run();
    } catch (error) {
      const reason = (error as Error).message;
      if (!isPeer(name)) throw wrongHere(name, `${c.op} ${caseName(c)}: ${reason}`, error);
      fail(name, reason);
      entries = entries.filter((e) => e.client.name !== name);
    }
  };
  for (const client of clients.filter(({ name }) => takes(name, c))) {
    say(`checking ${client.name}`);
    await attempt(client, async () => {
      const { output, kernel } = await client.prepare(c, operands);
      const entry: Entry = {
        client,
        kernel,
        maxError: judge("it", output, expected),
        samples: [],
        repeats: 1,
      };
      for (let i = 0; i < warmUps; i++)
        entry.repeats = repeatsFor(await client.sample(entry.repeats), entry.repeats);
      entries.push(entry);
    });
  }
  const start = performance.now();
  const loads: number[] = [];
  const least = Math.min(leastRounds, rounds);
  const timeIsUp = (): boolean => performance.now() - start > mostSeconds * 1000;
  while (!roundsDone(loads, { wanted: rounds, least, timeIsUp: timeIsUp() })) {
    say(`round ${loads.length + 1}`);
    for (const entry of [...entries]) {
      await attempt(entry.client, async () => {
        const from = markLoad();
        const sample = await entry.client.sample(entry.repeats);
        entry.samples.push({ ...sample, from, to: markLoad() });
      });
    }
    loads.push(otherCpus(entries.map((e) => e.samples.at(-1)!)));
  }
  for (const { client } of entries) await attempt(client, () => client.release());
  const kept = keptRounds(loads, rounds, least);
  const dropped = loads.length - kept.length;
  const samples = entries.map(
    (e): Samples => ({ contender: e.client.name, ms: kept.map((i) => e.samples[i]!.ms) }),
  );
  return entries.flatMap((e, i): PeersRow[] => {
    const { contender, ms } = samples[i]!;
    if (spread(ms).median > 0) return [rowOf(c, e, { kept, dropped, samples })];
    fail(contender, "its marginal time drowns in the noise.");
    return [];
  });
}

/** A power of two. */
function repeatsFor({ wallMs }: Sample, repeats: number): number {
  const fit = Math.min(mostRepeats, (sampleMs * repeats) / wallMs);
  return 2 ** Math.max(0, Math.round(Math.log2(fit)));
}

function otherCpus(samples: readonly Timed[]): number {
  const meter = loadMeter();
  for (const { from, to, cpuMs } of samples) meter.add(from, to, cpuMs);
  return meter.otherCpus();
}

interface Kept {
  readonly kept: readonly number[];
  readonly dropped: number;
  readonly samples: readonly Samples[];
}

function rowOf(c: Case, e: Entry, { kept, dropped, samples }: Kept): PeersRow {
  const contender = e.client.name;
  const ms = spread(samples.find((s) => s.contender === contender)!.ms);
  const load = otherCpus(kept.map((i) => e.samples[i]!));
  return {
    op: c.op,
    shape: caseName(c),
    contender,
    ms,
    gflops: flops(c) / ms.median / 1e6,
    timesOurs: timesOurs(samples, contender),
    otherCpus: load,
    contaminated: load > contaminatedFrom,
    droppedRounds: dropped,
    checked: true,
    maxError: e.maxError,
    repeats: e.repeats,
    kernel: e.kernel,
  };
}
