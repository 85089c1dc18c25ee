import { geometricMean } from "../../src/plan/stats.ts";
import { markdownTable } from "../../src/report/table.ts";
import { floorPatterns, type KernelRow, type KernelsResult } from "./result.ts";

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
  /** Fastest dense kernel of all, ms. */
  readonly best: number;
  /** With hardly a weight left, ms: x where `loads` are from, and what it takes to bring it there. */
  readonly floor: number;
  /** Of the weights that are left, at the rate of a loop that only loads and multiplies that often, ms. */
  readonly loads: number;
  /** Dense over both together, x in memory or in a texture, whichever is faster so: a kernel that loses nothing else. */
  readonly atMost: number;
  /** The same over the fastest dense kernel of all. */
  readonly atMostVsBest: number;
  /** `atMost`, were the kernel as far from its loop of loads as the dense one is from that which multiplies most often. */
  readonly likeDense: number;
  readonly reached: number;
  readonly reachedVsBest: number;
}

/** The bounds of a format on every layer that was measured with its floors. */
export function boundsOf(
  { rows, layers }: Pick<KernelsResult, "rows" | "layers">,
  kind: "csr" | "block8x1",
  reuse: number,
  sparsity: number,
): Bound[] {
  return (layers ?? []).flatMap(({ shape, batch, rooflines }): Bound[] => {
    const own = rows.filter((r) => r.shape === shape && r.batch === batch);
    const direct = own.find((r) => r.kind === "direct");
    const row = own.find((r) => r.kind === kind && r.sparsity === sparsity && !r.pattern);
    const { reuseGflops, texelGflops = {} } = rooflines;
    const flops = row ? row.usefulGflops * row.ms.median : 0;
    const paths = [
      [floorPatterns.memory, reuseGflops] as const,
      [floorPatterns.texels, texelGflops] as const,
    ].flatMap(([pattern, rates]) => {
      const floor = own.find((r) => r.kind === kind && r.pattern === pattern)?.ms.median;
      const rate = rates[reuse];
      return floor === undefined || rate === undefined ? [] : [{ floor, loads: flops / rate }];
    });
    const [path] = paths.sort((a, b) => a.floor + a.loads - b.floor - b.loads);
    if (!direct || !path || !row) return [];
    const most = String(Math.max(...Object.keys(reuseGflops).map(Number)));
    const share = direct.usefulGflops / Math.max(reuseGflops[most]!, texelGflops[most] ?? 0);
    const ms = direct.ms.median;
    const best = fastestDense(own);
    const { floor, loads } = path;
    return [
      {
        shape,
        batch,
        direct: ms,
        best,
        floor,
        loads,
        atMost: ms / (floor + loads),
        atMostVsBest: best / (floor + loads),
        likeDense: ms / (floor + loads / Math.min(1, share)),
        reached: row.vsDirect.median,
        reachedVsBest: row.vsBest.median,
      },
    ];
  });
}

const fastestDense = (own: readonly KernelRow[]): number =>
  Math.min(...own.filter((r) => r.kind === "direct" || r.kind === "winograd").map((r) => r.ms.median));

const shown = 0.9;
const means: Readonly<Record<"csr" | "block8x1", readonly number[]>> = {
  csr: [0.8, 0.9, 0.95],
  block8x1: [0.5, 0.75, 0.9, 0.95],
};

type Result = Pick<KernelsResult, "rows" | "layers">;

const batchesOf = (result: Result): number[] =>
  [...new Set((result.layers ?? []).map((l) => l.batch))].sort((a, b) => b - a);

/**
 * Two tables. A line per layer of the largest batch at 90 %: what CSR and 8x1 blocks reach, and what their loads and their floor leave
 * them. Then means of all layers, per format, batch and sparsity, and of those of 3x3 alone.
 */
export function boundsTable(result: Result): string {
  const [largest] = batchesOf(result);
  const of = (kind: "csr" | "block8x1", reuse: number): Bound[] =>
    boundsOf(result, kind, reuse, shown).filter((b) => b.batch === largest);
  const [csr, block] = formats.map(([kind, reuse]) => of(kind, reuse)) as [Bound[], Bound[]];
  if (csr.length === 0) return "Not measured.";
  const cells = (b: Bound): string[] => [
    b.floor.toFixed(2),
    b.loads.toFixed(2),
    `${b.reached.toFixed(2)} of ${b.atMost.toFixed(2)}`,
  ];
  const rows = csr.map((c, i) => [c.shape, c.direct.toFixed(2), ...cells(c), ...cells(block[i]!)]);
  const head = [
    `90 %, batch ${largest}`,
    "direct dense, ms",
    ...formats.flatMap(([, , name]) => [`${name}: 99.9 %, ms`, "its loads, ms", "reached of at most"]),
  ];
  return `${markdownTable(head, rows)}\n\n${meansTable(result)}`;
}

function meansTable(result: Result): string {
  const rows = formats.flatMap(([kind, reuse, name]) =>
    batchesOf(result).flatMap((batch) =>
      means[kind].flatMap((sparsity) => {
        const all = boundsOf(result, kind, reuse, sparsity).filter((b) => b.batch === batch);
        const convolutions = all.filter(({ shape }) => shape.startsWith("3x3"));
        return [
          ["", all] as const,
          ...(convolutions.length < all.length ? [[", 3x3 alone", convolutions] as const] : []),
        ].flatMap(([which, list]) =>
          list.length === 0
            ? []
            : [[`${name}, batch ${batch}, ${100 * sparsity} %${which}`, ...meansOf(list)]],
        );
      }),
    ),
  );
  const head = [
    "geometric means",
    "over direct dense",
    "as near to its loads as dense",
    "at most",
    "over the fastest dense",
    "at most",
  ];
  return markdownTable(head, rows);
}

const meansOf = (list: readonly Bound[]): string[] =>
  (["reached", "likeDense", "atMost", "reachedVsBest", "atMostVsBest"] as const).map((key) =>
    geometricMean(list.map((b) => b[key])).toFixed(2),
  );
