import type { Format } from "../../src/kernels/columns/formats.ts";
import type { WeightMatrix } from "../../src/kernels/columns/pack.ts";
import { geometricMean } from "../../src/plan/stats.ts";
import { denseSide, type Entrant } from "./contest.ts";
import { maskName, type NmMask, nmPattern } from "./patterns.ts";
import { type Shape, shapeName } from "./shapes.ts";
import { type Job, runJobs, type SuiteOptions, type SuiteResult } from "./suite.ts";

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

/** Masks of N:M in every format that holds them, and the dense kernels, in turn. */
export function runNm(options: SuiteOptions, rowsOfMask: readonly number[]): Promise<SuiteResult> {
  const jobs = cases.flatMap(([shape, batch]) =>
    rowsOfMask.map((rows): Job => {
      const entrants = (whole: WeightMatrix): readonly Entrant[] => [
        ...denseSide(whole),
        ...masks.flatMap(([n, m]) => entrantsOf(whole, { n, m, rows }, options.seed)),
      ];
      return { shape, batch, label: `${rows} rows`, entrants };
    }),
  );
  return runJobs(jobs, options, { rounds: 11, budgetMs: 5000 });
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

const formatNames: Readonly<Record<string, string>> = { csr: "CSR", ell: "ELL" };

/** Per mask: how many times as fast as the fastest dense kernel every format is, layer by layer. */
export function nmTable({ rows }: SuiteResult): readonly (readonly string[])[] {
  const name = (kind: string): string => formatNames[kind] ?? kind;
  const body = maskRows.flatMap((shared) =>
    masks.map(([n, m]) => {
      const pattern = maskName({ n, m, rows: shared });
      const formats = [...formatsOf[shared]!].reverse();
      const cell = (shape: Shape, kind: string): string => {
        const row = rows.find(
          (r) => r.shape === shapeName(shape) && r.pattern === pattern && r.kind === kind,
        );
        return row?.vsBest.median.toFixed(2) ?? "-";
      };
      return [
        `${n}:${m}`,
        String(shared),
        formats.map(name).join(" / "),
        ...cases.map(([shape]) => formats.map((kind) => cell(shape, kind)).join(" / ")),
      ];
    }),
  );
  const layers = cases.map(([shape, batch]) => `${shapeName(shape)}, batch ${batch}`);
  return [["mask", "rows that share it", "format", ...layers], ...body];
}

/** Geometric means of one format's speed over another's, on the layers of many columns. */
export function nmMeans({ rows }: SuiteResult): Readonly<Record<string, number>> {
  const pairs = [
    ["nm1x1", "csr"],
    ["nm1x1", "ell"],
    ["nm4x1", "block4x1"],
    ["nm8x1", "block8x1"],
  ] as const;
  return Object.fromEntries(
    pairs.map(([kind, other]) => {
      const ratios = rows
        .filter((r) => r.kind === kind && r.batch > 1)
        .flatMap((r) => {
          const twin = rows.find((o) => o.kind === other && o.pattern === r.pattern && o.shape === r.shape);
          return twin ? [r.vsBest.median / twin.vsBest.median] : [];
        });
      return [`${kind} over ${other}`, geometricMean(ratios)];
    }),
  );
}
