import type { Gpu } from "../../src/gpu/gpu.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { type ActivationLayout, activationLayouts } from "../../src/plan/layouts.ts";
import { type Spread, spread } from "../../src/plan/stats.ts";
import { prune } from "../../src/prune/prune.ts";
import { type Environment, environment } from "../../src/report/environment.ts";
import { nodeHost } from "../../src/report/host.ts";
import { compile } from "../../src/run/compile.ts";
import type { Session } from "../../src/run/session.ts";
import { checkBatch, timeInTurn } from "../../src/run/timing.ts";
import { watchLoad } from "../load.ts";
import { label, type ModelRow, openMeasuring, seededImages } from "./models.ts";

export interface LayoutCase {
  readonly arch: string;
  readonly size: number;
  readonly batches: readonly number[];
}

export const layoutCases: readonly LayoutCase[] = [
  { arch: "resnet20", size: 32, batches: [2, 3, 4, 5, 8] },
  { arch: "mobilenetv1", size: 224, batches: [2] },
];

export interface LayoutRow extends Pick<ModelRow, "model" | "batch" | "granularity" | "sparsity"> {
  readonly ms: Readonly<Record<ActivationLayout, Spread>>;
  /** Batch-innermost over planar, round by round. */
  readonly ratio: Spread;
  /** What a measured plan takes, and why. */
  readonly chosen: ActivationLayout;
  readonly reason: string;
}

export interface LayoutsResult {
  readonly environment: Environment;
  readonly rows: readonly LayoutRow[];
}

export interface LayoutsOptions {
  readonly quick: boolean;
  readonly seed: number;
  readonly adapter: "any" | "hardware" | "software";
  /** False: neither use nor keep what was measured before. */
  readonly tuningCache?: boolean;
  readonly onProgress?: (message: string, done?: number, total?: number) => void;
}

/** Every net, dense and with a tenth of its weights, in both layouts, each planned by measurement, checked and timed in turn. */
export async function runLayouts(options: LayoutsOptions): Promise<LayoutsResult> {
  const gpu = await openMeasuring(options);
  const otherCpus = watchLoad();
  try {
    const jobs = layoutCases
      .slice(0, options.quick ? 1 : undefined)
      .flatMap(({ arch, size, batches }) =>
        (options.quick ? batches.slice(0, 1) : batches).flatMap((batch) =>
          (["dense", "element"] as const).map((granularity) => ({ arch, size, batch, granularity })),
        ),
      );
    const rows: LayoutRow[] = [];
    for (const [i, job] of jobs.entries()) {
      options.onProgress?.(`${job.arch} ${job.granularity}, batch ${job.batch}`, i, jobs.length);
      rows.push(await measure(gpu, job, options));
    }
    return { environment: { ...environment(gpu.adapter, nodeHost()), otherCpus: otherCpus() }, rows };
  } finally {
    gpu.dispose();
  }
}

const sparsity = 0.9;

interface Job {
  readonly arch: string;
  readonly size: number;
  readonly batch: number;
  readonly granularity: "dense" | "element";
}

async function measure(
  gpu: Gpu,
  { arch, size, batch, granularity }: Job,
  { seed, quick }: LayoutsOptions,
): Promise<LayoutRow> {
  const whole = buildNet(arch, { seed });
  const graph =
    granularity === "dense"
      ? whole
      : (await prune(whole, { method: "magnitude", granularity, sparsity, scope: "layer" })).graph;
  const images = seededImages([batch, 3, size, size], seed);
  const sessions: Session[] = [];
  try {
    for (const activations of activationLayouts) {
      const session = await compile(gpu, graph, { plan: "measured", batch, activations });
      sessions.push(session);
      await checkBatch(session, graph, images, 1);
    }
    const free = await compile(gpu, graph, { plan: "measured", batch });
    const { layout: chosen, reason } = free.plan.activations!;
    free.dispose();
    const [inner, planar] = (await timeInTurn(sessions, quick ? 3 : 15)) as [number[], number[]];
    return {
      model: arch,
      batch,
      granularity,
      sparsity: granularity === "dense" ? 0 : sparsity,
      ms: { "batch-innermost": spread(inner), planar: spread(planar) },
      ratio: spread(inner.map((ms, round) => ms / planar[round]!)),
      chosen,
      reason,
    };
  } finally {
    for (const session of sessions) session.dispose();
  }
}

/** Head and rows. */
export function layoutsTable({ rows }: LayoutsResult): readonly (readonly string[])[] {
  const show = ({ median, p10, p90 }: Spread, digits: number): string =>
    `${median.toFixed(digits)} (${p10.toFixed(digits)}-${p90.toFixed(digits)})`;
  return [
    ["model", "batch", "pruned", "batch-innermost, ms", "planar, ms", "times as fast planar", "a plan takes"],
    ...rows.map((r) => [
      r.model,
      String(r.batch),
      label(r),
      show(r.ms["batch-innermost"], 1),
      show(r.ms.planar, 1),
      show(r.ratio, 2),
      `${r.chosen}: ${r.reason}`,
    ]),
  ];
}
