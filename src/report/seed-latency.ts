import type { Gpu } from "../gpu/gpu.ts";
import type { Graph } from "../graph/graph.ts";
import { type Spread as Percentiles, spread } from "../plan/stats.ts";
import { compile } from "../run/compile.ts";
import type { CompileOptions } from "../run/options.ts";
import type { Session } from "../run/session.ts";
import { checkBatch, timeInTurn } from "../run/timing.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import { seeded } from "../tensor/random.ts";
import { sizeOf } from "../tensor/shape.ts";
import { type Spread, spreadOf } from "./stability.ts";

/** Milliseconds of one run of the nets that several seeds gave, measured on one adapter in one go. */
export interface SeedLatency {
  readonly adapter: string;
  readonly batch: number;
  /** Times that every net was timed, in turn with all others. */
  readonly rounds: number;
  readonly unpruned: Percentiles;
  /** Of each seed's net, over the rounds. */
  readonly seeds: readonly Percentiles[];
  /** Over the seeds, of their medians. */
  readonly ms: Spread;
  /** Over the seeds, of the medians of the unpruned net's time over theirs, round by round. */
  readonly speedup: Spread;
}

export interface SeedLatencyOptions extends Pick<CompileOptions, "plan" | "budget"> {
  /** Images of one run; 32 unless said. */
  readonly batch?: number;
  /** 15 unless said. */
  readonly rounds?: number;
  readonly onProgress?: (message: string, done: number, total: number) => void;
}

/**
 * Compiles the unpruned net and that of every seed, checks each against the double-precision reference, and times all in turn, so
 * that drift hits all alike. Inputs are random: no kernel's time depends on them. Throws what `compile` throws, and E_VERIFY.
 */
export async function seedLatency(
  gpu: Gpu,
  unpruned: Graph,
  nets: readonly Graph[],
  options: SeedLatencyOptions = {},
): Promise<SeedLatency> {
  const { batch = 32, rounds = 15, plan = "measured", budget, onProgress } = options;
  const graphs = [unpruned, ...nets];
  const sessions: Session[] = [];
  let left = budget;
  try {
    for (const [i, graph] of graphs.entries()) {
      onProgress?.("planning the net of every seed", i, graphs.length);
      const share = left === undefined ? {} : { budget: left / (graphs.length - i) };
      const session = await compile(gpu, graph, { plan, batch, ...share });
      sessions.push(session);
      if (left !== undefined) left = Math.max(0, left - (session.plan.tuning?.seconds ?? 0));
      await checkBatch(session, graph, randomBatch(session, batch), 2);
    }
    const times = await timeInTurn(sessions, rounds, (round) =>
      onProgress?.("timing the net of every seed", round, rounds),
    );
    const [whole, ...own] = times as [number[], ...number[][]];
    const seeds = own.map((list) => spread(list));
    const gains = own.map((list) => spread(list.map((ms, round) => whole[round]! / ms)).median);
    return {
      adapter: gpu.adapter.key,
      batch,
      rounds,
      unpruned: spread(whole),
      seeds,
      ms: spreadOf(seeds.map((s) => s.median)),
      speedup: spreadOf(gains),
    };
  } finally {
    for (const session of sessions) session.dispose();
  }
}

/** Standard normal values in the shape of the net's one input. */
function randomBatch(session: Session, batch: number): HostTensor {
  const shape = session.inputs[0]!.shape.map((d, i) => (i === 0 ? batch : (d ?? 1)));
  const random = seeded(1);
  return { dtype: "f32", shape, data: Float32Array.from({ length: sizeOf(shape) }, random.normal) };
}
