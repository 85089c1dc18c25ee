import { geometricMean } from "../../src/plan/stats.ts";
import { markdownTable } from "../../src/report/table.ts";
import { floorPattern, type KernelsResult } from "./result.ts";

/** Formats, and how often a kernel of theirs multiplies what it loads of x. */
const formats = [
  ["csr", 1, "CSR"],
  ["block8x1", 8, "8x1"],
] as const;

/** What a layer could gain at a sparsity, were it bound by nothing but loads of x and by what is left at 99.9 %. */
export interface Bound {
  readonly shape: string;
  readonly batch: number;
  /** Fastest direct dense kernel, ms. */
  readonly direct: number;
  /** With hardly a weight left, ms. */
  readonly floor: number;
  /** Of the weights that are left, at the rate of the faster loop that only loads and multiplies that often, out of memory or a texture, ms. */
  readonly loads: number;
  /** Dense over both together: a kernel that loses nothing else. */
  readonly atMost: number;
  /** The same, were the kernel as far from its loop of loads as the dense one is from that which multiplies most often. */
  readonly likeDense: number;
  readonly reached: number;
}

/** The bounds of a format on every layer that was measured with its floor. */
export function boundsOf(
  { rows, layers }: Pick<KernelsResult, "rows" | "layers">,
  kind: "csr" | "block8x1",
  reuse: number,
  sparsity: number,
): Bound[] {
  return (layers ?? []).flatMap(({ shape, batch, rooflines }): Bound[] => {
    const own = rows.filter((r) => r.shape === shape && r.batch === batch);
    const direct = own.find((r) => r.kind === "direct");
    const floor = own.find((r) => r.kind === kind && r.pattern === floorPattern);
    const row = own.find((r) => r.kind === kind && r.sparsity === sparsity && !r.pattern);
    if (!direct || !floor || !row) return [];
    const flops = row.usefulGflops * row.ms.median;
    const { reuseGflops, texelGflops } = rooflines;
    const rate = (r: number | string): number => Math.max(reuseGflops[r]!, texelGflops?.[r] ?? 0);
    const loads = flops / rate(reuse);
    const share = direct.usefulGflops / rate(Math.max(...Object.keys(reuseGflops).map(Number)));
    const ms = direct.ms.median;
    return [
      {
        shape,
        batch,
        direct: ms,
        floor: floor.ms.median,
        loads,
        atMost: ms / (floor.ms.median + loads),
        likeDense: ms / (floor.ms.median + loads / Math.min(1, share)),
        reached: row.vsDirect.median,
      },
    ];
  });
}

const shown = 0.9;
const means: Readonly<Record<"csr" | "block8x1", readonly number[]>> = {
  csr: [0.8, 0.9, 0.95],
  block8x1: [0.5, 0.75, 0.9, 0.95],
};

const meanOf = (list: readonly Bound[]): string =>
  [list.map((b) => b.reached), list.map((b) => b.likeDense), list.map((b) => b.atMost)]
    .map((l) => geometricMean(l).toFixed(2))
    .join(" of ");

/**
 * A line per layer of the largest batch at 90 %: what CSR and 8x1 blocks reach, and what their loads and their floor leave them; means
 * of all, per batch.
 */
export function boundsTable(result: Pick<KernelsResult, "rows" | "layers">): string {
  const batches = [...new Set((result.layers ?? []).map((l) => l.batch))].sort((a, b) => b - a);
  const of = (kind: "csr" | "block8x1", reuse: number, sparsity: number, batch?: number): Bound[] =>
    boundsOf(result, kind, reuse, sparsity).filter((b) => b.batch === batch);
  const [csr, block] = formats.map(([kind, reuse]) => of(kind, reuse, shown, batches[0])) as [
    Bound[],
    Bound[],
  ];
  if (csr.length === 0) return "Not measured.";
  const cells = (b: Bound): string[] => [
    b.floor.toFixed(2),
    b.loads.toFixed(2),
    `${b.reached.toFixed(2)} of ${b.atMost.toFixed(2)}`,
  ];
  const rows = csr.map((c, i) => [c.shape, c.direct.toFixed(2), ...cells(c), ...cells(block[i]!)]);
  const head = [
    `90 %, batch ${batches[0]}`,
    "direct dense, ms",
    ...formats.flatMap(([, , name]) => [`${name}: 99.9 %, ms`, "its loads, ms", "reached of at most"]),
  ];
  const lines = formats.flatMap(([kind, reuse, name]) =>
    batches.map((batch) => {
      const by = means[kind]
        .map((s) => [s, of(kind, reuse, s, batch)] as const)
        .filter(([, list]) => list.length > 0)
        .map(([s, list]) => `${100 * s} % ${meanOf(list)}`);
      return `${name}, batch ${batch}: ${by.join(", ")}`;
    }),
  );
  return `${markdownTable(head, rows)}\n\nReached, of what would be were the kernel as near to its loop of loads as the dense one is to its own, of at most; geometric means of the ${csr.length} layers: ${lines.join("; ")}.`;
}
