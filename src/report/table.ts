import Table from "cli-table3";
import { printable } from "../errors.ts";

/** Names come from model files: what would break the line or steer the terminal is escaped. */
const safe = (cell: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(cell) ? printable(cell) : cell;

/** Does a cell start like a number? Then its column is aligned to the right. */
const numeric = (text: string): boolean => /^[-\d.]/.test(text);

/** Text columns to the left, columns of numbers to the right. */
function alignments(head: readonly string[], rows: readonly (readonly string[])[]): ("left" | "right")[] {
  return head.map((_, i) => (rows.length > 0 && rows.every((r) => numeric(r[i] ?? "")) ? "right" : "left"));
}

/** An aligned table for a terminal: no frame, a rule below the head. */
export function textTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const table = new Table({
    head: head.map(safe),
    colAligns: alignments(head, rows),
    style: { head: [], border: [], compact: true, "padding-left": 0, "padding-right": 2 },
    chars: {
      top: "",
      "top-mid": "",
      "top-left": "",
      "top-right": "",
      bottom: "",
      "bottom-mid": "",
      "bottom-left": "",
      "bottom-right": "",
      left: "",
      "left-mid": "",
      mid: "",
      "mid-mid": "",
      right: "",
      "right-mid": "",
      middle: "",
    },
  });
  table.push(...rows.map((r) => r.map(safe)));
  const lines = table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd());
  const width = Math.max(...lines.map((line) => line.length));
  return [lines[0], "-".repeat(width), ...lines.slice(1)].join("\n");
}

/** The same table in Markdown. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const marks = alignments(head, rows).map((a) => (a === "right" ? "---:" : "---"));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((c) => safe(c).replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), `|${marks.join("|")}|`, ...rows.map(line)].join("\n");
}
