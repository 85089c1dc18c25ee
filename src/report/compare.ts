import type { Dataset } from "../data/dataset.ts";
import { InputError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Graph } from "../graph/graph.ts";
import type { Preprocessing } from "../graph/metadata.ts";
import { inspectGraph } from "../graph/statistics.ts";
import type { Format } from "../kernels/columns/formats.ts";
import { atPrecision } from "../plan/half-weights.ts";
import type { TuningTally } from "../plan/plan.ts";
import { type Spread, spread } from "../plan/stats.ts";
import { compile } from "../run/compile.ts";
import { evaluate } from "../run/evaluate.ts";
import type { CompileOptions } from "../run/options.ts";
import type { Session } from "../run/session.ts";
import { checkBatch, firstBatch, timeInTurn } from "../run/timing.ts";
import { type CountConvention, countBy } from "./counts.ts";
import { type Environment, environment, type Host } from "./environment.ts";

/** One model of a comparison. */
export interface Contender {
  readonly name: string;
  readonly graph: Graph;
  readonly preprocessing: Preprocessing;
}

export interface CompareRow {
  readonly name: string;
  readonly top1: number;
  readonly images: number;
  readonly parameters: number;
  readonly nonzeros: number;
  /** Multiply-adds of one image, as if dense. */
  readonly macs: number;
  /** MACs and parameters in the conventions that were asked for; not in results of before there were any. */
  readonly counts?: readonly {
    readonly convention: CountConvention;
    readonly macs: number;
    readonly parameters: number;
  }[];
  /** Constant data on the device as the plan holds it: weights in their formats, indices, biases. */
  readonly bytes: number;
  /** GPU milliseconds of one batch. */
  readonly ms: Spread;
  /** Milliseconds of JavaScript per batch, until its work is submitted; results of earlier versions lack it. */
  readonly cpuMs?: Spread;
  /** Dense time over this model's, taken round by round. */
  readonly speedup: Spread;
  readonly plan: readonly {
    readonly layer: string;
    readonly format: Format;
    readonly kernel: string;
    /** Why; results of earlier versions lack it. */
    readonly reason?: string;
  }[];
  /** What measuring the plan took. */
  readonly tuning?: TuningTally;
  /** Largest relative difference from the double-precision reference on the check batch. */
  readonly maxError: number;
  /** Channels that compiling found dead and left out; the counts above are of the model as it was given. */
  readonly deadChannels?: number;
}

export interface Comparison {
  readonly environment: Environment;
  readonly batch: number;
  readonly rounds: number;
  readonly rows: readonly CompareRow[];
}

export interface CompareOptions {
  readonly batch?: number;
  readonly limit?: number;
  readonly rounds?: number;
  readonly plan?: CompileOptions["plan"];
  /** Of the weights of every model. */
  readonly precision?: CompileOptions["precision"];
  /** Conventions of publications to count in, beside plain MACs and parameters. */
  readonly counts?: readonly CountConvention[];
  /** Seconds for measuring plans, in all; what one model leaves is the next one's. */
  readonly budget?: number;
  /** Images that every model is checked on against the f64 reference before it is timed. */
  readonly checkImages?: number;
  /** The machine, for the report; by default what the runtime's global objects tell of it. */
  readonly host?: Host;
  readonly onProgress?: (message: string, done?: number, total?: number) => void;
}

/**
 * The proof: every model is compiled with a measured plan, checked against the f64 reference, scored on the data, and then
 * all are timed in turn, round by round, so that drift hits all alike. The first contender is the dense one.
 */
export async function compareModels(
  gpu: Gpu,
  contenders: readonly Contender[],
  dataset: Dataset,
  options: CompareOptions = {},
): Promise<Comparison> {
  if (contenders.length === 0) throw new InputError("there is no model to compare.");
  const batch = options.batch ?? 32;
  const rounds = options.rounds ?? 15;
  const progress = options.onProgress ?? (() => undefined);
  const sessions: Session[] = [];
  let left = options.budget;
  try {
    const scored: Omit<CompareRow, "ms" | "speedup" | "cpuMs">[] = [];
    for (const [i, { name, graph, preprocessing }] of contenders.entries()) {
      progress(`${name}: planning`, i, contenders.length);
      const session = await compile(gpu, graph, {
        plan: options.plan ?? "measured",
        batch,
        precision: options.precision,
        ...(left !== undefined && { budget: left / (contenders.length - i) }),
      });
      sessions.push(session);
      const first = firstBatch(dataset, batch, preprocessing, session);
      const maxError = await checkBatch(
        session,
        atPrecision(graph, options.precision),
        first,
        options.checkImages ?? 2,
      );
      const { tuning } = session.plan;
      if (left !== undefined) left = Math.max(0, left - (tuning?.seconds ?? 0));
      const { top1, images } = await evaluate(session, dataset, preprocessing, {
        batch,
        limit: options.limit,
        onProgress: (done, total) => progress(`${name}: ${done} of ${total} images`, i, contenders.length),
      });
      // Scoring few images may have compiled a smaller batch; what is timed is the batch that was asked for.
      await session.run({ [session.inputs[0]!.name]: first });
      const { parameters, nonzeros, macs } = inspectGraph(graph);
      scored.push({
        name,
        top1,
        images,
        parameters,
        nonzeros,
        macs,
        counts: (options.counts ?? []).map((convention) => {
          const counted = countBy(graph, convention);
          return { convention, macs: counted.macs, parameters: counted.parameters };
        }),
        bytes: session.memory().constants,
        plan: session.plan.layers.map(({ layer, format, kernel, reason }) => ({
          layer,
          format,
          kernel,
          reason,
        })),
        ...(tuning && { tuning }),
        maxError,
        deadChannels: session.deadChannels,
      });
    }
    const times = await timeInTurn(sessions, rounds, (round) =>
      progress(`timing, round ${round} of ${rounds}`, round, rounds),
    );
    const rows = scored.map(
      (row, i): CompareRow => ({
        ...row,
        ms: spread(times[i]!),
        cpuMs: sessions[i]!.overhead()!,
        speedup: spread(times[i]!.map((ms, round) => times[0]![round]! / ms)),
      }),
    );
    return { environment: environment(gpu.adapter, options.host), batch, rounds, rows };
  } finally {
    for (const session of sessions) session.dispose();
  }
}
