import type { CompareRow, Comparison } from "./compare.ts";
import { conventionNotes } from "./counts.ts";
import { environmentLine } from "./environment.ts";
import { bytes, count, percentOf } from "./format.ts";
import { textTable } from "./table.ts";

const range = (ms: { median: number; p10: number; p90: number }, digits: number): string =>
  `${ms.median.toFixed(digits)} (${ms.p10.toFixed(digits)}-${ms.p90.toFixed(digits)})`;

/** "24 dense, 30 csr": how many layers run in which format. */
export function planSummary(row: Pick<CompareRow, "plan">): string {
  const counts = new Map<string, number>();
  for (const { format } of row.plan) counts.set(format, (counts.get(format) ?? 0) + 1);
  return [...counts].map(([format, n]) => `${n} ${format}`).join(", ");
}

/** Head and rows of a comparison: milliseconds first among the measures, then what is merely counted. */
export function comparisonRows({ rows, batch }: Comparison): { head: string[]; rows: string[][] } {
  // Results of earlier versions lack it.
  const overhead = rows.every((r) => r.cpuMs);
  const head = [
    "model",
    "top-1",
    `ms, batch ${batch}`,
    ...(overhead ? ["CPU ms"] : []),
    "speed-up",
    "MACs",
    "parameters",
    ...(rows[0]?.counts ?? []).flatMap(({ convention }) => [
      `${convention} MACs`,
      `${convention} parameters`,
    ]),
    "non-zeros",
    "bytes",
    "plan",
  ];
  const body = rows.map((r) => [
    r.name,
    percentOf(r.top1, r.images),
    range(r.ms, r.ms.median < 10 ? 2 : 1),
    ...(overhead ? [r.cpuMs!.median.toFixed(2)] : []),
    `${range(r.speedup, 2)}x`,
    count(r.macs),
    count(r.parameters),
    ...(r.counts ?? []).flatMap(({ macs, parameters }) => [count(macs), count(parameters)]),
    count(r.nonzeros),
    bytes(r.bytes),
    planSummary(r),
  ]);
  return { head, rows: body };
}

/** What a reader must know to judge the numbers, and what did not pay. */
export function comparisonNotes(result: Comparison): string[] {
  const { rows } = result;
  const worst = Math.max(...rows.map((r) => r.maxError)).toExponential(1);
  const notes = [
    `${environmentLine(result.environment)}.`,
    `Median (10th-90th percentile) of ${result.rounds} interleaved rounds; speed-up is the first model's time over this one's, round by round.`,
    ...(rows.every((r) => r.cpuMs)
      ? ["CPU ms: JavaScript per run, until its work is submitted (median)."]
      : []),
    `Accuracy on ${rows[0]?.images ?? 0} images; every model checked against the double-precision reference (largest relative error ${worst}).`,
  ];
  const dead = rows.flatMap((r) => (r.deadChannels ? [`${count(r.deadChannels)} of ${r.name}`] : []));
  if (dead.length > 0)
    notes.push(
      `Dead channels that no run computes, left out by compiling though counted above: ${dead.join(", ")}.`,
    );
  for (const { convention } of rows[0]?.counts ?? [])
    notes.push(`${convention}: ${conventionNotes[convention]}.`);
  const skipped = rows.reduce((n, r) => n + (r.tuning?.skipped ?? 0), 0);
  if (skipped > 0) {
    const all = rows.reduce((n, r) => n + r.plan.length, 0);
    notes.push(`The budget did not reach ${skipped} of ${all} layers: the cost model chose their kernels.`);
  }
  const slower = rows.filter((r) => r.speedup.p90 < 1).map((r) => r.name);
  if (slower.length > 0)
    notes.push(`Slower than the first model: ${slower.join(", ")}. Pruning does not pay there.`);
  return notes;
}

/** The comparison as a table for a terminal, with its notes below. */
export function comparisonTable(result: Comparison): string {
  const { head, rows } = comparisonRows(result);
  return [textTable(head, rows), ...comparisonNotes(result)].join("\n");
}

/** Format and kernel of every layer of every model, and why. */
export function planTable(result: Comparison): string {
  return result.rows
    .map((row) => {
      const body = row.plan.map(({ layer, format, kernel, reason }) => [layer, format, kernel, reason ?? ""]);
      return `${row.name}\n${textTable(["layer", "format", "kernel", "why"], body)}`;
    })
    .join("\n\n");
}
