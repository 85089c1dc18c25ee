import type { Comparison } from "../../src/report/compare.ts";
import { planSummary } from "../../src/report/comparison-table.ts";
import { type Environment, environmentLine } from "../../src/report/environment.ts";
import { count, percent } from "../../src/report/format.ts";
import { spreadOf } from "../../src/report/stability.ts";
import { markdownTable } from "../../src/report/table.ts";
import type { Identified } from "../kept-rows.ts";
import { type Entrant, entrantName, type Half } from "./entrants.ts";

/** One method with one seed. */
export interface MethodRow extends Entrant, Identified {
  readonly seed: number;
  /** Non-zero weights, and dense multiply-adds of one image after exact compaction, of what the net had. */
  readonly keptWeights: number;
  readonly keptMacs: number;
  /** Top-1 of the pruned net before it is retrained; methods that train have none. */
  readonly before?: number;
  /** Top-1 after the epochs that all have in common. */
  readonly after?: number;
  /** Why the method cannot prune this net; such a row has neither accuracy. */
  readonly refused?: string;
}

export interface MethodsResult {
  readonly environment: Environment;
  readonly model: string;
  /** Top-1 of the net that all begin with. */
  readonly dense: number;
  readonly images: { readonly train: number; readonly test: number };
  readonly epochs: number;
  readonly seeds: number;
  readonly rows: readonly MethodRow[];
  /** Accuracy against measured milliseconds, magnitude in four granularities after the same retraining. */
  readonly latency?: Comparison;
}

const titles: Readonly<Record<Half, string>> = {
  unstructured: "Single weights, equal kept weights",
  structured: "Whole filters, equal kept multiply-adds",
};

/** Mean and deviation of shares, in percent. */
export const points = (values: readonly number[]): string => {
  const { mean, deviation } = spreadOf(values.map((v) => 100 * v));
  return `${mean.toFixed(2)}${deviation === undefined ? "" : ` ± ${deviation.toFixed(2)}`}`;
};

/** Those that were measured. */
export const known = (values: readonly (number | undefined)[]): number[] =>
  values.filter((v) => v !== undefined);

const mean = (values: readonly number[]): number => spreadOf(values).mean;

/** Both halves of the table, best after retraining first, then accuracy against latency. */
export function methodsTable(result: MethodsResult): string {
  const parts = (["unstructured", "structured"] as const).map((half) => halfTable(result, half));
  if (result.latency) parts.push(latencyTable(result.latency));
  parts.push(
    `${result.model}: top-1 ${percent(result.dense)} on ${count(result.images.test)} test images before pruning; ` +
      `${result.epochs} epochs on ${count(result.images.train)} training images for every row, ${result.seeds} seeds (mean ± deviation). ` +
      `${environmentLine(result.environment)}.`,
  );
  return parts.join("\n\n");
}

function halfTable({ rows }: MethodsResult, half: Half): string {
  const byName = new Map<string, MethodRow[]>();
  for (const row of rows) {
    if (row.half !== half) continue;
    byName.set(entrantName(row), [...(byName.get(entrantName(row)) ?? []), row]);
  }
  const done = [...byName].filter(([, list]) => list.every((r) => r.refused === undefined));
  const refused = [...byName].flatMap(([name, list]) => {
    const why = list.find((r) => r.refused !== undefined)?.refused;
    return why === undefined ? [] : [`${name}: ${why}`];
  });
  const afterOf = (list: readonly MethodRow[]): number[] => known(list.map((r) => r.after));
  const sorted = done.sort(([, a], [, b]) => mean(afterOf(b)) - mean(afterOf(a)));
  const table = sorted.map(([name, list]) => {
    const before = known(list.map((r) => r.before));
    return [
      name === "random" ? "**random**" : name,
      percent(mean(list.map((r) => r.keptWeights))),
      percent(mean(list.map((r) => r.keptMacs))),
      before.length > 0 ? points(before) : "",
      points(afterOf(list)),
      String(list.length),
    ];
  });
  const head = ["method", "weights kept", "MACs alive", "top-1 % before", "after retraining", "seeds"];
  const left = refused.length > 0 ? `\n\nNot for this net: ${refused.join("; ")}` : "";
  return `${titles[half]}:\n\n${markdownTable(head, table)}${left}`;
}

function latencyTable({ rows, batch }: Comparison): string {
  const head = [
    "magnitude",
    "top-1 % after",
    `ms, batch ${batch}`,
    "speed-up",
    "MACs",
    "non-zeros",
    "layers by format",
  ];
  const table = rows.map((r) => [
    r.name,
    (100 * r.top1).toFixed(2),
    `${r.ms.median.toFixed(2)} (${r.ms.p10.toFixed(2)}-${r.ms.p90.toFixed(2)})`,
    `${r.speedup.median.toFixed(2)} (${r.speedup.p10.toFixed(2)}-${r.speedup.p90.toFixed(2)})x`,
    count(r.macs),
    count(r.nonzeros),
    planSummary(r),
  ]);
  return `Accuracy against measured latency:\n\n${markdownTable(head, table)}`;
}
