import { InputError, printable } from "../errors.ts";

/**
 * What is removed together.
 * - `element`: single weights.
 * - `block`: `rows` consecutive output channels in one column of the weight flattened to [out, everything else]; rows not
 *   divisible by it end in a shorter block.
 * - `filter`: whole output channels with everything coupled to them.
 */
export type Granularity =
  | { readonly kind: "element" }
  | { readonly kind: "block"; readonly rows: number }
  | { readonly kind: "filter" };

const table: readonly Granularity[] = [
  { kind: "element" },
  ...[2, 4, 8, 16].map((rows) => ({ kind: "block", rows }) as const),
  { kind: "filter" },
];

/** The name used on the command line and in records: `element`, `block4x1`, `filter`. */
export const granularityName = (g: Granularity): string => (g.kind === "block" ? `block${g.rows}x1` : g.kind);

export const granularityNames: readonly string[] = table.map(granularityName);

/** The granularity of that name; E_INPUT for any other. */
export function parseGranularity(name: string): Granularity {
  const found = table.find((g) => granularityName(g) === name);
  if (found) return found;
  throw new InputError(
    `granularity is "${printable(String(name))}"; it is one of ${granularityNames.join(", ")}.`,
  );
}
