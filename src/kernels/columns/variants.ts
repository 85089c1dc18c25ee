import type { KernelName } from "../../shader/sources.gen.ts";
import {
  blockDensity,
  densePointers,
  type Packed,
  packBlocks,
  packCsr,
  packDense,
  packTransposed,
  scaled,
  type WeightMatrix,
} from "./pack.ts";
import { type ColumnCut, type ColumnsProblem, cutColumns } from "./problem.ts";

/** How a weight lies in memory. `block8x1`: eight output channels share a column. */
export type Format = "dense" | "csr" | "block2x1" | "block4x1" | "block8x1" | "block16x1";

export const formats: readonly Format[] = ["dense", "csr", "block2x1", "block4x1", "block8x1", "block16x1"];

/** Rows of a block format; 1 for csr, 0 for dense. */
export const blockRowsOf = (format: Format): number =>
  format === "dense" ? 0 : format === "csr" ? 1 : Number(/\d+/.exec(format)![0]);

/** One way to run a columns problem: a kernel with its constants, for one format. Plain data; the list drives tests, bench and plan. */
export interface Variant {
  /** Stable name, e.g. "gather-block/r8v2w16". */
  readonly name: string;
  readonly format: Format;
  readonly kernel: KernelName;
  readonly unit: 1 | 4;
  /** Rows per thread. */
  readonly rows: number;
  /** Columns (of `unit` words) per thread. */
  readonly columns: number;
  readonly workgroup: number;
  readonly spec: Readonly<Record<string, number>>;
  readonly constants: Readonly<Record<string, number>>;
  /** Is it for products with a handful of columns only? */
  readonly vector: boolean;
}

const gatherKernel = (format: Format): "csr" | "pair" | "block" =>
  format === "csr" ? "csr" : format === "block2x1" ? "pair" : "block";

function gather(format: Format, unit: 1 | 4, rows: number, columns: number, workgroup: number): Variant {
  const kind = gatherKernel(format);
  const kernel: KernelName = unit === 4 ? `conv/gather-${kind}` : `conv/gather-${kind}-scalar`;
  const block = kind === "block";
  return {
    name: `${kernel.slice(5)}/${block ? `r${rows}` : ""}v${columns}w${workgroup}`,
    format,
    kernel,
    unit,
    rows,
    columns,
    workgroup,
    spec: block ? { R4: rows / 4, V: columns } : { V: columns },
    constants: block
      ? { WG_SIZE: workgroup, SHARED_OFFSETS: format === "dense" ? 1 : 0 }
      : { WG_SIZE: workgroup },
    vector: false,
  };
}

function vector(format: "dense" | "csr", workgroup: number): Variant {
  const kernel: KernelName = format === "dense" ? "matmul/dense-vector" : "matmul/csr-vector";
  return {
    name: `${kernel.slice(7)}/w${workgroup}`,
    format,
    kernel,
    unit: 1,
    rows: workgroup,
    columns: 1,
    workgroup,
    spec: {},
    constants: { WG_SIZE: workgroup },
    vector: true,
  };
}

const sizes = [8, 16, 32, 64, 128] as const;

/**
 * Every variant. Small workgroups suit a software adapter, where a group is a loop over the lanes of one core and lanes
 * past the end of a plane still cost; large ones suit a GPU, which hides latency with threads.
 */
export const variants: readonly Variant[] = [
  ...sizes.flatMap((w) => [
    gather("dense", 4, 4, 3, w),
    gather("dense", 4, 8, 1, w),
    gather("dense", 4, 8, 2, w),
    gather("dense", 4, 8, 3, w),
    gather("dense", 4, 16, 1, w),
    gather("dense", 4, 16, 2, w),
    gather("dense", 1, 8, 4, w),
    gather("dense", 1, 16, 2, w),
    gather("dense", 1, 16, 4, w),
    gather("dense", 1, 8, 8, w),
  ]),
  ...sizes.flatMap((w) => [gather("csr", 4, 1, 2, w), gather("csr", 4, 1, 4, w), gather("csr", 4, 1, 8, w)]),
  ...sizes.flatMap((w) => [gather("csr", 1, 1, 4, w), gather("csr", 1, 1, 8, w), gather("csr", 1, 1, 16, w)]),
  ...sizes.flatMap((w) => [2, 4, 8].map((v) => gather("block2x1", 4, 2, v, w))),
  ...sizes.flatMap((w) => [4, 8, 16].map((v) => gather("block2x1", 1, 2, v, w))),
  ...([4, 8, 16] as const).flatMap((r) =>
    sizes.flatMap((w) => [
      ...([1, 2, 4] as const).filter((v) => r * v <= 32).map((v) => gather(`block${r}x1`, 4, r, v, w)),
      ...([4, 8] as const).filter((v) => r * v <= 64).map((v) => gather(`block${r}x1`, 1, r, v, w)),
    ]),
  ),
  ...sizes.flatMap((w) => [vector("dense", w), vector("csr", w)]),
];

const byName = new Map(variants.map((v) => [`${v.format} ${v.name}`, v]));

export const findVariant = (format: Format, name: string): Variant | undefined =>
  byName.get(`${format} ${name}`);

/** The cut of the problem's columns that a variant works on, or undefined where it does not apply. */
export function cutFor(p: ColumnsProblem, variant: Variant): ColumnCut | undefined {
  if (variant.vector && (p.groups > 1 || p.out[0] * p.out[1] * p.out[2] * p.batch > 16)) return undefined;
  return cutColumns(p).find((cut) => cut.unit === variant.unit);
}

/** Workgroups of a variant on a problem. */
export function groupsOf(
  p: ColumnsProblem,
  variant: Variant,
  cut: ColumnCut,
): readonly [number, number, number] {
  const rows = p.groups * p.rowsPerGroup;
  if (variant.vector) return [Math.ceil(rows / variant.workgroup), cut.columns, 1];
  const across = Math.ceil(cut.columns / (variant.workgroup * variant.columns));
  const down = variant.format === "csr" ? rows : p.groups * Math.ceil(p.rowsPerGroup / variant.rows);
  return [across, down, 1];
}

/** The weight in the variant's format. */
export function packFor(p: ColumnsProblem, variant: Variant, w: WeightMatrix): Packed {
  if (variant.vector && variant.format === "dense") return packTransposed(p, w);
  if (variant.format === "csr") return packCsr(p, w, variant.unit);
  if (variant.format === "dense") return packDense(p, w, variant.rows, variant.unit);
  return packBlocks(p, w, blockRowsOf(variant.format), variant.unit);
}

/** Share of values that the format stores. */
export function storedDensity(p: ColumnsProblem, format: Format, w: WeightMatrix): number {
  if (format === "dense") return 1;
  return blockDensity(p, w, blockRowsOf(format));
}

export { densePointers, scaled };
