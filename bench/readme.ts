// Writes the tables of README.md from result files: node --import tsx bench/readme.ts [--check]
// A table stands between `<!-- table: NAME -->` and `<!-- end -->` and comes from bench/results/NAME.json.
import { readFileSync, writeFileSync } from "node:fs";
import type { Comparison } from "../src/report/compare.ts";
import { comparisonNotes, comparisonRows } from "../src/report/comparison-table.ts";
import { markdownTable } from "../src/report/table.ts";

/** README.md with every table made anew from its result file. */
export function withTables(readme: string, result: (name: string) => Comparison): string {
  return readme.replace(/<!-- table: ([\w-]+) -->[\s\S]*?<!-- end -->/g, (_, name: string) => {
    const comparison = result(name);
    const { head, rows } = comparisonRows(comparison);
    const notes = comparisonNotes(comparison).join(" ");
    return `<!-- table: ${name} -->\n\n${markdownTable(head, rows)}\n\n${notes}\n\n<!-- end -->`;
  });
}

export const readResult = (name: string): Comparison =>
  JSON.parse(readFileSync(new URL(`results/${name}.json`, import.meta.url), "utf8"));

if (process.argv[1]?.endsWith("readme.ts")) {
  const file = new URL("../README.md", import.meta.url);
  const before = readFileSync(file, "utf8");
  const after = withTables(before, readResult);
  if (process.argv.includes("--check") && after !== before) {
    console.error("README.md's tables do not match bench/results. Run: node --import tsx bench/readme.ts");
    process.exit(1);
  }
  if (after !== before) writeFileSync(file, after);
}
