import { readFileSync } from "node:fs";
import { Command } from "commander";
import { InputError, printable, SecateurError } from "../src/errors.ts";
import type { Spread } from "../src/plan/stats.ts";
import { textTable } from "../src/report/table.ts";

/** A row of any result file, reduced to what two runs can be compared by. */
interface Measured {
  readonly key: string;
  /** Of "ms" less is better, of all else, which are ratios, more. */
  readonly what: "ms" | "roofline" | (typeof ratios)[number];
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

type Row = Readonly<Record<string, unknown>>;

interface ResultFile {
  readonly environment: { readonly key: string; readonly adapter: string; readonly software: boolean };
  readonly rows: readonly Row[];
}

/** To the fastest direct dense kernel, to the dense net, and a peer's time over ours. */
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

const keyOf = (row: Row): string =>
  names.flatMap((n) => (row[n] === undefined ? [] : [String(row[n])])).join(", ");

/**
 * On a software adapter the machine's load moves milliseconds but hardly ratios, which were taken round by round, nor the share of the
 * roofline that was measured around a layer. That stands for what is a ratio's other side: dense over itself is 1 however slow.
 */
function measured(row: Row, software: boolean): Measured | undefined {
  const key = keyOf(row);
  const { ms, roofline } = row;
  if (software) {
    const ratio = ratios.find((r) => isSpread(row[r]) && !isOwn(row, r));
    if (ratio) return { key, what: ratio, value: row[ratio] as Spread };
    if (isSpread(ms) && typeof roofline === "number") {
      const share = (at: number): number => (roofline * ms.median) / at;
      return {
        key,
        what: "roofline",
        value: { ...ms, median: roofline, p10: share(ms.p90), p90: share(ms.p10) },
      };
    }
  }
  return isSpread(ms) ? { key, what: "ms", value: ms } : undefined;
}

/** Is a row's ratio one to itself, or one of ours to ours? */
function isOwn(row: Row, ratio: (typeof ratios)[number]): boolean {
  const { p10, p90 } = row[ratio] as Spread;
  return (
    (p10 === 1 && p90 === 1) || (ratio === "timesOurs" && String(row["contender"]).startsWith("secateur"))
  );
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
    const higherIsBetter = now.what !== "ms";
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

/** Rows of the first file that the second one lacks. */
export function missing(before: ResultFile, after: ResultFile): string[] {
  const there = new Set(after.rows.map(keyOf));
  return before.rows.map(keyOf).filter((key) => !there.has(key));
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
      "\nA row counts as slower when its median is worse by more than the allowance and the two spreads (10th to 90th percentile) do not\nmeet. On a software adapter the ratios of the rows are compared; of dense kernels, which ratios are to, their share of the roofline;\nmilliseconds, which a busy machine moves too, where there is neither. Rows that only one file has are counted.",
    )
    .action((before: string, after: string, options: { allow: string; all?: boolean }) => {
      const allowance = Number(options.allow);
      if (!(allowance >= 0 && allowance < 1))
        throw new InputError(
          `--allow is ${printable(options.allow)}; it is a share from 0 to below 1, as in 0.1.`,
        );
      const [old, recent] = [read(before), read(after)];
      const list = differences(old, recent, allowance);
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
      const gone = missing(old, recent);
      if (gone.length > 0)
        process.stdout.write(
          `${gone.length} ${gone.length === 1 ? "row" : "rows"} of the first file missing from the second, as ${gone[0]}.\n`,
        );
      process.stdout.write(`${list.length} rows compared, ${worse.length} slower.\n`);
      if (worse.length > 0)
        throw new SecateurError("E_VERIFY", `${worse.length} of ${list.length} rows became slower.`);
    });
