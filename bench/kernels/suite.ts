import { openGpuInNode } from "../../src/gpu/dawn.ts";
import type { WeightMatrix } from "../../src/kernels/columns/pack.ts";
import { weightFor } from "../../src/plan/contenders.ts";
import { environment } from "../../src/report/environment.ts";
import { nodeHost } from "../../src/report/host.ts";
import { watchLoad } from "../load.ts";
import { type ContestOptions, contest, type Entrant, type Row } from "./contest.ts";
import { described, type KernelsOptions } from "./kernels.ts";
import type { KernelRow } from "./result.ts";
import { measureRooflines } from "./rooflines.ts";
import { named, placeOf, type Shape, shapeName } from "./shapes.ts";

/** One layer, and what runs on it in turn. */
export interface Job {
  readonly shape: Shape;
  readonly batch: number;
  /** What progress calls it, besides its shape. */
  readonly label: string;
  entrants(whole: WeightMatrix): readonly Entrant[];
  /** A second contest, after what the first one said. */
  afterwards?(whole: WeightMatrix, rows: readonly Row[]): readonly Entrant[];
}

export interface SuiteResult {
  readonly environment: ReturnType<typeof environment>;
  readonly rows: readonly KernelRow[];
}

export type SuiteOptions = Pick<KernelsOptions, "only" | "seed" | "adapter" | "onProgress">;

/** A contest per job, of those whose shape `only` leaves. */
export async function runJobs(
  jobs: readonly Job[],
  { only, adapter, onProgress }: SuiteOptions,
  how: ContestOptions,
): Promise<SuiteResult> {
  const wanted = named(jobs, only);
  const gpu = await openGpuInNode({ adapter });
  const otherCpus = watchLoad();
  try {
    const { fmaGflops } = await measureRooflines(gpu);
    const rows: KernelRow[] = [];
    for (const [i, { shape, batch, label, entrants, afterwards }] of wanted.entries()) {
      onProgress?.(`${shapeName(shape)}, ${label}`, i, wanted.length);
      const place = placeOf(shape, batch);
      const whole = weightFor(place);
      const results = await contest(gpu, place, entrants(whole), how);
      if (afterwards) {
        const more = await contest(gpu, place, afterwards(whole, results), how);
        results.push(...more.filter((r) => r.sparsity > 0));
      }
      for (const r of results) rows.push(described(r, shape, batch, fmaGflops));
    }
    return { environment: { ...environment(gpu.adapter, nodeHost()), otherCpus: otherCpus() }, rows };
  } finally {
    gpu.dispose();
  }
}
