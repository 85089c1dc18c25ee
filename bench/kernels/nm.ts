import { openGpuInNode } from "../../src/gpu/dawn.ts";
import type { Format } from "../../src/kernels/columns/variants.ts";
import { environment } from "../../src/report/environment.ts";
import { nodeHost } from "../../src/report/host.ts";
import { adapterKind } from "../../src/run/compile.ts";
import { contest, type Entrant } from "./contest.ts";
import { described, type KernelsOptions } from "./kernels.ts";
import { maskName, type NmMask, nmPattern } from "./patterns.ts";
import type { KernelRow } from "./result.ts";
import { measureRooflines } from "./rooflines.ts";
import { placeOf, type Shape, shapeName } from "./shapes.ts";

type Sparse = Exclude<Format, "dense">;

/** The formats that a mask of so many rows is run in: N:M, of single rows too, and what it ran in before. */
const formatsOf: Readonly<Record<number, readonly Sparse[]>> = {
  1: ["nm1x1", "csr", "ell"],
  4: ["nm4x1", "nm1x1", "block4x1"],
  8: ["nm8x1", "nm1x1", "block8x1"],
};

export const maskRows = Object.keys(formatsOf).map(Number);

const masks: readonly (readonly [number, number])[] = [
  [2, 4],
  [1, 4],
  [2, 8],
  [1, 8],
];

/** With the batch each is measured at: two convolutions, a product, and a single column. */
const cases: readonly (readonly [Shape, number])[] = [
  [{ rows: 64, channels: 64, kernel: 3, size: 56 }, 8],
  [{ rows: 64, channels: 256, kernel: 1, size: 56 }, 8],
  [{ rows: 512, channels: 512, kernel: 3, size: 7 }, 8],
  [{ rows: 1000, channels: 2048, kernel: 1, size: 1 }, 1],
];

export interface NmResult {
  readonly environment: ReturnType<typeof environment>;
  readonly rows: readonly KernelRow[];
}

/** Masks of N:M in every format that holds them, and the dense kernels, in turn. */
export async function runNm(
  { only, seed, adapter, onProgress }: Omit<KernelsOptions, "set" | "batches">,
  rowsOfMask: readonly number[],
): Promise<NmResult> {
  const gpu = await openGpuInNode({ adapter });
  try {
    const rooflines = await measureRooflines(gpu);
    const jobs = cases
      .filter(([shape]) => only === undefined || shapeName(shape).includes(only))
      .flatMap(([shape, batch]) => rowsOfMask.map((rows) => ({ shape, batch, rows })));
    const rows: KernelRow[] = [];
    for (const [i, job] of jobs.entries()) {
      onProgress?.(`${shapeName(job.shape)}, ${job.rows} rows`, i, jobs.length);
      const place = placeOf(job.shape, job.batch);
      const { weight } = place.step;
      if (weight.kind !== "constant") continue;
      const entrants: Entrant[] = [
        { kind: "direct", weight: weight.matrix, sparsity: 0 },
        { kind: "winograd", weight: weight.matrix, sparsity: 0 },
        ...masks.flatMap(([n, m]) => entrantsOf(weight.matrix, { n, m, rows: job.rows }, seed)),
      ];
      const results = await contest(gpu, place, entrants, adapterKind(gpu), { rounds: 11, budgetMs: 5000 });
      for (const r of results) rows.push(described(r, job.shape, job.batch, rooflines.fmaGflops));
    }
    return { environment: environment(gpu.adapter, nodeHost()), rows };
  } finally {
    gpu.dispose();
  }
}

function entrantsOf(whole: Entrant["weight"], mask: NmMask, seed: number): Entrant[] {
  const weight = nmPattern(whole, mask, seed);
  return formatsOf[mask.rows]!.map((kind) => ({
    kind,
    weight,
    sparsity: 1 - mask.n / mask.m,
    pattern: maskName(mask),
  }));
}
