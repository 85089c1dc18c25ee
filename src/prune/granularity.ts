import { InputError, printable } from "../errors.ts";

/**
 * What is removed together. Columns are those of the weight flattened to [out, everything else].
 * - `element`: single weights.
 * - `block`: `rows` consecutive output channels in one column; rows not divisible by it end in a shorter block.
 * - `n:m`: at most `keep` of every `of` consecutive columns stay in a row (Mishra et al. 2021, arXiv 2104.08378); with `rows`
 *   above 1 that many consecutive output channels share the pattern. Columns not divisible by `of` end in a shorter
 *   group, which keeps at most as many.
 * - `filter`: whole output channels with everything coupled to them.
 */
export type Granularity =
  | { readonly kind: "element" }
  | { readonly kind: "block"; readonly rows: number }
  | { readonly kind: "n:m"; readonly keep: number; readonly of: number; readonly rows: number }
  | { readonly kind: "filter" };

const fixed: readonly Granularity[] = [
  { kind: "element" },
  ...[2, 4, 8, 16].map((rows) => ({ kind: "block", rows }) as const),
  { kind: "filter" },
];

/** The name used on the command line and in records: `element`, `block4x1`, `2:4`, `2:4x8` (shared by 8 rows), `filter`. */
export function granularityName(g: Granularity): string {
  if (g.kind === "block") return `block${g.rows}x1`;
  if (g.kind === "n:m") return `${g.keep}:${g.of}${g.rows > 1 ? `x${g.rows}` : ""}`;
  return g.kind;
}

export const granularityNames: readonly string[] = [
  ...fixed.map(granularityName),
  "N:M (2:4, 4:8, …)",
  "N:MxR (2:4x8: shared by 8 rows)",
];

/** Columns of a group and rows that share its pattern, at most. */
const mostOf = 1024;

/** The granularity of that name; E_INPUT for any other. */
export function parseGranularity(name: string): Granularity {
  const found = fixed.find((g) => granularityName(g) === name);
  if (found) return found;
  const groups = /^(\d{1,4}):(\d{1,4})(?:x(\d{1,4}))?$/.exec(String(name));
  if (groups) {
    const [keep, of, rows] = [Number(groups[1]), Number(groups[2]), Number(groups[3] ?? 1)];
    if (keep >= 1 && keep < of && of <= mostOf && rows >= 1 && rows <= mostOf) {
      return { kind: "n:m", keep, of, rows };
    }
    throw new InputError(
      `granularity is "${name}"; N:M keeps N of every M weights, 1 <= N < M <= ${mostOf}, shared by 1 to ${mostOf} rows, as in 2:4 or 2:4x8.`,
    );
  }
  throw new InputError(
    `granularity is "${printable(String(name))}"; it is one of ${granularityNames.join(", ")}.`,
  );
}

/** The sparsity that a granularity fixes by itself: 1 - N/M, else undefined. */
export const fixedSparsity = (g: Granularity): number | undefined =>
  g.kind === "n:m" ? 1 - g.keep / g.of : undefined;

/** Rows of the weight matrix that one unit spans; undefined for a filter, which is a whole row and more. */
export const unitRows = (g: Granularity): number | undefined =>
  g.kind === "filter" ? undefined : g.kind === "element" ? 1 : g.rows;
