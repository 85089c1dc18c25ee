// Writes the tables of README.md and bench/NOTES.md from result files: node --import tsx bench/readme.ts [--check]
// A table stands between `<!-- table: NAME -->` and `<!-- end -->` and comes from bench/results/NAME.json;
// those of `targets` and `bounds` come from others.
import { readFileSync, writeFileSync } from "node:fs";
import type { Comparison } from "../src/report/compare.ts";
import { comparisonNotes, comparisonRows } from "../src/report/comparison-table.ts";
import { environmentLine } from "../src/report/environment.ts";
import { count, percent } from "../src/report/format.ts";
import { markdownTable } from "../src/report/table.ts";
import { type DeadResult, deadTable } from "./dead.ts";
import type { FilterRow, FiltersResult } from "./filters.ts";
import { boundsTable } from "./kernels/bounds.ts";
import { winsFromTable } from "./kernels/crossover.ts";
import { clusteredByRows, type DlmcResult } from "./kernels/dlmc.ts";
import { f16Means, f16Table } from "./kernels/f16.ts";
import { nmMeans, nmTable } from "./kernels/nm.ts";
import { type ByBatch, breakEvens, type KernelsResult } from "./kernels/result.ts";
import type { SuiteResult } from "./kernels/suite.ts";
import { known, methodsTable, points } from "./methods/result.ts";
import { type LayoutsResult, layoutsTable } from "./models/layouts.ts";
import { label, type ModelsResult } from "./models/models.ts";
import type { PeersResult } from "./peers/result.ts";
import type { SurgeryResult } from "./surgery/surgery.ts";
import type { TargetResult } from "./target.ts";
import { targetsTable } from "./targets.ts";

/** How the file of each name is shown; any other name is a comparison of models. */
const shown: Readonly<Record<string, (result: never) => string>> = {
  peers,
  kernels,
  "kernels-resnet56": boundsWithEnvironment,
  crossover,
  nm,
  f16,
  models,
  plans: models,
  layouts,
  dlmc,
  dead,
  surgery,
  methods: methodsTable,
  filters,
  target,
};

/** Those that come from another file than one of their own name. */
const fromSeveral: Readonly<Record<string, (result: (name: string) => unknown) => string>> = {
  targets: targetsTable,
  bounds: (result) => boundsTable(result("kernels") as KernelsResult),
};

/** A document with every table made anew from its result file. */
export function withTables(document: string, result: (name: string) => unknown): string {
  return document.replace(/<!-- table: ([\w-]+) -->[\s\S]*?<!-- end -->/g, (_, name: string) => {
    const text = fromSeveral[name]?.(result) ?? (shown[name] ?? comparison)(result(name) as never);
    return `<!-- table: ${name} -->\n\n${text}\n\n<!-- end -->`;
  });
}

function boundsWithEnvironment(result: KernelsResult): string {
  return `${boundsTable(result)} ${environmentLine(result.environment)}.`;
}

function comparison(result: Comparison): string {
  const { head, rows } = comparisonRows(result);
  return `${markdownTable(head, rows)}\n\n${comparisonNotes(result).join(" ")}`;
}

function peers({ best, summary, environment }: PeersResult): string {
  const rows = best.map((b) => [
    b.op === b.shape ? b.op : `${b.op} ${b.shape}`,
    b.peer,
    `${b.ratio.toFixed(2)}x`,
  ]);
  const { matmul, conv } = summary.denseVsBestPeer;
  const mean = [
    ...(matmul ? [`matrix products ${matmul.toFixed(2)}x`] : []),
    ...(conv ? [`convolutions ${conv.toFixed(2)}x`] : []),
  ].join(", ");
  return `${markdownTable(["dense, batch 1 unless said", "best peer", "its time over ours"], rows)}\n\nGeometric means: ${mean}. ${environmentLine(environment)}.`;
}

function kernels({ summary, environment, rooflines, rows: measured }: KernelsResult): string {
  const sparsities = ["0.25", "0.5", "0.7", "0.75", "0.8", "0.9", "0.95"];
  const names: readonly (readonly [string, Exclude<keyof KernelsResult["summary"], "breakEven">])[] = [
    ["CSR / direct dense", "csr"],
    ["CSR / fastest dense", "csrVsBest"],
    ["sliced ELL / direct dense", "ell"],
    ["sliced ELL / fastest dense", "ellVsBest"],
    ["the faster of CSR and sliced ELL / direct dense", "element"],
    ["the faster of CSR and sliced ELL / fastest dense", "elementVsBest"],
    ["8x1 blocks / direct dense", "block8x1"],
    ["8x1 blocks / fastest dense", "block8x1VsBest"],
    ["half of the filters on both sides / fastest dense", "filters"],
  ];
  const rows = names.flatMap(([name, key]) =>
    (["batch1", "batch8"] as const satisfies readonly (keyof ByBatch)[]).map((batch) => [
      name,
      batch.slice(5),
      ...sparsities.map((s) => summary[key][batch][s]?.toFixed(2) ?? ""),
    ]),
  );
  const head = ["speed-up", "batch", ...sparsities.map((s) => `${(100 * Number(s)).toFixed(0)} %`)];
  const reused = (from: string, rates: Readonly<Record<string, number>>): string[] => [
    `GFLOP/s, x in ${from}`,
    ...Object.values(rates).map((rate) => rate.toFixed(0)),
    rooflines.fmaGflops.toFixed(0),
  ];
  const roofs = markdownTable(
    ["multiply-adds per loaded vec4", ...Object.keys(rooflines.reuseGflops), "nothing loaded"],
    [
      reused("memory", rooflines.reuseGflops),
      ...(rooflines.texelGflops ? [reused("a texture", rooflines.texelGflops)] : []),
    ],
  );
  return `${roofs}\n\n${markdownTable(head, rows)}\n\nGeometric means over twelve layers of ResNet-50, random patterns of exact density. Break-even with direct dense: ${breakEvens(measured)}. ${environmentLine(environment)}.`;
}

function crossover(result: SuiteResult): string {
  const table = (ratio: "vsDirect" | "vsBest"): string => {
    const [head, ...rows] = winsFromTable(result, ratio);
    return markdownTable(head!, rows);
  };
  return `${table("vsDirect")}\n\nThe same over the fastest dense kernel of all, where Winograd is one:\n\n${table("vsBest")}\n\n${environmentLine(result.environment)}.`;
}

function nm(result: SuiteResult): string {
  const [head, ...rows] = nmTable(result);
  const means = Object.entries(nmMeans(result)).map(([pair, mean]) => `${pair} ${mean.toFixed(2)}`);
  return `${markdownTable(head!, rows)}\n\nTimes as fast as the fastest dense kernel of all. Geometric means over the layers of many columns: ${means.join(", ")}. ${environmentLine(result.environment)}.`;
}

function f16(result: SuiteResult): string {
  const [head, ...rows] = f16Table(result);
  const allowed = result.rows.filter((r) => r.rounds);
  const rounds = allowed.filter((r) => /-halves|^matrix/.test(r.kernel)).length;
  const gained = Object.entries(f16Means(result)).map(([name, mean]) => `${name} ${mean.toFixed(2)}`);
  return `${markdownTable(head!, rows)}\n\nTimes as fast as the fastest dense kernel in f32, batch 8. Gained where rounding is allowed, geometric means: ${gained.join(", ")}; of the ${allowed.length} fastest kernels there ${rounds} round. ${environmentLine(result.environment)}.`;
}

function models({ rows, environment }: ModelsResult): string {
  const table = rows.map((r) => [
    `${r.model}, batch ${r.batch}`,
    label(r),
    `${r.ms.median.toFixed(1)} (${r.ms.p10.toFixed(1)}-${r.ms.p90.toFixed(1)})`,
    `${r.speedup.median.toFixed(2)} (${r.speedup.p10.toFixed(2)}-${r.speedup.p90.toFixed(2)})x`,
    Object.entries(r.formats)
      .sort((a, b) => b[1] - a[1])
      .map(([format, n]) => `${n} ${format}`)
      .join(", "),
    r.cpuMs.toFixed(2),
  ]);
  const head = ["model", "pruned", "ms", "speed-up", "layers by format", "ms to start a run"];
  return `${markdownTable(head, table)}\n\n${environmentLine(environment)}${earlier(rows, environment.date)}.`;
}

/** Nets whose rows are of another day than the file, and which. */
function earlier(rows: ModelsResult["rows"], date: string): string {
  const day = (iso: string): string => iso.slice(0, 10);
  const nets = new Map(rows.map((r) => [r.model, day(r.date ?? date)]));
  const others = [...nets].filter(([, d]) => d !== day(date)).map(([net, d]) => `${net} of ${d}`);
  return others.length === 0 ? "" : `; ${others.join(", ")}`;
}

function layouts(result: LayoutsResult): string {
  const [head, ...rows] = layoutsTable(result);
  return `${markdownTable(head!, rows)}\n\n${environmentLine(result.environment)}.`;
}

function dlmc(result: DlmcResult): string {
  const { summary, environment, batch } = result;
  const rows = Object.entries(summary.csr)
    .sort(([a], [b]) => Number(a) - Number(b))
    .map(([s, csr]) => [
      `${(100 * Number(s)).toFixed(0)} %`,
      csr.real.toFixed(2),
      csr.random.toFixed(2),
      summary.ell[s]?.toFixed(2) ?? "",
      summary.unstructured[s]?.toFixed(2) ?? "",
      summary.clustered[s]?.toFixed(2) ?? "",
    ]);
  const head = [
    "sparsity",
    "CSR / direct dense, real masks",
    "random masks",
    "sliced ELL / direct dense, real masks",
    "fastest of CSR, ELL and clustered rows / fastest dense",
    "clustered rows / the better of CSR and dense",
  ];
  const [clusteredHead, ...clusteredRows] = clusteredByRows(result);
  return `${markdownTable(head, rows)}\n\nClustered rows, by the rows of a block, over direct dense, and the share of values that they store, on the same masks:\n\n${markdownTable(clusteredHead!, clusteredRows)}\n\nGeometric means over the really pruned layers of ResNet-50, batch ${batch}. ${environmentLine(environment)}.`;
}

function filters({ rows, dense, settings, environment }: FiltersResult): string {
  const placeOf = (r: FilterRow): string => `${r.rate} ${r.trainedAt ?? ""} ${r.method}`;
  const places = [...new Set(rows.map(placeOf))].sort(
    (a, b) => Number.parseFloat(a) - Number.parseFloat(b) || (a < b ? -1 : 1),
  );
  const table = places.map((place) => {
    const own = rows.filter((r) => placeOf(r) === place);
    const { rate, method, trainedAt } = own[0]!;
    const after = known(own.map((r) => r.retrained));
    return [
      `${+(100 * rate).toFixed(1)} %`,
      method,
      points(own.map((r) => r.top1)),
      trainedAt === undefined ? "default" : String(trainedAt),
      points(after),
      String(own.length),
    ];
  });
  const head = ["filters removed", "method", "top-1 % before", "rate", "after retraining", "draws"];
  return `${markdownTable(head, table)}\n\nUnpruned ${percent(dense)} of ${count(settings.test)} test images; ${settings.epochs} epoch on ${count(settings.train)} training images. ${environmentLine(environment)}.`;
}

function target({ dense, solved, uniform, targetMs, batch, images, environment }: TargetResult): string {
  const nets = [
    { name: "unpruned", ...dense },
    { name: `solved for ${targetMs} ms`, ...solved },
    ...uniform.map((u) => ({ name: `every layer ${+(100 * u.share).toFixed(0)} %`, ...u })),
  ];
  const table = [...nets]
    .sort((a, b) => b.ms.median - a.ms.median)
    .map(({ name, ms, top1 }) => [
      name,
      `${ms.median.toFixed(1)} (${ms.p10.toFixed(1)}-${ms.p90.toFixed(1)})`,
      (100 * top1).toFixed(1),
    ]);
  const { measured, predicted } = solved;
  return `${markdownTable(["filters removed", `ms, batch ${batch}`, "top-1 %"], table)}\n\nNo retraining; ${count(images)} test images. When it was solved, the net took ${measured.median.toFixed(1)} ms (${measured.p10.toFixed(1)}-${measured.p90.toFixed(1)}; ${predicted.toFixed(1)} predicted by its layers); the table is of all nets in turn. ${environmentLine(environment)}.`;
}

function dead(result: DeadResult): string {
  const [head, ...rows] = deadTable(result);
  return `${markdownTable(head!, rows)}\n\n${environmentLine(result.environment)}.`;
}

function surgery({ rows, environment }: SurgeryResult): string {
  const shares = (list: Readonly<Record<string, number>>): string =>
    Object.values(list)
      .map((share) => (100 * share).toFixed(1))
      .join(" / ");
  const table = rows.map((r) => [
    shares(r.sparsity),
    `${r.epochs}, ${r.rate}`,
    `${+(100 * (r.settings.stop ?? 1)).toFixed(1)}`,
    `${r.compression.toFixed(1)}x`,
    shares(r.kept),
    Object.values(r.channels).slice(0, -1).join("-"),
    (100 * (1 - r.validation)).toFixed(2),
    (100 * (1 - r.test)).toFixed(2),
  ]);
  const head = [
    "cut at first, %",
    "epochs, rate",
    "masks move for, %",
    "fewer values",
    "weights left, %",
    "channels left",
    "validation error, %",
    "test error, %",
  ];
  return `${markdownTable(head, table)}\n\n${environmentLine(environment)}.`;
}

export const readResult = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`results/${name}.json`, import.meta.url), "utf8"));

/** The documents that hold such tables. */
export const documents = ["README.md", "bench/NOTES.md", "bench/METHODS.md"] as const;

if (process.argv[1]?.endsWith("readme.ts")) {
  for (const name of documents) {
    const file = new URL(`../${name}`, import.meta.url);
    const before = readFileSync(file, "utf8");
    const after = withTables(before, readResult);
    if (process.argv.includes("--check") && after !== before) {
      console.error(`the tables of ${name} do not match bench/results. Run: npm run readme`);
      process.exit(1);
    }
    if (after !== before) writeFileSync(file, after);
  }
}
