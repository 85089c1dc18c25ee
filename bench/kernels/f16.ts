import { roundedToHalf } from "../../src/kernels/columns/half.ts";
import type { WeightMatrix } from "../../src/kernels/columns/pack.ts";
import { geometricMean } from "../../src/plan/stats.ts";
import { denseSide, type Entrant } from "./contest.ts";
import { randomPattern } from "./patterns.ts";
import type { KernelRow } from "./result.ts";
import { type Shape, shapeName } from "./shapes.ts";
import { type Job, runJobs, type SuiteOptions, type SuiteResult } from "./suite.ts";

const shapes: readonly Shape[] = [
  { rows: 64, channels: 64, kernel: 3, size: 56 },
  { rows: 64, channels: 256, kernel: 1, size: 56 },
  { rows: 256, channels: 1024, kernel: 1, size: 14 },
  { rows: 512, channels: 512, kernel: 3, size: 7 },
];
const batch = 8;

/** What may gain by smaller loads of x: format, sparsity, and rows that share a pattern. */
const cases = [
  ["csr", 0.8, 1],
  ["csr", 0.9, 1],
  ["csr", 0.95, 1],
  ["rows4x1", 0.9, 1],
  ["block8x1", 0.5, 8],
  ["block8x1", 0.75, 8],
  ["block8x1", 0.9, 8],
] as const;

/**
 * Every format with x as it lies and with x in half precision, in turn, weights in half precision in both; dense on matrix units
 * where there are some.
 */
export function runF16(options: SuiteOptions): Promise<SuiteResult> {
  const entrants = (whole: WeightMatrix): readonly Entrant[] => {
    const half = { ...whole, values: roundedToHalf(whole.values) };
    return [
      ...denseSide(half),
      { kind: "direct", weight: half, sparsity: 0, rounds: true },
      { kind: "dense-f16", weight: half, sparsity: 0, rounds: true },
      ...cases.flatMap(([kind, sparsity, r]): Entrant[] => {
        const weight = randomPattern(half, sparsity, r, options.seed);
        return [
          { kind, weight, sparsity },
          { kind, weight, sparsity, rounds: true },
        ];
      }),
    ];
  };
  const jobs = shapes.map((shape): Job => ({ shape, batch, label: `batch ${batch}`, entrants }));
  return runJobs(jobs, options, { rounds: 11, budgetMs: 5000 });
}

const names: Readonly<Record<string, string>> = {
  direct: "dense, direct",
  "dense-f16": "dense, matrix units",
  csr: "CSR",
  rows4x1: "clustered 4 rows",
  block8x1: "8x1 blocks",
};

/** Per format and sparsity: how many times as fast as the fastest dense kernel in f32, with x in f32 and in half precision. */
export function f16Table({ rows }: SuiteResult): readonly (readonly string[])[] {
  const kinds = [
    ["direct", 0],
    ["dense-f16", 0],
    ...cases.map(([kind, sparsity]) => [kind, sparsity] as const),
  ] as const;
  const cell = (row: KernelRow | undefined): string => row?.vsBest.median.toFixed(2) ?? "-";
  const body = kinds.map(([kind, sparsity]) => [
    sparsity > 0 ? `${names[kind]}, ${100 * sparsity} %` : names[kind]!,
    ...shapes.map((shape) => {
      const own = rows.filter(
        (r) => r.shape === shapeName(shape) && r.kind === kind && r.sparsity === sparsity,
      );
      return `${cell(own.find((r) => !r.rounds))} / ${cell(own.find((r) => r.rounds))}`;
    }),
  ]);
  const head = ["x in f32 / in half precision", ...shapes.map((s) => shapeName(s))];
  return [head, ...body.filter((row) => row.slice(1).some((c) => c !== "- / -"))];
}

/** Geometric means, over layers and sparsities, of the time with x in f32 over the time with x in half precision. */
export function f16Means({ rows }: SuiteResult): Readonly<Record<string, number>> {
  const kinds = ["direct", ...new Set(cases.map(([kind]) => kind))];
  return Object.fromEntries(
    kinds.map((kind) => {
      const ratios = rows
        .filter((r) => r.kind === kind && r.rounds)
        .flatMap((r) => {
          const twin = rows.find(
            (o) => o.kind === kind && !o.rounds && o.shape === r.shape && o.sparsity === r.sparsity,
          );
          return twin ? [twin.ms.median / r.ms.median] : [];
        });
      return [names[kind]!, geometricMean(ratios)];
    }),
  );
}
