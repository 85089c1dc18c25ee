import { readFileSync } from "node:fs";
import { Command } from "commander";
import { InputError, printable, SecateurError } from "../src/errors.ts";
import type { Spread } from "../src/plan/stats.ts";
import { textTable } from "../src/report/table.ts";

/** A row of any result file, reduced to what two runs can be compared by. */
interface Measured {
  readonly key: string;
  /** "ms", or the ratio that the row carries: higher is better. */
  readonly what: "ms" | "vsDirect" | "speedup" | "timesOurs";
  readonly value: Spread;
}

export interface Difference {
  readonly key: string;
  readonly what: Measured["what"];
  readonly before: Spread;
  readonly after: Spread;
  /** How much better the second run is: above 1 is faster. */
  readonly change: number;
  /** Worse by more than the allowance, and beyond both spreads. */
  readonly worse: boolean;
}

interface ResultFile {
  readonly environment: { readonly key: string; readonly adapter: string; readonly software: boolean };
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}

const ratios = ["vsDirect", "speedup", "timesOurs"] as const;
const names = [
  "layer",
  "op",
  "shape",
  "model",
  "contender",
  "name",
  "batch",
  "kind",
  "granularity",
  "pattern",
  "rounds",
  "plan",
  "sparsity",
];

const isSpread = (v: unknown): v is Spread =>
  typeof v === "object" && v !== null && "median" in v && "p90" in v;

/** On a software adapter the machine's load moves milliseconds but hardly ratios, which were taken round by round. */
function measured(row: ResultFile["rows"][number], software: boolean): Measured | undefined {
  const key = names.flatMap((n) => (row[n] === undefined ? [] : [String(row[n])])).join(", ");
  const ratio = ratios.find((r) => isSpread(row[r]));
  if (ratio && software) return { key, what: ratio, value: row[ratio] as Spread };
  return isSpread(row["ms"]) ? { key, what: "ms", value: row["ms"] } : undefined;
}

/**
 * Compares two result files of the same suite and adapter, row by row. Throws E_INPUT where they cannot be compared: other
 * adapters, or no row in common.
 */
export function differences(before: ResultFile, after: ResultFile, allowance: number): Difference[] {
  if (before.environment.key !== after.environment.key) {
    throw new InputError(
      `the results are from two adapters, "${printable(before.environment.adapter)}" and "${printable(after.environment.adapter)}"; only runs on one can be compared.`,
    );
  }
  const { software } = before.environment;
  const old = new Map<string, Measured>();
  for (const row of before.rows) {
    const m = measured(row, software);
    if (m) old.set(m.key, m);
  }
  const found = after.rows.flatMap((row): Difference[] => {
    const now = measured(row, software);
    const then = now && old.get(now.key);
    if (!now || !then || then.what !== now.what) return [];
    const higherIsBetter = now.what !== "ms" && now.what !== "timesOurs";
    const change = higherIsBetter
      ? now.value.median / then.value.median
      : then.value.median / now.value.median;
    const apart = higherIsBetter ? now.value.p90 < then.value.p10 : now.value.p10 > then.value.p90;
    return [
      {
        key: now.key,
        what: now.what,
        before: then.value,
        after: now.value,
        change,
        worse: change < 1 - allowance && apart,
      },
    ];
  });
  if (found.length === 0) throw new InputError("the two results have no row in common.");
  return found;
}

function read(path: string): ResultFile {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new InputError(`${printable(path)} cannot be read as a result: ${(cause as Error).message}.`);
  }
  const { environment, rows } = (json ?? {}) as Partial<ResultFile>;
  if (typeof environment?.key !== "string" || !Array.isArray(rows)) {
    throw new InputError(`${printable(path)} is no result of a benchmark: it lacks environment.key or rows.`);
  }
  return { environment, rows };
}

const show = (s: Spread): string => `${s.median.toFixed(2)} (${s.p10.toFixed(2)}-${s.p90.toFixed(2)})`;

/** `npm run bench -- diff BEFORE AFTER` */
export const diffCommand = (): Command =>
  new Command("diff")
    .description("compares two result files row by row; fails when something became slower")
    .argument("<before>", "result file (--json of any suite)")
    .argument("<after>", "result file of the same suite on the same adapter")
    .option("--allow <share>", "how much worse a median may be", "0.1")
    .option("--all", "show every row, not only those that moved")
    .addHelpText(
      "after",
      "\nA row counts as slower when its median is worse by more than the allowance and the two spreads (10th to 90th percentile) do not\nmeet. On a software adapter the ratios of the rows are compared where there are any, elsewhere milliseconds.",
    )
    .action((before: string, after: string, options: { allow: string; all?: boolean }) => {
      const allowance = Number(options.allow);
      if (!(allowance >= 0 && allowance < 1))
        throw new InputError(
          `--allow is ${printable(options.allow)}; it is a share from 0 to below 1, as in 0.1.`,
        );
      const list = differences(read(before), read(after), allowance);
      const moved = list.filter((d) => options.all || d.worse || d.change > 1 + allowance);
      if (moved.length > 0) {
        const head = ["row", "of", "before", "after", "change", ""];
        const rows = moved.map((d) => [
          d.key,
          d.what,
          show(d.before),
          show(d.after),
          `${d.change.toFixed(2)}x`,
          d.worse ? "SLOWER" : "",
        ]);
        process.stdout.write(`${textTable(head, rows)}\n`);
      }
      const worse = list.filter((d) => d.worse);
      process.stdout.write(`${list.length} rows compared, ${worse.length} slower.\n`);
      if (worse.length > 0)
        throw new SecateurError("E_VERIFY", `${worse.length} of ${list.length} rows became slower.`);
    });
