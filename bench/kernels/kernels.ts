import { openGpuInNode } from "../../src/gpu/dawn.ts";
import type { Format } from "../../src/kernels/columns/formats.ts";
import { weightFor } from "../../src/plan/contenders.ts";
import { environment } from "../../src/report/environment.ts";
import { nodeHost } from "../../src/report/host.ts";
import { adapterKind } from "../../src/run/adapter-kind.ts";
import { watchLoad } from "../load.ts";
import { type ContestOptions, contest, denseSide, type Entrant, randomEntrant } from "./contest.ts";
import { halvedFilters } from "./halved-filters.ts";
import {
  floorPatterns,
  type KernelRow,
  type KernelsResult,
  type LayerRooflines,
  summarise,
} from "./result.ts";
import { greatestRooflines, measureRooflines, medianRooflines } from "./rooflines.ts";
import {
  hardwareShape,
  macsOf,
  named,
  placeOf,
  type Shape,
  type ShapeSet,
  shapeName,
  shapesOf,
} from "./shapes.ts";

export interface KernelsOptions {
  readonly set: ShapeSet;
  readonly batches: readonly number[];
  /** Only shapes whose name contains it. */
  readonly only?: string;
  readonly seed: number;
  readonly adapter: "any" | "hardware" | "software";
  readonly onProgress?: (message: string, done?: number, total?: number) => void;
}

/** Format, and the sparsities it is measured at: those of the targets, and of the break-even between them. */
type Cases = readonly (readonly [Exclude<Format, "dense">, number])[];

const cases: Cases = [
  ...[0.7, 0.8, 0.9, 0.95].map((s) => ["csr", s] as const),
  ...[0.5, 0.7, 0.8, 0.9, 0.95].map((s) => ["ell", s] as const),
  ...[0.25, 0.5, 0.75, 0.9, 0.95].map((s) => ["block8x1", s] as const),
];
const quickCases: Cases = [
  ["csr", 0.9],
  ["ell", 0.9],
  ["block8x1", 0.9],
];

/** With hardly a weight left: what a layer takes for all else, its stores above all. */
const floors: Cases = [
  ["csr", 0.999],
  ["block8x1", 0.999],
];

/**
 * Every shape and batch: the dense kernels and the sparse ones at each sparsity, checked, then timed in turn; the rooflines before and
 * after each, as a shared machine changes its speed.
 */
export async function runKernels(options: KernelsOptions): Promise<KernelsResult> {
  const { only, batches } = options;
  const jobs = named(
    shapesOf(options.set).flatMap((shape) => batches.map((batch) => ({ shape, batch }))),
    only,
  );
  const gpu = await openGpuInNode({ adapter: options.adapter });
  const otherCpus = watchLoad();
  try {
    const roofs = [await measureRooflines(gpu)];
    const layers: LayerRooflines[] = [];
    const quick = options.set === "quick";
    const list = quick ? quickCases : cases;
    const kind = adapterKind(gpu);
    const how: ContestOptions = {
      rounds: quick ? 5 : 15,
      budgetMs: quick ? 500 : 4000,
    };
    const rows: KernelRow[] = [];
    for (const [i, { shape, batch }] of jobs.entries()) {
      options.onProgress?.(`${shapeName(shape)}, batch ${batch}`, i, jobs.length);
      const place = placeOf(shape, batch);
      const whole = weightFor(place);
      const random = ([format, sparsity]: Cases[number]): Entrant =>
        randomEntrant(whole, format, sparsity, options.seed);
      const entrants = [...denseSide(whole), ...list.map(random)];
      if (!quick) {
        for (const entrant of floors.map(random))
          entrants.push(
            { ...entrant, pattern: floorPatterns.memory, texels: false },
            { ...entrant, pattern: floorPatterns.texels, texels: true },
          );
      }
      const results = await contest(gpu, place, entrants, how);
      roofs.push(await measureRooflines(gpu));
      const around = greatestRooflines(roofs.slice(-2));
      layers.push({ shape: shapeName(shape), batch, rooflines: around });
      // Pruned filters have no place in a table of formats by sparsity.
      results.push(await halvedFilters(gpu, shape, batch, kind, how));
      for (const r of results) rows.push(described(r, shape, batch, around.fmaGflops));
    }
    const rooflines = medianRooflines(roofs);
    // Dense only, and so in none of the means.
    if (!quick && !only && !gpu.adapter.software) {
      const place = placeOf(hardwareShape, 1);
      for (const r of await contest(gpu, place, denseSide(weightFor(place)), how))
        rows.push(described(r, hardwareShape, 1, rooflines.fmaGflops));
    }
    const here = { ...environment(gpu.adapter, nodeHost()), otherCpus: otherCpus() };
    return { environment: here, rooflines, layers, rows, summary: summarise(rows) };
  } finally {
    gpu.dispose();
  }
}

export function described(
  row: Awaited<ReturnType<typeof contest>>[number],
  shape: Shape,
  batch: number,
  fmaGflops: number,
): KernelRow {
  const dense = (2 * macsOf(shape, batch)) / row.ms.median / 1e6;
  const left = 1 - row.sparsity;
  const useful = dense * (row.kind === "filters" ? left ** 2 : left);
  return {
    op: shape.kernel === 1 ? "matmul" : "conv",
    shape: shapeName(shape),
    batch,
    ...row,
    usefulGflops: useful,
    denseEquivalentGflops: dense,
    roofline: useful / fmaGflops,
  };
}
