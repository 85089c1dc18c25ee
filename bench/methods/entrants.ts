import { parseGranularity } from "../../src/prune/granularity.ts";
import type { MethodFacts } from "../../src/prune/methods/method.ts";
import { allMethods } from "../../src/recipes/index.ts";

/** Which half of the table: single weights at equal kept weights, or filters at equal kept multiply-adds. */
export type Half = "unstructured" | "structured";

export interface Entrant {
  readonly half: Half;
  readonly method: string;
  readonly granularity: string;
  readonly norm?: "l1" | "l2";
}

/** Share of the weights that goes, over the whole net or in every layer as the method likes. */
export const unstructuredSparsity = 0.95;
/** The N:M pattern of that share. */
export const groups = "1:20";
/** Share of the filters that goes in every layer, so that all entrants keep the same multiply-adds. */
export const structuredSparsity = 0.7;

/** Every method there is, in each half that it can be in; filter norms twice. The baseline of both halves is random. */
export function entrants(): Entrant[] {
  const found: Entrant[] = [];
  for (const m of allMethods()) {
    const element = m.granularities.includes("element");
    if (element) found.push({ half: "unstructured", method: m.name, granularity: "element" });
    else if (m.granularities.includes("n:m"))
      found.push({ half: "unstructured", method: m.name, granularity: groups });
    if (!m.granularities.includes("filter")) continue;
    const norms = m.name === "magnitude" ? (["l1", "l2"] as const) : [undefined];
    for (const norm of norms)
      found.push({ half: "structured", method: m.name, granularity: "filter", ...(norm && { norm }) });
  }
  return found;
}

export const entrantName = ({ method, norm }: Pick<Entrant, "method" | "norm">): string =>
  norm ? `${method} ${norm}` : method;

/** How a method that trains by itself spends `epochs` in all: rounds, and epochs of each of its trainings. */
export function spent(
  method: Pick<MethodFacts, "name">,
  epochs: number,
): { readonly rounds?: number; readonly epochs: number } {
  switch (method.name) {
    case "han":
      return { rounds: epochs, epochs: 1 };
    // A training before the pruning, and one after it.
    case "karnin":
      return { epochs: epochs / 2 };
    case "lottery":
      return { rounds: 1, epochs: epochs / 2 };
    default:
      return { epochs };
  }
}

/** Does the granularity fix the share by itself? */
export const fixesShare = (granularity: string): boolean => parseGranularity(granularity).kind === "n:m";
