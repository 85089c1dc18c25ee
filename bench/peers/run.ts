import { SecateurError } from "../../src/errors.ts";
import { spread } from "../../src/report/stats.ts";
import {
  type Case,
  type CaseSet,
  caseName,
  checkCases,
  flops,
  type Operands,
  opCases,
  operandsOf,
} from "./cases.ts";
import { type Client, startEngine } from "./client.ts";
import { type AdapterKind, type EngineName, engineNames } from "./engine.ts";
import { installCommand, type PeerName, peerNames, whyMissing } from "./install.ts";
import { type LoadMeter, loadMeter, markLoad } from "./load.ts";
import { modelWork } from "./model.ts";
import type { PreparedReply, Sample } from "./protocol.ts";
import { type Expected, expectedOf, judge } from "./reference.ts";
import {
  bestPeers,
  contaminatedFrom,
  type PeerState,
  type PeersResult,
  type PeersRow,
  type Samples,
  summarise,
  timesOurs,
} from "./result.ts";

export interface PeersOptions {
  readonly set?: CaseSet;
  /** Samples per row; 9 unless said. */
  readonly rounds?: number;
  readonly seed?: number;
  readonly adapter?: AdapterKind;
  /** Only these; all unless said. */
  readonly peers?: readonly PeerName[];
  /** Only shapes whose name contains this. */
  readonly only?: string;
  readonly onProgress?: (message: string, done?: number, total?: number) => void;
}

/** A sample repeats a short operation until it lasts about so long: beyond the clock's step and the millisecond between polls. */
const sampleMs = 80;
const mostRepeats = 32;
const warmUps = 2;
/** A shape's rounds end after so many seconds, but not before the fifth. */
const mostSeconds = 60;
const leastRounds = 5;

type Failures = { contender: EngineName; op: Case["op"]; shape: string; reason: string }[];

/** Can the engine run the case at all? TensorFlow.js reads no ONNX files; a whole model has no marginal node. */
const takes = (name: EngineName, c: Case): boolean =>
  c.op !== "model" || (name !== "tfjs" && name !== "secateur, in a net");

/**
 * Ours beside the other WebGPU engines on one adapter: every engine in its own process, checked at odd sizes, then shape by
 * shape checked and timed in turn, round by round. Throws where no peer can be loaded and where our own result is wrong.
 */
export async function runPeers(options: PeersOptions = {}): Promise<PeersResult> {
  const { set = "default", rounds = set === "quick" ? 3 : 9, seed = 1, adapter = "any", only = "" } = options;
  const progress = options.onProgress ?? (() => undefined);
  const wanted = options.peers ?? peerNames;
  const clients: Client[] = [];
  const contenders: PeerState[] = [];
  const absent = wanted.map((name): PeerState => ({ name, state: "missing", reason: whyMissing(name) }));
  if (absent.every((p) => p.reason !== undefined)) throw noPeer(absent);
  try {
    for (const name of engineNames) {
      const peer = peerNames.find((p) => p === name);
      if (peer !== undefined && !wanted.includes(peer)) continue;
      progress(`starting ${name}`);
      const { client, state } = await start(name, adapter, clients[0]);
      contenders.push(state);
      if (client) clients.push(client);
    }
    let active: readonly Client[] = clients;
    const needPeer = (): void => {
      if (!active.some(isPeer)) throw noPeer(contenders);
    };
    needPeer();
    const rows: PeersRow[] = [];
    const failures: Failures = [];
    for (const c of checkCases) {
      progress(`checking ${c.op} ${caseName(c)}`);
      active = await check(active, c, seed, contenders);
      needPeer();
    }
    const works = worksOf(set, seed, only);
    for (const [i, work] of works.entries()) {
      const say = (what: string): void =>
        progress(`${work.case.op} ${caseName(work.case)}: ${what}`, i, works.length);
      rows.push(...(await measure(active, work, rounds, failures, say)));
    }
    const best = bestPeers(rows);
    const { environment } = clients[0]!.facts;
    return {
      environment: environment!,
      rounds,
      contenders,
      rows,
      best,
      failures,
      summary: summarise(rows, best),
    };
  } finally {
    for (const client of clients) client.close();
  }
}

function noPeer(contenders: readonly PeerState[]): SecateurError {
  const why = contenders.flatMap((c) => (c.reason ? [`${c.name}: ${c.reason}`] : [])).join("; ");
  return new SecateurError(
    "E_UNSUPPORTED",
    `there is no peer to compare with. Install them with \`${installCommand}\`. ${why}`,
  );
}

interface Work {
  readonly case: Case;
  /** Made when it is its turn: large operands need not all lie in memory. */
  make(): { operands: Operands; expected: Expected };
}

function worksOf(set: CaseSet, seed: number, only: string): Work[] {
  const works: Work[] = opCases(set).map((c) => ({
    case: c,
    make() {
      const operands = operandsOf(c, seed);
      return { operands, expected: expectedOf(c, operands, seed) };
    },
  }));
  if (set !== "quick") {
    const model = modelWork(8, seed);
    works.push({ case: model.case, make: () => model });
  }
  const chosen = works.filter((w) => `${w.case.op} ${caseName(w.case)}`.includes(only));
  if (chosen.length === 0) {
    const names = works.map((w) => `"${w.case.op} ${caseName(w.case)}"`).join(", ");
    throw new SecateurError("E_INPUT", `no shape of this set contains "${only}"; there are ${names}.`);
  }
  return chosen;
}

/** Ours must start; a peer that does not, or that computes elsewhere, is missing for a reason. */
async function start(
  name: EngineName,
  adapter: AdapterKind,
  ours: Client | undefined,
): Promise<{ client?: Client; state: PeerState }> {
  const peer = peerNames.find((p) => p === name);
  const missing = (reason: string): { state: PeerState } => ({ state: { name, state: "missing", reason } });
  const absent = peer && whyMissing(peer);
  if (absent !== undefined) return missing(`${absent}. Run \`${installCommand}\`.`);
  let client: Client;
  try {
    client = await startEngine(name, adapter);
  } catch (error) {
    const { message } = error as Error;
    if (peer === undefined) throw new SecateurError("E_GPU", `${name}: ${message}`, {}, { cause: error });
    return missing(message);
  }
  const { version, adapterKey, adapterReported } = client.facts;
  if (ours && adapterKey !== ours.facts.adapterKey) {
    client.close();
    return missing(`it computes on ${adapterKey}, not on ${ours.facts.adapterKey}.`);
  }
  return { client, state: { name, state: "ran", version, adapterReported } };
}

/**
 * One case that is only checked. A peer that gets it wrong is out of the whole run, as if it were missing: its timings would
 * mean nothing. Returns who is left.
 */
async function check(
  clients: readonly Client[],
  c: (typeof checkCases)[number],
  seed: number,
  contenders: PeerState[],
): Promise<Client[]> {
  const operands = operandsOf(c, seed);
  const expected = expectedOf(c, operands, seed);
  const left: Client[] = [];
  for (const client of clients) {
    try {
      const { output } = await client.prepare(c, operands);
      judge("it", output, expected);
      await client.release();
      left.push(client);
    } catch (error) {
      const reason = `${c.op} ${caseName(c)}: ${(error as Error).message}`;
      if (!isPeer(client)) throw wrongHere(client, reason, error);
      const at = contenders.findIndex((s) => s.name === client.name);
      contenders[at] = { ...contenders[at]!, state: "missing", reason };
      client.close();
    }
  }
  return left;
}

const isPeer = ({ name }: Client): boolean => peerNames.some((p) => p === name);

const wrongHere = ({ name }: Client, reason: string, cause: unknown): SecateurError =>
  new SecateurError("E_VERIFY", `${name}, ${reason}`, {}, { cause });

interface Entry {
  readonly client: Client;
  readonly prepared: Pick<PreparedReply, "kernel">;
  readonly maxError: number;
  readonly load: LoadMeter;
  readonly ms: number[];
  repeats: number;
}

/** One shape: every engine is checked, warmed up and then timed in turn. */
async function measure(
  clients: readonly Client[],
  work: Work,
  rounds: number,
  failures: Failures,
  say: (what: string) => void,
): Promise<PeersRow[]> {
  const c = work.case;
  const { operands, expected } = work.make();
  let entries: Entry[] = [];
  const attempt = async (client: Client, run: () => Promise<void>): Promise<void> => {
    try {
      await run();
    } catch (error) {
      const reason = (error as Error).message;
      if (!isPeer(client)) throw wrongHere(client, `${c.op} ${caseName(c)}: ${reason}`, error);
      failures.push({ contender: client.name, op: c.op, shape: caseName(c), reason });
      entries = entries.filter((e) => e.client !== client);
    }
  };
  for (const client of clients.filter((client) => takes(client.name, c))) {
    say(`checking ${client.name}`);
    await attempt(client, async () => {
      const { output, kernel } = await client.prepare(c, operands);
      const maxError = judge("it", output, expected);
      const entry: Entry = { client, prepared: { kernel }, maxError, load: loadMeter(), ms: [], repeats: 1 };
      for (let i = 0; i < warmUps; i++)
        entry.repeats = repeatsFor(await client.sample(entry.repeats), entry.repeats);
      entries.push(entry);
    });
  }
  const start = performance.now();
  for (let round = 0; round < rounds; round++) {
    if (round >= leastRounds && performance.now() - start > mostSeconds * 1000) break;
    say(`round ${round + 1} of ${rounds}`);
    for (const entry of [...entries]) {
      await attempt(entry.client, async () => {
        const from = markLoad();
        const { ms, cpuMs } = await entry.client.sample(entry.repeats);
        entry.load.add(from, markLoad(), cpuMs);
        if (!(ms > 0)) throw new Error(`a sample gave ${ms} ms: its marginal time drowns in the noise.`);
        entry.ms.push(ms);
      });
    }
  }
  for (const { client } of entries) await attempt(client, () => client.release());
  const samples: Samples[] = entries.map((e) => ({ contender: e.client.name, ms: e.ms }));
  return entries.map((e) => rowOf(c, e, samples));
}

function repeatsFor({ wallMs }: Sample, repeats: number): number {
  return Math.max(1, Math.min(mostRepeats, Math.round((sampleMs * repeats) / wallMs)));
}

function rowOf(c: Case, e: Entry, samples: readonly Samples[]): PeersRow {
  const ms = spread(e.ms);
  const otherCpus = e.load.otherCpus();
  return {
    op: c.op,
    shape: caseName(c),
    contender: e.client.name,
    ms,
    gflops: flops(c) / ms.median / 1e6,
    timesOurs: timesOurs(samples, e.client.name),
    otherCpus,
    contaminated: otherCpus > contaminatedFrom,
    checked: true,
    maxError: e.maxError,
    repeats: e.repeats,
    kernel: e.prepared.kernel,
  };
}
