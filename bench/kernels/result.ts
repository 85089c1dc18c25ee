import { geometricMean } from "../../src/plan/stats.ts";
import type { Environment } from "../../src/report/environment.ts";
import { textTable } from "../../src/report/table.ts";
import { breakEven, type Point, winsFrom } from "./break-even.ts";
import type { Row } from "./contest.ts";
import type { Rooflines } from "./rooflines.ts";

export interface KernelRow extends Row {
  readonly op: "matmul" | "conv";
  readonly shape: string;
  readonly batch: number;
  /** Multiply-adds that are not by zero, and those of the dense layer, per second. */
  readonly usefulGflops: number;
  readonly denseEquivalentGflops: number;
  /** Of the multiply-adds that the adapter does out of registers. */
  readonly roofline: number;
}

/** What the adapter did just before or after a layer's turns, whichever was faster. */
export interface LayerRooflines {
  readonly shape: string;
  readonly batch: number;
  readonly rooflines: Rooflines;
}

/** `pattern` of rows with hardly a weight left, which are in no mean: x in memory, and out of a texture, its copy included. */
export const floorPatterns = { memory: "floor", texels: "floor, x in a texture" } as const;

/** Geometric means over the shapes, by sparsity. */
export type BySparsity = Readonly<Record<string, number>>;
export interface ByBatch {
  readonly batch1: BySparsity;
  readonly batch8: BySparsity;
  /** Other batches that were measured, as in `batch32`. */
  readonly [batch: `batch${number}`]: BySparsity;
}

export interface KernelsResult {
  readonly environment: Environment;
  readonly rooflines: Rooflines;
  readonly layers: readonly LayerRooflines[];
  readonly rows: readonly KernelRow[];
  readonly summary: {
    readonly csr: ByBatch;
    readonly csrVsBest: ByBatch;
    /** Sliced ELL on the same patterns. */
    readonly ell: ByBatch;
    readonly ellVsBest: ByBatch;
    /** An unstructured mask in the faster of both, layer by layer. */
    readonly element: ByBatch;
    readonly elementVsBest: ByBatch;
    readonly block8x1: ByBatch;
    readonly block8x1VsBest: ByBatch;
    /** Half of the filters gone, and half of those before: against the fastest dense of all. */
    readonly filters: ByBatch;
    /** Sparsity from which the format is faster than the fastest direct kernel, on the geometric mean; null where it lies between no two measured. */
    readonly breakEven: Readonly<Record<"csr" | "element" | "block8x1", number | null>>;
  };
}

type Ratio = "vsDirect" | "vsBest";
type Kinds = readonly Row["kind"][];

/** Formats that hold any mask as it is. */
const unstructured: Kinds = ["csr", "ell"];

const breakEvenKinds = { csr: ["csr"], element: unstructured, block8x1: ["block8x1"] } satisfies Record<
  string,
  Kinds
>;

export function summarise(rows: readonly KernelRow[]): KernelsResult["summary"] {
  const others = [...new Set(rows.map((r) => r.batch))].filter((batch) => batch !== 1 && batch !== 8);
  const means = (kinds: Kinds, ratio: Ratio): ByBatch => ({
    batch1: bySparsity(rows, kinds, ratio, 1),
    batch8: bySparsity(rows, kinds, ratio, 8),
    ...Object.fromEntries(others.map((batch) => [`batch${batch}`, bySparsity(rows, kinds, ratio, batch)])),
  });
  return {
    csr: means(["csr"], "vsDirect"),
    csrVsBest: means(["csr"], "vsBest"),
    ell: means(["ell"], "vsDirect"),
    ellVsBest: means(["ell"], "vsBest"),
    element: means(unstructured, "vsDirect"),
    elementVsBest: means(unstructured, "vsBest"),
    block8x1: means(["block8x1"], "vsDirect"),
    block8x1VsBest: means(["block8x1"], "vsBest"),
    filters: means(["filters"], "vsBest"),
    breakEven: {
      csr: breakEven(pointsOf(rows, breakEvenKinds.csr)),
      element: breakEven(pointsOf(rows, breakEvenKinds.element)),
      block8x1: breakEven(pointsOf(rows, breakEvenKinds.block8x1)),
    },
  };
}

/** Of several kinds the fastest counts, row by row. */
function bySparsity(rows: readonly KernelRow[], kinds: Kinds, ratio: Ratio, batch?: number): BySparsity {
  const fastest = new Map<string, { readonly sparsity: number; readonly times: number }>();
  for (const row of rows) {
    if (!kinds.includes(row.kind) || (batch !== undefined && row.batch !== batch) || row.pattern) continue;
    const key = `${row.shape} ${row.batch} ${row.sparsity}`;
    const times = Math.max(row[ratio].median, fastest.get(key)?.times ?? 0);
    fastest.set(key, { sparsity: row.sparsity, times });
  }
  const groups = new Map<number, number[]>();
  for (const { sparsity, times } of fastest.values())
    groups.set(sparsity, [...(groups.get(sparsity) ?? []), times]);
  return Object.fromEntries(
    [...groups].sort(([a], [b]) => a - b).map(([s, ratios]) => [String(s), geometricMean(ratios)]),
  );
}

/** Of the geometric means of both batches. */
const pointsOf = (rows: readonly KernelRow[], kinds: Kinds): Point[] =>
  Object.entries(bySparsity(rows, kinds, "vsDirect")).map(([s, times]) => [Number(s), times]);

/** What breaks even with direct dense where, kind by kind. */
export const breakEvens = (rows: readonly KernelRow[]): string =>
  Object.entries(breakEvenKinds)
    .map(([name, kinds]) => `${name} ${winsFrom(pointsOf(rows, kinds))}`)
    .join(", ");

const ratio = (r: { median: number; p10: number; p90: number }): string =>
  `${r.median.toFixed(2)} (${r.p10.toFixed(2)}-${r.p90.toFixed(2)})`;

export function kernelsTable(rows: readonly KernelRow[]): string {
  const head = [
    "shape",
    "batch",
    "kind",
    "sparsity",
    "ms",
    "useful",
    "dense eq.",
    "of roof",
    "x direct",
    "x best",
    "kernel",
  ];
  return textTable(
    head,
    rows.map((r) => [
      r.shape,
      String(r.batch),
      `${r.kind}${r.pattern ? ` (${r.pattern})` : ""}${r.rounds ? ", x in f16" : ""}`,
      r.sparsity === 0 ? "-" : `${(100 * r.sparsity).toFixed(0)} %`,
      `${r.ms.median.toFixed(2)} (${r.ms.p10.toFixed(2)}-${r.ms.p90.toFixed(2)})`,
      r.usefulGflops.toFixed(1),
      r.denseEquivalentGflops.toFixed(1),
      `${(100 * r.roofline).toFixed(0)} %`,
      ratio(r.vsDirect),
      ratio(r.vsBest),
      r.kernel,
    ]),
  );
}

const batchesOf = (rows: readonly KernelRow[]): number[] =>
  [...new Set(rows.map((r) => r.batch))].sort((a, b) => a - b);

export function summaryTable({ summary, rows: measured }: KernelsResult): string {
  const rows = (
    [
      "csr",
      "csrVsBest",
      "ell",
      "ellVsBest",
      "element",
      "elementVsBest",
      "block8x1",
      "block8x1VsBest",
      "filters",
    ] as const
  ).flatMap((key) =>
    batchesOf(measured).map((batch) => [
      `${key.replace("VsBest", "")} against ${key.endsWith("VsBest") || key === "filters" ? "the fastest dense" : "the fastest direct dense"}`,
      String(batch),
      Object.entries(summary[key][`batch${batch}`] ?? {})
        .map(([s, v]) => `${(100 * Number(s)).toFixed(0)} %: ${v.toFixed(2)}`)
        .join("   "),
    ]),
  );
  return `${textTable(["geometric means", "batch", "ratio by sparsity"], rows)}\nbreaks even with direct dense from: ${breakEvens(measured)}`;
}
