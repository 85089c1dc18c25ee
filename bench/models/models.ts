import { openGpuInNode } from "../../src/gpu/dawn.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { inspectGraph } from "../../src/graph/statistics.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { atPrecision, type Precision } from "../../src/plan/half-weights.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { type Spread, spread } from "../../src/plan/stats.ts";
import { openGpuWithTuning } from "../../src/plan/tuning-folder.ts";
import { prune } from "../../src/prune/prune.ts";
import { type Environment, environment } from "../../src/report/environment.ts";
import { nodeHost } from "../../src/report/host.ts";
import { compile } from "../../src/run/compile.ts";
import type { Session } from "../../src/run/session.ts";
import { checkBatch } from "../../src/run/timing.ts";
import { type HostTensor, tensor } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import { sizeOf } from "../../src/tensor/shape.ts";
import { watchLoad } from "../load.ts";

export interface ModelCase {
  readonly arch: string;
  readonly batch: number;
  /** Pixels per side. */
  readonly size: number;
}

/** The nets of the suite (He et al. 2015; Howard et al. 2017; Simonyan and Zisserman 2014 for CIFAR). */
export const modelCases: readonly ModelCase[] = [
  { arch: "resnet56", batch: 32, size: 32 },
  { arch: "resnet50", batch: 8, size: 224 },
  { arch: "mobilenetv1", batch: 8, size: 224 },
  { arch: "vgg16", batch: 8, size: 32 },
];

export const granularities = ["element", "block8x1", "filter"] as const;
export type Granularity = (typeof granularities)[number];

export const otherPlans = ["estimated", "dense", "csr", "block"] as const;
export type OtherPlan = (typeof otherPlans)[number];

export interface ModelsOptions {
  readonly models: readonly string[];
  readonly sparsities: readonly number[];
  /** All three unless said. */
  readonly granularities?: readonly Granularity[];
  /** Also every pruned net under each of these plans: what does measuring gain, and does it ever lose? */
  readonly otherPlans?: readonly OtherPlan[];
  readonly seed: number;
  readonly adapter: "any" | "hardware" | "software";
  /** False: neither use nor keep what was measured before. */
  readonly tuningCache?: boolean;
  /** Images at a time, in place of each net's own number. */
  readonly batch?: number;
  readonly quick: boolean;
  /** Of the weights and activations of every net; the dense one's too. */
  readonly precision?: Precision;
  /** A result to go on from: its rows of other nets stay, if they were measured at that precision, on the same machine and by the same version. */
  readonly before?: ModelsResult;
  /** Told after every net. */
  readonly onNet?: (soFar: ModelsResult) => void;
  readonly onProgress?: (message: string, done?: number, total?: number) => void;
}

export interface ModelRow {
  readonly model: string;
  readonly batch: number;
  readonly granularity: Granularity | "dense";
  readonly sparsity: number;
  /** Where it is not "measured". */
  readonly plan?: OtherPlan;
  readonly nonzeros: number;
  /** Of one image, as if dense. */
  readonly macs: number;
  readonly ms: Spread;
  /** Dense time over this one's, round by round. */
  readonly speedup: Spread;
  /** Of every layer's format in the plan. */
  readonly formats: Readonly<Record<string, number>>;
  /** Largest relative difference from double precision on one image. */
  readonly maxError: number;
  /** Milliseconds of JavaScript to start one run. */
  readonly cpuMs: number;
  /** Format and kernel of every layer. */
  readonly layers?: Readonly<Record<string, string>>;
  /** When the row was measured (ISO), and how many processors others kept busy then: a file's rows may be of several runs. */
  readonly date?: string;
  readonly otherCpus?: number;
}

export interface ModelsResult {
  readonly environment: Environment;
  /** Absent for f32. */
  readonly precision?: Precision;
  readonly rows: readonly ModelRow[];
  readonly summary: {
    readonly models: Readonly<Record<string, Readonly<Record<string, Partial<Record<Granularity, number>>>>>>;
  };
}

/** A minute per row, or until the spread is under 5 %, whichever comes first; never fewer rounds than this. */
const rowMs = 60_000;
const narrow = 0.05;
const leastRounds = 7;

/**
 * Every net, dense and pruned by magnitude to the same share in every layer, planned by measurement, checked on one image and
 * timed in turn with its dense self. Seeded weights: what is measured here is time; accuracy is `compare`'s business.
 */
export async function runModels(options: ModelsOptions): Promise<ModelsResult> {
  const gpu = await openMeasuring(options);
  try {
    const cases = modelCases.filter((c) => options.models.includes(c.arch));
    const here = environment(gpu.adapter, nodeHost());
    const precision = options.precision === "f32" ? undefined : options.precision;
    const kept =
      options.before &&
      options.before.precision === precision &&
      sameMachine(options.before.environment, here);
    const { date } = options.before?.environment ?? here;
    const before = kept ? options.before.rows.map((row) => ({ date, ...row })) : [];
    let result = resultOf(here, precision, before);
    for (const c of cases) {
      const rows = await measureNet(gpu, { ...c, batch: options.batch ?? c.batch }, options);
      result = resultOf(here, precision, [...result.rows.filter((r) => r.model !== c.arch), ...rows]);
      options.onNet?.(result);
    }
    return result;
  } finally {
    gpu.dispose();
  }
}

/** A GPU to plan and measure nets on, with what was measured on it before unless that is not wanted. */
export const openMeasuring = ({ adapter, tuningCache }: Pick<ModelsOptions, "adapter" | "tuningCache">) =>
  tuningCache === false ? openGpuInNode({ adapter }) : openGpuWithTuning({ adapter });

const orderOf = ({ model }: ModelRow): number => modelCases.findIndex((c) => c.arch === model);

const resultOf = (
  here: Environment,
  precision: Precision | undefined,
  rows: readonly ModelRow[],
): ModelsResult => ({
  environment: here,
  ...(precision && { precision }),
  rows: [...rows].sort((a, b) => orderOf(a) - orderOf(b)),
  summary: { models: summarise(rows) },
});

const sameMachine = (a: Environment, b: Environment): boolean =>
  a.key === b.key && a.cpu === b.cpu && a.cores === b.cores && a.secateur === b.secateur;

interface Entrant {
  readonly granularity: ModelRow["granularity"];
  readonly sparsity: number;
  readonly plan?: OtherPlan;
  readonly graph: Graph;
}

async function measureNet(gpu: Gpu, c: ModelCase, options: ModelsOptions): Promise<ModelRow[]> {
  const dense = buildNet(c.arch, { seed: options.seed });
  const entrants: Entrant[] = [{ granularity: "dense", sparsity: 0, graph: dense }];
  for (const granularity of options.granularities ?? granularities) {
    for (const sparsity of options.sparsities) {
      const { graph } = await prune(dense, { method: "magnitude", granularity, sparsity, scope: "layer" });
      entrants.push({ granularity, sparsity, graph });
      for (const plan of options.otherPlans ?? []) entrants.push({ granularity, sparsity, plan, graph });
    }
  }
  const images = seededImages([c.batch, 3, c.size, c.size], options.seed);
  const sessions: { entrant: Entrant; session: Session; maxError: number; cpuMs: number }[] = [];
  try {
    for (const [i, entrant] of entrants.entries()) {
      options.onProgress?.(`${c.arch} ${label(entrant)}: planning`, i, entrants.length);
      const session = await compile(gpu, entrant.graph, {
        plan: entrant.plan ?? "measured",
        batch: c.batch,
        precision: options.precision,
      });
      const exact = atPrecision(entrant.graph, options.precision);
      const maxError = await checkBatch(session, exact, images, 1);
      sessions.push({ entrant, session, maxError, cpuMs: await startingMs(session, images) });
    }
    const otherCpus = watchLoad();
    const times = await timeInTurn(
      sessions.map((s) => s.session),
      options,
      c.arch,
    );
    const when = { date: new Date().toISOString(), otherCpus: otherCpus() };
    return sessions.map(({ entrant, session, maxError, cpuMs }, i): ModelRow => {
      const { nonzeros, macs } = inspectGraph(entrant.graph);
      return {
        model: c.arch,
        batch: c.batch,
        granularity: entrant.granularity,
        sparsity: entrant.sparsity,
        ...(entrant.plan && { plan: entrant.plan }),
        nonzeros,
        macs,
        ms: spread(times[i]!),
        speedup: spread(times[i]!.map((ms, round) => times[0]![round]! / ms)),
        formats: countFormats(session.plan),
        maxError,
        cpuMs,
        layers: Object.fromEntries(session.plan.layers.map((l) => [l.layer, `${l.format} ${l.kernel}`])),
        ...when,
      };
    });
  } finally {
    for (const { session } of sessions) session.dispose();
  }
}

export function seededImages(shape: readonly number[], seed: number): HostTensor {
  const random = seeded(seed);
  return tensor(
    Float32Array.from({ length: sizeOf(shape) }, () => random.normal()),
    shape,
  );
}

export const label = ({
  granularity,
  sparsity,
  plan,
}: Pick<Entrant, "granularity" | "sparsity" | "plan">): string =>
  granularity === "dense"
    ? "dense"
    : `${granularity} ${Number((100 * sparsity).toFixed(1))} %${plan ? `, plan ${plan}` : ""}`;

function countFormats(plan: Plan): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { format } of plan.layers) counts[format] = (counts[format] ?? 0) + 1;
  return counts;
}

/** Milliseconds of JavaScript until a run is submitted: the median of a few. */
async function startingMs(session: Session, images: HostTensor): Promise<number> {
  for (let i = 0; i < 5; i++) await session.run({ [session.inputs[0]!.name]: images });
  return session.overhead()?.median ?? Number.NaN;
}

async function timeInTurn(
  sessions: readonly Session[],
  options: ModelsOptions,
  name: string,
): Promise<number[][]> {
  const times = sessions.map((): number[] => []);
  const started = performance.now();
  const budget = options.quick ? 0 : rowMs * sessions.length;
  const least = options.quick ? 3 : leastRounds;
  for (const session of sessions) await session.time();
  for (let round = 0; ; round++) {
    const enough = times.every((list) => list.length >= least);
    if (enough && (performance.now() - started > budget || times.every(isNarrow))) return times;
    options.onProgress?.(`${name}: timing, round ${round + 1}`);
    for (const [i, session] of sessions.entries()) times[i]!.push(await session.time());
  }
}

function isNarrow(times: readonly number[]): boolean {
  const { median, p10, p90 } = spread(times);
  return (p90 - p10) / median < narrow;
}

function summarise(rows: readonly ModelRow[]): ModelsResult["summary"]["models"] {
  const models: Record<string, Record<string, Partial<Record<Granularity, number>>>> = {};
  for (const { model, granularity, sparsity, plan, speedup } of rows) {
    if (granularity === "dense" || plan) continue;
    models[model] ??= {};
    const bySparsity = models[model]!;
    bySparsity[sparsity] = { ...bySparsity[sparsity], [granularity]: speedup.median };
  }
  return models;
}
