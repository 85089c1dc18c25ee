import type { Format } from "../../src/kernels/columns/formats.ts";
import type { WeightMatrix } from "../../src/kernels/columns/pack.ts";
import { breakEven, type Point, winsFrom } from "./break-even.ts";
import { denseSide, type Entrant, type Row, randomEntrant } from "./contest.ts";
import type { KernelsOptions } from "./kernels.ts";
import type { KernelRow } from "./result.ts";
import { shapesOf } from "./shapes.ts";
import { type Job, runJobs, type SuiteResult } from "./suite.ts";

type Sparse = Exclude<Format, "dense">;

const formats: readonly Sparse[] = ["csr", "csr-f16", "ell", "block2x1", "block4x1", "block8x1", "block16x1"];

/** Where every format is measured first; where it wins lies between two of them, below or above. */
const firstSparsities = [0.3, 0.6, 0.9] as const;

export interface CrossoverResult extends SuiteResult {
  readonly summary: {
    /** Share of zeros from which the format stays ahead of direct dense. */
    readonly breakEven: readonly WinsFrom[];
    /** The same of the fastest dense kernel of all, Winograd among them. */
    readonly breakEvenVsBest: readonly WinsFrom[];
  };
}

interface WinsFrom {
  readonly shape: string;
  readonly batch: number;
  readonly format: string;
  /** Null where it lies between no two that were measured: `from` says on which side of all. */
  readonly sparsity: number | null;
  /** In words. */
  readonly from: string;
}

/** Every format at three sparsities, then at the one where by these it draws level with dense. */
export async function runCrossover(options: KernelsOptions): Promise<CrossoverResult> {
  const quick = options.set === "quick";
  const entrants = (whole: WeightMatrix, at: (format: Sparse) => readonly number[]): readonly Entrant[] => [
    ...denseSide(whole),
    ...formats.flatMap((kind) =>
      at(kind).map((sparsity) => randomEntrant(whole, kind, sparsity, options.seed)),
    ),
  ];
  const jobs = shapesOf(options.set).flatMap((shape) =>
    options.batches.map(
      (batch): Job => ({
        shape,
        batch,
        label: `batch ${batch}`,
        entrants: (whole) => entrants(whole, () => firstSparsities),
        ...(!quick && {
          afterwards: (whole, rows) =>
            entrants(whole, (format) => {
              const own = rows.filter((r) => r.kind === format);
              return own.length > 0 ? [nextSparsity(own)] : [];
            }),
        }),
      }),
    ),
  );
  const how = { rounds: quick ? 5 : 11, budgetMs: quick ? 500 : 4000 };
  const { environment, rows } = await runJobs(jobs, options, how);
  return {
    environment,
    rows,
    summary: { breakEven: ofEach(rows, "vsDirect"), breakEvenVsBest: ofEach(rows, "vsBest") },
  };
}

type Ratio = "vsDirect" | "vsBest";

const pointsOf = (rows: readonly Row[], ratio: Ratio = "vsDirect"): Point[] =>
  rows.map((r) => [r.sparsity, r[ratio].median]);

/** By what was measured the format draws level there; ahead or behind everywhere, half of the way that is left. */
export function nextSparsity(rows: readonly Row[]): number {
  const ordered = [...rows].sort((a, b) => a.sparsity - b.sparsity);
  const [first, last] = [ordered[0]!, ordered.at(-1)!];
  const level = breakEven(pointsOf(ordered));
  if (level !== null) return Math.round(100 * level) / 100;
  return last.vsDirect.median < 1 ? (1 + last.sparsity) / 2 : first.sparsity / 2;
}

interface Group {
  readonly shape: string;
  readonly batch: number;
  readonly format: string;
  readonly rows: readonly KernelRow[];
}

/** The sparse rows of one shape, batch and format, by their sparsity. */
function groupsOf(rows: readonly KernelRow[]): Group[] {
  const groups = new Map<string, KernelRow[]>();
  for (const row of rows.filter((r) => r.sparsity > 0)) {
    const key = `${row.shape}|${row.batch}|${row.kind}`;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()].map((own) => {
    const { shape, batch, kind: format } = own[0]!;
    return { shape, batch, format, rows: own.sort((a, b) => a.sparsity - b.sparsity) };
  });
}

const ofEach = (rows: readonly KernelRow[], ratio: Ratio): WinsFrom[] =>
  groupsOf(rows).map(({ shape, batch, format, rows: own }) => ({
    shape,
    batch,
    format,
    sparsity: breakEven(pointsOf(own, ratio)),
    from: winsFrom(pointsOf(own, ratio)),
  }));

/** Per shape, batch and format: the ratios to direct dense, and the sparsity from which it wins, over direct dense and over any. */
export const crossoverTable = ({ rows }: SuiteResult): readonly (readonly string[])[] => [
  ["shape", "batch", "format", "wins from", "over any dense", "times direct dense"],
  ...groupsOf(rows).map(({ shape, batch, format, rows: own }) => [
    shape,
    String(batch),
    format,
    winsFrom(pointsOf(own)),
    winsFrom(pointsOf(own, "vsBest")),
    own.map((r) => `${(100 * r.sparsity).toFixed(0)} %: ${r.vsDirect.median.toFixed(2)}`).join("   "),
  ]),
];

/**
 * Shapes down, formats across: the sparsity from which each wins, batch by batch. Over the fastest dense kernel of all only the shapes
 * that have one besides direct ones.
 */
export function winsFromTable(
  { rows }: SuiteResult,
  ratio: Ratio = "vsDirect",
): readonly (readonly string[])[] {
  const others = new Set(rows.filter((r) => r.kind === "winograd").map((r) => r.shape));
  const groups = groupsOf(rows).filter(({ shape }) => ratio === "vsDirect" || others.has(shape));
  const batches = [...new Set(groups.map((g) => g.batch))];
  const shapes = [...new Set(groups.map((g) => g.shape))];
  const kinds = formats.filter((f) => groups.some((g) => g.format === f));
  const cell = (shape: string, format: string): string =>
    batches
      .map((batch) => groups.find((g) => g.shape === shape && g.batch === batch && g.format === format))
      .map((group) => (group ? winsFrom(pointsOf(group.rows, ratio)) : "-"))
      .join(", ");
  return [
    [`batch ${batches.join(", ")}`, ...kinds],
    ...shapes.map((shape) => [shape, ...kinds.map((format) => cell(shape, format))]),
  ];
}
