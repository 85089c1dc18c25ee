import { openGpuInNode } from "../../src/gpu/dawn.ts";
import type { WeightMatrix } from "../../src/kernels/columns/pack.ts";
import { geometricMean, type Spread } from "../../src/plan/stats.ts";
import { type Environment, environment } from "../../src/report/environment.ts";
import { nodeHost } from "../../src/report/host.ts";
import { textTable } from "../../src/report/table.ts";
import { watchLoad } from "../load.ts";
import { contest, denseSide, type Entrant, type Row } from "./contest.ts";
import { described } from "./kernels.ts";
import { type RealPattern, randomPattern, readPatterns, weightOf } from "./patterns.ts";
import type { KernelRow } from "./result.ts";
import { measureRooflines } from "./rooflines.ts";
import { placeOf, type Shape } from "./shapes.ts";

export interface DlmcOptions {
  readonly folder: string;
  readonly batch: number;
  /** Only layers whose name contains it. */
  readonly only?: string;
  readonly adapter: "any" | "hardware" | "software";
  readonly rounds: number;
  readonly onProgress?: (message: string, done?: number, total?: number) => void;
}

export interface DlmcRow extends KernelRow {
  readonly layer: string;
}

export interface DlmcResult {
  readonly environment: Environment;
  readonly batch: number;
  readonly rows: readonly DlmcRow[];
  /** Layers that are no convolution of ResNet-50's repeating kind, with the reason. */
  readonly skipped: readonly { readonly layer: string; readonly why: string }[];
  readonly summary: {
    /** CSR against direct dense on real patterns and on random ones of the same density, by sparsity. */
    readonly csr: Readonly<Record<string, { readonly real: number; readonly random: number }>>;
    /** Sliced ELL against direct dense on real patterns. */
    readonly ell: Readonly<Record<string, number>>;
    /** The fastest of CSR, sliced ELL and clustered rows against the fastest dense of all, real patterns. */
    readonly unstructured: Readonly<Record<string, number>>;
    /** The best clustered format against the better of CSR and the fastest dense of all. */
    readonly clustered: Readonly<Record<string, number>>;
  };
}

/** Pixels per side of a layer of ResNet-50 at 224 x 224, by its group (the collection's README). */
const sizes: Readonly<Record<string, number>> = { group1: 56, group2: 28, group3: 14, group4: 7 };

function shapeOf({ layer, rows, k }: RealPattern): Shape | undefined {
  const size = sizes[/group[1-4]/.exec(layer)?.[0] ?? ""];
  if (size === undefined) return undefined;
  const kernel = layer.includes("bottleneck_2") ? 3 : 1;
  if (k % (kernel * kernel) !== 0) return undefined;
  return { rows, channels: k / (kernel * kernel), kernel, size };
}

/** The collection flattens a kernel tap by tap, channels innermost; ours runs channel by channel. */
function reordered(w: WeightMatrix, { kernel, channels }: Shape): WeightMatrix {
  if (kernel === 1) return w;
  const taps = kernel * kernel;
  const values = new Float32Array(w.values.length);
  for (let m = 0; m < w.rows; m++) {
    for (let t = 0; t < taps; t++) {
      for (let c = 0; c < channels; c++)
        values[m * w.k + c * taps + t] = w.values[m * w.k + t * channels + c]!;
    }
  }
  return { ...w, values };
}

const clusteredKinds = ["rows4x1", "rows8x1", "rows16x1"] as const;

/** Every matrix of a folder: dense, CSR, sliced ELL and clustered rows on its real pattern, CSR on a random one of the same density. */
export async function runDlmc(options: DlmcOptions): Promise<DlmcResult> {
  const patterns = readPatterns(options.folder).filter((p) => p.layer.includes(options.only ?? ""));
  const gpu = await openGpuInNode({ adapter: options.adapter });
  const otherCpus = watchLoad();
  try {
    const { fmaGflops } = await measureRooflines(gpu);
    const rows: DlmcRow[] = [];
    const skipped: { layer: string; why: string }[] = [];
    for (const [i, pattern] of patterns.entries()) {
      options.onProgress?.(`${pattern.layer} ${(100 * pattern.sparsity).toFixed(0)} %`, i, patterns.length);
      const shape = shapeOf(pattern);
      if (!shape) {
        skipped.push({ layer: pattern.layer, why: "it is the first convolution or the classifier" });
        continue;
      }
      const place = placeOf(shape, options.batch);
      const real = reordered(weightOf(pattern), shape);
      const whole = place.step.weight.kind === "constant" ? place.step.weight.matrix : real;
      const { sparsity } = pattern;
      const entrants: Entrant[] = [
        ...denseSide(whole),
        { kind: "csr", weight: real, sparsity, pattern: "real" },
        { kind: "ell", weight: real, sparsity, pattern: "real" },
        ...clusteredKinds.map((kind) => ({ kind, weight: real, sparsity, pattern: "real" })),
        { kind: "csr", weight: randomPattern(whole, sparsity, 1, 1), sparsity, pattern: "random" },
      ];
      const results = await contest(gpu, place, entrants, {
        rounds: options.rounds,
        budgetMs: 2000,
      });
      for (const row of results)
        rows.push({ layer: pattern.layer, ...described(row, shape, options.batch, fmaGflops) });
    }
    const { batch } = options;
    return {
      environment: { ...environment(gpu.adapter, nodeHost()), otherCpus: otherCpus() },
      batch,
      rows,
      skipped,
      summary: {
        csr: csrMeans(rows),
        ell: grouped(rows, (r) => (r.kind === "ell" ? r.vsDirect.median : undefined)),
        unstructured: unstructuredMeans(rows),
        clustered: clusteredMeans(rows),
      },
    };
  } finally {
    gpu.dispose();
  }
}

/** The collection's nominal sparsities; a matrix counts for the nearest. */
const nominal = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98];
const bucket = (s: number): string =>
  String(nominal.reduce((a, b) => (Math.abs(b - s) < Math.abs(a - s) ? b : a)));

function grouped(
  rows: readonly DlmcRow[],
  value: (r: DlmcRow) => number | undefined,
): Record<string, number> {
  const groups = new Map<string, number[]>();
  for (const row of rows) {
    const v = value(row);
    if (v !== undefined) groups.set(bucket(row.sparsity), [...(groups.get(bucket(row.sparsity)) ?? []), v]);
  }
  return Object.fromEntries([...groups].sort().map(([s, list]) => [s, geometricMean(list)]));
}

function csrMeans(rows: readonly DlmcRow[]): DlmcResult["summary"]["csr"] {
  const of = (pattern: string) =>
    grouped(rows, (r) => (r.kind === "csr" && r.pattern === pattern ? r.vsDirect.median : undefined));
  const [real, random] = [of("real"), of("random")];
  return Object.fromEntries(Object.entries(real).map(([s, v]) => [s, { real: v, random: random[s]! }]));
}

function unstructuredMeans(rows: readonly DlmcRow[]): Readonly<Record<string, number>> {
  return grouped(rows, (r) => {
    if (r.kind !== "csr" || r.pattern !== "real") return undefined;
    const own = rows.filter((o) => o.layer === r.layer && o.sparsity === r.sparsity && o.pattern === "real");
    return Math.max(...own.map((o) => o.vsBest.median));
  });
}

function clusteredMeans(rows: readonly DlmcRow[]): Readonly<Record<string, number>> {
  const csr = rows.filter((r) => r.kind === "csr" && r.pattern === "real");
  return grouped(csr, (r) => {
    const best = bestClustered(rows, r);
    if (!best) return undefined;
    // Of formats that leave rows where they are: sliced ELL has a column of its own.
    const csrVsBest = r.vsBest.median;
    return best.vsBest.median / Math.max(csrVsBest, 1);
  });
}

const clusteredFormats = ["rows4x1", "rows8x1", "rows16x1"] as const;

/** A row per sparsity: of clustered rows by the rows of a block, how many times as fast as direct dense, and the share of values stored. */
export function clusteredByRows({ rows }: DlmcResult): string[][] {
  const means = clusteredFormats.map((kind) => {
    const of = (value: (r: DlmcRow) => number) =>
      grouped(rows, (r) => (r.kind === kind ? value(r) : undefined));
    return { direct: of((r) => r.vsDirect.median), stored: of((r) => r.stored) };
  });
  const sparsities = Object.keys(means[0]!.direct).sort((a, b) => Number(a) - Number(b));
  return [
    ["sparsity", ...clusteredFormats.map((kind) => `${kind} (stored)`)],
    ...sparsities.map((s) => [
      `${(100 * Number(s)).toFixed(0)} %`,
      ...means.map(({ direct, stored }) => `${direct[s]!.toFixed(2)} (${(100 * stored[s]!).toFixed(0)} %)`),
    ]),
  ];
}

const bestClustered = (rows: readonly DlmcRow[], like: Row & { layer: string; sparsity: number }) =>
  rows
    .filter((r) => r.layer === like.layer && r.sparsity === like.sparsity && r.kind.startsWith("rows"))
    .sort((a, b) => a.ms.median - b.ms.median)[0];

const show = ({ median, p10, p90 }: Spread): string =>
  `${median.toFixed(2)} (${p10.toFixed(2)}-${p90.toFixed(2)})`;

export function dlmcTable(result: DlmcResult): string {
  const { rows, summary, skipped } = result;
  const head = [
    "layer",
    "shape",
    "sparsity",
    "csr x direct",
    "random csr",
    "ell x direct",
    "csr x best",
    "clustered x best",
    "as",
    "stored",
  ];
  const table = rows
    .filter((r) => r.kind === "csr" && r.pattern === "real")
    .map((r) => {
      const random = rows.find(
        (o) => o.layer === r.layer && o.sparsity === r.sparsity && o.pattern === "random",
      );
      const ell = rows.find((o) => o.layer === r.layer && o.sparsity === r.sparsity && o.kind === "ell");
      const best = bestClustered(rows, r);
      return [
        r.layer,
        r.shape,
        `${(100 * r.sparsity).toFixed(1)} %`,
        show(r.vsDirect),
        random ? show(random.vsDirect) : "-",
        ell ? show(ell.vsDirect) : "-",
        show(r.vsBest),
        best ? show(best.vsBest) : "-",
        best?.kind ?? "-",
        best ? best.stored.toFixed(3) : "-",
      ];
    });
  const means = Object.keys(summary.csr).map((s) => [
    `${(100 * Number(s)).toFixed(0)} %`,
    summary.csr[s]!.real.toFixed(2),
    summary.csr[s]!.random.toFixed(2),
    summary.ell[s]?.toFixed(2) ?? "-",
    summary.unstructured[s]?.toFixed(2) ?? "-",
    summary.clustered[s]?.toFixed(2) ?? "-",
  ]);
  const [clusteredHead, ...clusteredRows] = clusteredByRows(result);
  const left =
    skipped.length > 0 ? `\nnot measured: ${skipped.map((s) => `${s.layer} (${s.why})`).join(", ")}` : "";
  return `${textTable(head, table)}\n\n${textTable(
    [
      "geometric means",
      "csr x direct, real",
      "random",
      "ell x direct, real",
      "fastest of csr, ell, clustered x best",
      "clustered rows x the better of csr and dense",
    ],
    means,
  )}\n\nclustered rows against direct dense:\n${textTable(clusteredHead!, clusteredRows)}${left}`;
}
