import type { KernelName } from "../../shader/sources.gen.ts";
import { csrFormats, type Format, isClustered, isDense, isNm } from "./formats.ts";
import { matrixVariants } from "./matrix.ts";
import type { Load } from "./problem.ts";
import type { TileSide } from "./winograd.ts";

/** The loop that multiplies: what a load of weights costs, and how a group of threads shares it. */
export type Loop = "uniform" | "shuffle" | "csr" | "pair" | "vector" | "slices" | "matrix";

/** One way to run a columns problem: kernels with their constants, for one format. Plain data; the list drives tests, bench and plan. */
export interface Variant {
  /** Stable name, e.g. "gather-block/r8v2w16". */
  readonly name: string;
  readonly format: Format;
  readonly loop: Loop;
  readonly kernel: KernelName;
  readonly load: Load;
  /** Rows per thread; of a vector or matrix kernel, per workgroup. */
  readonly rows: number;
  /** Loads of x per thread and entry; of a matrix kernel, per workgroup. */
  readonly columns: number;
  readonly workgroup: number;
  readonly spec: Readonly<Record<string, number>>;
  readonly constants: Readonly<Record<string, number>>;
  /** Side of the tiles of Winograd's minimal filtering around the loop; 0 where the product is direct. */
  readonly winograd: 0 | TileSide;
  /** Do workgroups that read the same columns of x follow each other, not those of the same rows of W? */
  readonly rowsFirst?: true;
  /** Is x, or what was made of it, copied into a texture first? */
  readonly texels?: true;
  /** Parts into which K is divided, each with workgroups of its own, summed by a second kernel; 1 where it is not. */
  readonly parts: number;
}

/** Lanes that a subgroup must have for a loop, at least; 0 where it needs none, or says itself which (`unitOf`). */
export const subgroupOf = (loop: Loop): number => (loop === "shuffle" || loop === "slices" ? 8 : 0);

/** Does the variant round what it loads of x to half precision? */
export const roundsX = ({ load, loop }: Variant): boolean => load === "halves" || loop === "matrix";

/** Of a kernel that reads entries in panels, which have no offsets that block rows share. */
const inPanels = ({ constants: { SHARED_OFFSETS: _, ...others } }: Variant): Pick<Variant, "constants"> => ({
  constants: others,
});

const suffix: Readonly<Record<Load, string>> = {
  word: "-scalar",
  quad: "",
  halves: "-halves",
  strips: "-strips",
};

type Gather = Exclude<Loop, "vector" | "slices" | "matrix">;

const kernels: Readonly<Record<Exclude<Gather, "csr">, string>> = {
  uniform: "gather-block",
  shuffle: "shuffle-block",
  pair: "gather-pair",
};

function gather(
  loop: Gather,
  format: Format,
  load: Load,
  rows: number,
  columns: number,
  workgroup: number,
): Variant {
  const nm = isNm(format);
  const plain = loop === "csr" ? `gather-${format}` : kernels[loop];
  const base = nm ? plain.replace("block", rows === 1 ? "nm-row" : "nm") : plain;
  const kernel = `conv/${base}${suffix[load]}` as KernelName;
  const named = loop === "csr" || loop === "pair" || rows === 1 ? "" : `r${rows}`;
  const permuted: Record<string, number> = isClustered(format) ? { PERMUTED: 1 } : {};
  return {
    name: `${kernel.slice(5)}/${named}v${columns}w${workgroup}`,
    format,
    loop,
    kernel,
    load,
    rows,
    columns,
    workgroup,
    spec: {
      V: columns,
      ...(loop === "uniform" && rows > 1 && { R4: rows / 4 }),
      ...(loop === "shuffle" && { R: rows }),
    },
    constants:
      (loop === "uniform" || loop === "shuffle") && !nm
        ? { WG_SIZE: workgroup, SHARED_OFFSETS: format === "dense" ? 1 : 0, ...permuted }
        : { WG_SIZE: workgroup, ...permuted },
    winograd: 0,
    parts: 1,
  };
}

/** A kernel for a few columns, one row per thread. */
function vector(format: "dense" | (typeof csrFormats)[number], workgroup: number): Variant {
  const kernel: KernelName = `matmul/${format}-vector`;
  return {
    name: `${kernel.slice(7)}/w${workgroup}`,
    format,
    loop: "vector",
    kernel,
    load: "word",
    rows: workgroup,
    columns: 1,
    workgroup,
    spec: {},
    constants: { WG_SIZE: workgroup },
    winograd: 0,
    parts: 1,
  };
}

/** Dense, four rows per thread instead of one. */
const vectorQuads = (format: "dense" | "dense-f16", workgroup: number): Variant => {
  const kernel: KernelName = `matmul/${format}-vector-quads`;
  return {
    ...vector("dense", workgroup),
    name: `${kernel.slice(7)}/w${workgroup}`,
    format,
    kernel,
    rows: 4 * workgroup,
  };
};

/** N:M for a few columns, as many rows per thread as share a pattern. */
const nmVector = (rows: 1 | 4 | 8, workgroup: number): Variant => ({
  ...vector("dense", workgroup),
  name: `nm-vector${rows > 1 ? "-quads" : ""}/w${workgroup}`,
  format: `nm${rows}x1`,
  kernel: rows > 1 ? "matmul/nm-vector-quads" : "matmul/nm-vector",
  rows: rows * workgroup,
  spec: rows > 1 ? { LOADS: rows / 4 } : {},
});

/** Slices of 8 rows, all of them on the same columns of x. */
const slices = (format: "ell" | "nm1x1", load: Load, count: number, columns: number): Variant => {
  const kernel = `conv/slices${suffix[load]}` as KernelName;
  return {
    name: `${kernel.slice(5)}/r${8 * count}v${columns}`,
    format,
    loop: "slices",
    kernel,
    load,
    rows: 8 * count,
    columns,
    workgroup: 8,
    spec: { RG: count, V: columns },
    constants: {},
    winograd: 0,
    parts: 1,
  };
};

/** "winograd-…" is F(2x2, 3x3), "winograd4-…" F(4x4, 3x3). */
const winograd =
  (side: TileSide) =>
  (inner: Variant): Variant => ({
    ...inner,
    name: `winograd${side === 2 ? "" : side}-${inner.name}`,
    winograd: side,
  });

/** "split4-…": four parts. */
const split =
  (parts: number) =>
  (inner: Variant): Variant => ({ ...inner, name: `split${parts}-${inner.name}`, parts });

/** "…-texels/…": x in a texture; CSR and weights that lanes pass on too. */
const inTexels = (inner: Variant): Variant => ({
  ...inner,
  ...(inner.loop === "shuffle" && !isNm(inner.format) && inPanels(inner)),
  name: inner.name.replace("/", "-texels/"),
  kernel: `${inner.kernel}-texels` as KernelName,
  texels: true,
});

/** "…-rows": workgroups in the other order. */
const rowsFirst = (inner: Variant): Variant => ({
  ...inner,
  name: `${inner.name}-rows`,
  constants: { ...inner.constants, ROWS_FIRST: 1 },
  rowsFirst: true,
});

/** R x V tiles whose R V accumulators a thread can hold. */
const tiles = (rows: readonly number[], columns: readonly number[], least: number, most: number) =>
  rows.flatMap((r) => columns.filter((v) => r * v >= least && r * v <= most).map((v) => [r, v] as const));

const blocks = [4, 8, 16] as const;
/** Small workgroups suit a software adapter, where a group is a loop over the lanes of one core and lanes past the end of a plane
 * still cost; large ones suit a GPU, which hides latency with threads. */
const sizes = [8, 16, 32, 64, 128] as const;
const few = [8, 16, 32] as const;

/** Loads of four floats as they lie; N:M has no kernels for halves of them. */
const wide = (nm: boolean): readonly Load[] => (nm ? ["quad"] : ["quad", "halves"]);

/** The tiles of blocks of R rows, whatever says which columns they hold. */
const blockTiles = (r: number, format: Format): Variant[] => [
  ...sizes.flatMap((w) => [
    ...wide(isNm(format)).flatMap((load) =>
      tiles([r], [1, 2, 4], 4, 32).map(([, v]) => gather("uniform", format, load, r, v, w)),
    ),
    ...tiles([r], [4, 8], 16, 64).map(([, v]) => gather("uniform", format, "word", r, v, w)),
  ]),
  ...few.flatMap((w) => [
    ...wide(isNm(format)).flatMap((load) =>
      tiles([r], [1, 2, 4], 8, 64).map(([, v]) => gather("shuffle", format, load, r, v, w)),
    ),
    ...tiles([r], [4, 8], 32, 128).map(([, v]) => gather("shuffle", format, "word", r, v, w)),
    ...tiles([r], [1, 2, 4], 8, 64).map(([, v]) => gather("shuffle", format, "strips", r, v, w)),
  ]),
];

const uniformTiles = (load: Load): Variant[] =>
  sizes.flatMap((w) =>
    [
      [4, 3],
      [8, 1],
      [8, 2],
      [8, 3],
      [16, 1],
      [16, 2],
    ].map(([r, v]) => gather("uniform", "dense", load, r!, v!, w)),
  );
const shuffledTiles = (load: Load): Variant[] =>
  few.flatMap((w) =>
    tiles([8, 16, 32, 64], [1, 2, 4], 32, 64).map(([r, v]) => gather("shuffle", "dense", load, r, v, w)),
  );
const denseQuads = uniformTiles("quad");
const shuffledQuads = shuffledTiles("quad");

const denseWords = sizes.flatMap((w) =>
  [
    [8, 4],
    [16, 2],
    [16, 4],
    [8, 8],
  ].map(([r, v]) => gather("uniform", "dense", "word", r!, v!, w)),
);
const shuffledWords = few.flatMap((w) =>
  tiles([8, 16, 32, 64], [4, 8], 64, 256).map(([r, v]) => gather("shuffle", "dense", "word", r, v, w)),
);
/** Strips of a single image, by tiles that a texture suits. */
const shuffledStrips = few.flatMap((w) =>
  tiles([8, 16, 32], [1, 2, 4], 32, 32).map(([r, v]) => gather("shuffle", "dense", "strips", r, v, w)),
);
const denseVectors = sizes.flatMap((w) => [vector("dense", w), vectorQuads("dense", w)]);

/** Where K is split there are few columns: tiles of few, and every other size of workgroup. */
const splitTiles = [...denseQuads, ...shuffledQuads, ...denseWords, ...shuffledWords, ...denseVectors].filter(
  ({ columns, load, workgroup }) =>
    columns <= (load === "quad" ? 2 : 4) && (workgroup === 8 || workgroup === 32 || workgroup === 128),
);

const inUsualOrder: readonly Variant[] = [
  ...denseQuads,
  ...shuffledQuads,
  ...uniformTiles("halves"),
  ...shuffledTiles("halves"),
  ...denseWords,
  ...shuffledWords,
  ...shuffledStrips,
  ...([2, 4] as const).flatMap((side) => [...denseQuads, ...shuffledQuads].map(winograd(side))),
  ...[4, 16].flatMap((parts) => splitTiles.map(split(parts))),
  ...(["csr", "csr-f16"] as const).flatMap((format) => [
    ...(["quad", "halves"] as const).flatMap((load) =>
      sizes.flatMap((w) => [2, 4, 8, 16].map((v) => gather("csr", format, load, 1, v, w))),
    ),
    ...sizes.flatMap((w) => [4, 8, 16].map((v) => gather("csr", format, "word", 1, v, w))),
    ...few.flatMap((w) => [1, 2, 4, 8].map((v) => gather("csr", format, "strips", 1, v, w))),
  ]),
  ...sizes.flatMap((w) => [2, 4, 8].map((v) => gather("pair", "block2x1", "quad", 2, v, w))),
  ...sizes.flatMap((w) => [4, 8, 16].map((v) => gather("pair", "block2x1", "word", 2, v, w))),
  ...few.flatMap((w) => [2, 4, 8].map((v) => gather("shuffle", "block2x1", "strips", 2, v, w))),
  ...blocks.flatMap((r) =>
    ([`block${r}x1`, `rows${r}x1`] as const).flatMap((format) => blockTiles(r, format)),
  ),
  ...sizes.flatMap((w) => [
    ...[2, 4, 8].map((v) => gather("uniform", "nm1x1", "quad", 1, v, w)),
    ...[4, 8, 16].map((v) => gather("uniform", "nm1x1", "word", 1, v, w)),
  ]),
  ...([4, 8] as const).flatMap((r) => blockTiles(r, `nm${r}x1`)),
  ...(["nm1x1", "ell"] as const).flatMap((format) =>
    (["quad", "strips", "word"] as const).flatMap((load) =>
      tiles([2, 4, 8], [2, 4, 8], 8, 32).map(([count, v]) => slices(format, load, count, v)),
    ),
  ),
  ...denseVectors,
  ...matrixVariants,
  ...sizes.flatMap((w) => [
    vectorQuads("dense-f16", w),
    ...csrFormats.map((format) => vector(format, w)),
    ...([1, 4, 8] as const).map((rows) => nmVector(rows, w)),
  ]),
];

/**
 * Kernels that load x as it lies, many images wide: there x is read so often, and is so large, that the order decides what is still in
 * a cache. Single images gained nothing, nor did dense kernels that do not read panels.
 */
const ordered = ({ format, loop, load, texels, winograd }: Variant): boolean =>
  (load === "quad" || load === "halves") &&
  (!isDense(format) || (loop === "shuffle" && texels === true && winograd === 0));

/** Sums of a tile that reads panels, in vec4s: larger ones were slower on lavapipe, and take seconds to compile. */
const mostOfPanels = 32;

/** Kernels that load vec4s of x itself, or of its strips, one after the other. */
const takesTexels = ({ format, loop, load, rows, columns, winograd, parts }: Variant): boolean =>
  (loop === "csr" || loop === "pair" || loop === "uniform" || loop === "shuffle" || loop === "slices") &&
  (load === "quad" || load === "strips") &&
  (winograd === 0 || loop === "shuffle") &&
  (loop !== "shuffle" || isNm(format) || rows * columns <= mostOfPanels) &&
  parts === 1;

const inEitherMemory: readonly Variant[] = [
  ...inUsualOrder,
  ...inUsualOrder.filter(takesTexels).map(inTexels),
];

/** Every variant. */
export const variants: readonly Variant[] = [
  ...inEitherMemory,
  ...inEitherMemory.filter(ordered).map(rowsFirst),
];

const byName = new Map(variants.map((v) => [`${v.format} ${v.name}`, v]));

export const findVariant = (format: Format, name: string): Variant | undefined =>
  byName.get(`${format} ${name}`);
