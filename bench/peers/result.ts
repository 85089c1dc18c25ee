import { geometricMean, type Spread, spread } from "../../src/plan/stats.ts";
import type { Environment } from "../../src/report/environment.ts";
import { environmentLine } from "../../src/report/environment.ts";
import { textTable } from "../../src/report/table.ts";
import type { CaseOp } from "./cases.ts";
import type { EngineName } from "./engine.ts";
import { contaminatedFrom } from "./rounds.ts";

/** One engine on one shape. */
export interface PeersRow {
  readonly op: CaseOp;
  readonly shape: string;
  readonly contender: EngineName;
  /** Of one operation. */
  readonly ms: Spread;
  readonly gflops: number;
  /** Its time over ours alone, round by round; of ours alone there is none. */
  readonly timesOurs?: Spread;
  /** Processors that other processes kept busy while this row ran. */
  readonly otherCpus: number;
  readonly contaminated: boolean;
  /** Rounds of this shape that were left out because others kept the machine busy. */
  readonly droppedRounds: number;
  /** Against a plain reference in double precision, at odd sizes and at this very shape; an unchecked row is never timed. */
  readonly checked: true;
  /** Largest relative difference at this shape. */
  readonly maxError: number;
  /** Operations in a row per sample. */
  readonly repeats: number;
  /** Where the engine names it. */
  readonly kernel?: string;
}

/** Ours beside the best peer on one shape. */
export interface BestPeer {
  readonly op: CaseOp;
  readonly shape: string;
  readonly peer: EngineName;
  /** The best peer's median over ours, with the spread of the same ratio round by round. */
  readonly ratio: number;
  readonly rounds: Spread;
  /** The same for the marginal time of our node, where it was taken. */
  readonly inNet?: number;
}

export interface PeerState {
  readonly name: EngineName;
  readonly state: "ran" | "missing";
  readonly version?: string;
  /** Did the engine itself say which adapter it computes on? */
  readonly adapterReported?: boolean;
  readonly reason?: string;
}

export interface PeersSummary {
  /** Geometric means over shapes of the best peer's median over ours; null without a shape. Whole sessions of one node. */
  readonly denseVsBestPeer: OpMeans;
  /** The same for our node's marginal time, as between the layers of a network. */
  readonly denseInNetVsBestPeer: OpMeans;
  /** Two run-time matrices, not in the means above. */
  readonly runtimeMatmulVsBestPeer: number | null;
  readonly modelVsBestPeer: number | null;
  readonly contaminatedRows: number;
}

export interface OpMeans {
  readonly matmul: number | null;
  readonly conv: number | null;
}

export interface PeersResult {
  readonly environment: Environment;
  /** Most samples that a row has; slow rows and busy machines give fewer, as `ms.samples` says. */
  readonly rounds: number;
  readonly contenders: readonly PeerState[];
  readonly rows: readonly PeersRow[];
  readonly best: readonly BestPeer[];
  /** What an engine could not do, by shape. */
  readonly failures: readonly {
    readonly contender: EngineName;
    readonly op: CaseOp;
    readonly shape: string;
    readonly reason: string;
  }[];
  readonly summary: PeersSummary;
}

const ours: EngineName = "secateur";
const oursInNet: EngineName = "secateur, in a net";
const isPeer = (name: EngineName): boolean => name !== ours && name !== oursInNet;

/** One engine's samples on one shape, one per round. */
export interface Samples {
  readonly contender: EngineName;
  readonly ms: readonly number[];
}

/** Time over that of ours alone, round by round; undefined where ours is not among the samples. */
export function timesOurs(samples: readonly Samples[], contender: EngineName): Spread | undefined {
  const mine = samples.find((s) => s.contender === ours);
  const theirs = samples.find((s) => s.contender === contender);
  if (!mine || !theirs || contender === ours) return undefined;
  return spread(theirs.ms.map((ms, round) => ms / mine.ms[round]!));
}

/** The best peer of every shape that ours and at least one peer ran. */
export function bestPeers(rows: readonly PeersRow[]): BestPeer[] {
  const shapes = new Map<string, PeersRow[]>();
  for (const row of rows) {
    const key = `${row.op} ${row.shape}`;
    shapes.set(key, [...(shapes.get(key) ?? []), row]);
  }
  return [...shapes.values()].flatMap((group): BestPeer[] => {
    const mine = group.find((r) => r.contender === ours);
    const inNet = group.find((r) => r.contender === oursInNet);
    const peers = group.filter((r) => isPeer(r.contender)).sort((a, b) => a.ms.median - b.ms.median);
    const best = peers[0];
    if (!mine || !best?.timesOurs) return [];
    return [
      {
        op: best.op,
        shape: best.shape,
        peer: best.contender,
        ratio: best.ms.median / mine.ms.median,
        rounds: best.timesOurs,
        ...(inNet ? { inNet: best.ms.median / inNet.ms.median } : {}),
      },
    ];
  });
}

const isRuntime = (b: { shape: string }): boolean => b.shape.endsWith("run-time");

export function summarise(rows: readonly PeersRow[], best: readonly BestPeer[]): PeersSummary {
  const mean = (values: readonly (number | undefined)[]): number | null => {
    const known = values.filter((v) => v !== undefined);
    return known.length > 0 ? geometricMean(known) : null;
  };
  const of = (op: CaseOp, pick: (b: BestPeer) => number | undefined): number | null =>
    mean(best.filter((b) => b.op === op && !isRuntime(b)).map(pick));
  const means = (pick: (b: BestPeer) => number | undefined): OpMeans => ({
    matmul: of("matmul", pick),
    conv: of("conv", pick),
  });
  return {
    denseVsBestPeer: means((b) => b.ratio),
    denseInNetVsBestPeer: means((b) => b.inNet),
    runtimeMatmulVsBestPeer: mean(best.filter(isRuntime).map((b) => b.ratio)),
    modelVsBestPeer: of("model", (b) => b.ratio),
    contaminatedRows: rows.filter((r) => r.contaminated).length,
  };
}

const range = (s: Spread, digits: number): string =>
  `${s.median.toFixed(digits)} (${s.p10.toFixed(digits)}-${s.p90.toFixed(digits)})`;

const times = (ratio: number | null): string => (ratio === null ? "-" : `${ratio.toFixed(2)}x`);

/** The whole result for a terminal. */
export function peersTable(result: PeersResult): string {
  const { rows, best, summary: s } = result;
  const body = rows.map((r) => [
    r.op,
    r.shape,
    r.contender,
    range(r.ms, r.ms.median < 10 ? 2 : 1),
    r.gflops.toFixed(1),
    r.timesOurs ? `${range(r.timesOurs, 2)}x` : "1x",
    `${r.otherCpus.toFixed(2)}${r.contaminated ? " CONTAMINATED" : ""}`,
    r.maxError.toExponential(0),
  ]);
  const head = ["op", "shape", "engine", "ms", "GFLOP/s", "times ours", "other CPUs", "error"];
  const verdicts = best.map((b) => [
    b.op,
    b.shape,
    b.peer,
    `${b.ratio.toFixed(2)} (${b.rounds.p10.toFixed(2)}-${b.rounds.p90.toFixed(2)})x`,
    b.inNet === undefined ? "-" : times(b.inNet),
  ]);
  const verdictHead = ["op", "shape", "best peer", "best peer / ours", "best peer / ours in a net"];
  return [
    textTable(head, body),
    "",
    textTable(verdictHead, verdicts),
    "",
    `Best peer over ours, geometric means: matmul ${times(s.denseVsBestPeer.matmul)}, convolution ${times(s.denseVsBestPeer.conv)}; ` +
      `in a net matmul ${times(s.denseInNetVsBestPeer.matmul)}, convolution ${times(s.denseInNetVsBestPeer.conv)}; ` +
      `two run-time matrices ${times(s.runtimeMatmulVsBestPeer)}; ONNX model ${times(s.modelVsBestPeer)}.`,
    ...notes(result),
  ].join("\n");
}

/** What a reader must know to judge the numbers. */
export function notes({ environment, rows, rounds, contenders, failures }: PeersResult): string[] {
  const lines = [
    `${environmentLine(environment)}.`,
    `Median (10th-90th percentile) of up to ${rounds} interleaved rounds; every engine in a process of its own, checked before it was timed.`,
    `Rounds in which other processes kept more than ${contaminatedFrom} processors busy are measured again; a row that had to keep such rounds is CONTAMINATED.`,
    'Weights are constant for secateur and onnxruntime, as in a network, save in rows that say "both run-time"; tfjs and jax-js know no constant operand.',
    "secateur, tfjs, jax-js: operands on the device until the device is done, several operations per wait; secateur's include changing ONNX's layout into its own and back.",
    "onnxruntime and secateur in a net: marginal time of one node, (several parallel nodes - one) / their difference. ONNX model: upload, run, read-back.",
  ];
  for (const c of contenders) {
    if (c.state === "missing") lines.push(`MISSING ${c.name}: ${c.reason}`);
    else if (c.adapterReported === false)
      lines.push(
        `${c.name} (${c.version}) does not report its adapter; taken to be the same, the first that the driver loader offers.`,
      );
  }
  for (const f of failures) lines.push(`NOT RUN ${f.contender}, ${f.op} ${f.shape}: ${f.reason}`);
  const dirty = rows.filter((r) => r.contaminated).length;
  if (dirty > 0)
    lines.push(
      `CONTAMINATED: ${dirty} of ${rows.length} rows ran while other processes kept more than ${contaminatedFrom} processors busy. Measure again.`,
    );
  return lines;
}
