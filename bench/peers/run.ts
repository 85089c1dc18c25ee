import { SecateurError, UsageError } from "../../src/errors.ts";
import { type CaseSet, caseName, checkCases, opCases, operandsOf } from "./cases.ts";
import { type Client, startEngine } from "./client.ts";
import { type AdapterKind, type EngineName, engineNames } from "./engine.ts";
import { installCommand, type PeerName, peerNames, whyMissing } from "./install.ts";
import { type Failures, isPeer, measure, type Work, wrongHere } from "./measure.ts";
import { modelWork } from "./model.ts";
import { expectedOf, judge } from "./reference.ts";
import { bestPeers, type PeerState, type PeersResult, type PeersRow, summarise } from "./result.ts";

export interface PeersOptions {
  readonly set?: CaseSet;
  /** Samples per row; 15 unless said, 3 of the quick set. */
  readonly rounds?: number;
  readonly seed?: number;
  readonly adapter?: AdapterKind;
  /** Only these; all unless said. */
  readonly peers?: readonly PeerName[];
  /** Only shapes whose name contains this. */
  readonly only?: string;
  readonly onProgress?: (message: string, done?: number, total?: number) => void;
}

/** The rounds of one shape end after so many seconds, and those of the usual set so long after the start. */
const mostSeconds = 75;
const mostMinutes = 17;

/**
 * Ours beside the other WebGPU engines on one adapter: every engine in its own process, checked at odd sizes, then shape by
 * shape checked and timed in turn, round by round. Throws where no peer can be loaded and where our own result is wrong.
 */
export async function runPeers(options: PeersOptions = {}): Promise<PeersResult> {
  const {
    set = "default",
    rounds = set === "quick" ? 3 : 15,
    seed = 1,
    adapter = "any",
    only = "",
  } = options;
  const endsAt = performance.now() + mostMinutes * 60_000;
  const progress = options.onProgress ?? (() => undefined);
  const wanted = options.peers ?? peerNames;
  const clients: Client[] = [];
  const contenders: PeerState[] = [];
  const absent = wanted.map((name): PeerState => ({ name, state: "missing", reason: whyMissing(name) }));
  if (absent.every((p) => p.reason !== undefined)) throw noPeer(absent);
  const works = worksOf(set, seed, only);
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
      if (!active.some((c) => isPeer(c.name))) throw noPeer(contenders);
    };
    needPeer();
    const rows: PeersRow[] = [];
    const failures: Failures = [];
    for (const c of checkCases) {
      progress(`checking ${c.op} ${caseName(c)}`);
      active = await check(active, c, seed, contenders);
      needPeer();
    }
    for (const [i, work] of works.entries()) {
      const say = (what: string): void =>
        progress(`${work.case.op} ${caseName(work.case)}: ${what}`, i, works.length);
      // What early shapes leave of the time is for the later ones.
      const share = Math.max(0, endsAt - performance.now()) / 1000 / (works.length - i);
      const effort = { rounds, mostSeconds: set === "full" ? mostSeconds : Math.min(mostSeconds, share) };
      rows.push(...(await measure(active, work, effort, failures, say)));
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
    throw new UsageError(`no shape of this set contains "${only}"; there are ${names}.`);
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
      if (!isPeer(client.name)) throw wrongHere(client.name, reason, error);
      const at = contenders.findIndex((s) => s.name === client.name);
      contenders[at] = { ...contenders[at]!, state: "missing", reason };
      client.close();
    }
  }
  return left;
}
