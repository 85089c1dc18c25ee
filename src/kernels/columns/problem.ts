import type { Activation } from "../activation.ts";
import type { View } from "../lowering.ts";

/**
 * One product of constant (or variable) weights with columns of x: what Conv, Gemm and MatMul become. The weight is
 * [groups * rowsPerGroup, k]; tap t of a column reads x at the column's base + taps[t], within the column's group.
 */
export interface ColumnsProblem {
  readonly label: string;
  readonly groups: number;
  readonly rowsPerGroup: number;
  readonly k: number;
  /** Offsets into x of the K entries of a row, in words; the first tap of pixel 0 is at `xBase`. */
  readonly taps: Uint32Array;
  /** Output pixels: depth, height, width (1 where the op has fewer dimensions). Planar images are counted by the outermost free axis. */
  readonly out: readonly [number, number, number];
  /** Images, unpadded, where the batch is innermost; 1 where images are planar. */
  readonly batch: number;
  /** Words from the buffer's start to the first tap of output pixel 0, image 0. */
  readonly xBase: number;
  /** Words of x per step of an output pixel along depth, height and width. */
  readonly xSteps: readonly [number, number, number];
  /** Words of x between two input channels; tap t belongs to channel floor(taps[t] / xChannel) of its group. */
  readonly xChannel: number;
  /** Words of x between two groups. */
  readonly xGroup: number;
  readonly y: PixelGrid;
  readonly residual?: PixelGrid;
  readonly activation: Activation;
}

/** Where output pixels lie: words of channel 0's first pixel, per channel, and per pixel along depth, height, width. */
export interface PixelGrid {
  readonly base: number;
  readonly channel: number;
  readonly steps: readonly [number, number, number];
}

/** The grid of a view in columns layout whose channel axis is `channelAxis`; `pixels` are the axes that count pixels. */
export function pixelGrid(view: View, channelAxis: number, pixels: readonly number[]): PixelGrid {
  const steps: [number, number, number] = [0, 0, 0];
  const shift = 3 - pixels.length;
  for (const [i, axis] of pixels.entries()) steps[shift + i] = view.strides[axis]!;
  return { base: view.offset, channel: view.strides[channelAxis]!, steps };
}

/** Multiply-adds of the dense product. */
export const problemMacs = (p: ColumnsProblem): number =>
  p.groups * p.rowsPerGroup * p.k * p.out[0] * p.out[1] * p.out[2] * p.batch;

/**
 * What a load of x is: a float; a vec4 of four images or four pixels as they lie, or of the same in half precision; a vec4 of four
 * strips of one plane of pixels.
 */
export type Load = "word" | "quad" | "halves" | "strips";

/** How the columns of a problem are cut into loads. */
export interface ColumnCut {
  readonly load: Load;
  /** Loads per pixel. */
  readonly inner: number;
  readonly out: readonly [number, number, number];
  readonly columns: number;
}

/** Floats per load. */
export const floatsOf = (load: Load): number => (load === "word" ? 1 : 4);

const aligned = (n: number): boolean => n % 4 === 0;

/**
 * The ways to cut a problem's columns. vec4s as they lie: over four images when the batch is innermost, and padded to fours; or,
 * where it is not and all pixels lie one after the other in x, y and residual alike (1x1 without halo), over four pixels of the
 * padded channel. Planes whose pixels do not may be rearranged into strips first. Floats always.
 */
export function cutColumns(p: ColumnsProblem): readonly ColumnCut[] {
  const pixels = p.out[0] * p.out[1] * p.out[2];
  const word: ColumnCut = { load: "word", inner: p.batch, out: p.out, columns: pixels * p.batch };
  const grids = p.residual ? [p.y, p.residual] : [p.y];
  const planes =
    aligned(p.xBase) &&
    aligned(p.xGroup) &&
    p.taps.every(aligned) &&
    grids.every((g) => aligned(g.base) && aligned(g.channel));
  if (p.batch > 1) {
    const steps = [...p.xSteps, ...grids.flatMap((g) => g.steps)];
    if (!planes || !steps.every(aligned)) return [word];
    const inner = Math.ceil(p.batch / 4);
    return [...quads({ inner, out: p.out, columns: pixels * inner }), word];
  }
  const flat = (steps: readonly [number, number, number]): boolean =>
    (p.out[2] === 1 || steps[2] === 1) &&
    (p.out[1] === 1 || steps[1] === p.out[2]) &&
    (p.out[0] === 1 || steps[0] === p.out[1] * p.out[2]);
  if (planes && pixels >= 4 && flat(p.xSteps) && grids.every((g) => flat(g.steps))) {
    // The last quad may run into the padding of its plane, which place() rounds up to whole quads.
    const inner = Math.ceil(pixels / 4);
    return [...quads({ inner, out: [1, 1, 1], columns: inner }), word];
  }
  const rows = stripRows(p);
  if (!hasPlanes(p) || p.out[1] < 4 || p.xChannel === 0) return [word];
  const out = [p.out[0], rows, p.out[2]] as const;
  return [word, { load: "strips", inner: 1, out, columns: p.out[0] * rows * p.out[2] }];
}

const quads = (cut: Omit<ColumnCut, "load">): readonly ColumnCut[] => [
  { load: "quad", ...cut },
  { load: "halves", ...cut },
];

/** vec4s of x from the first tap of output pixel 0 to the last that is read. */
export function quadsRead(p: ColumnsProblem, cut: ColumnCut): number {
  const pixels = cut.out.reduce((sum, n, i) => sum + (n - 1) * p.xSteps[i]!, 0);
  const last = p.taps.reduce((most, t) => Math.max(most, t), 0);
  return ((p.groups - 1) * p.xGroup + last + pixels) / 4 + cut.inner;
}

/** vec4s from where x begins, or its strips, to the last that is read. */
export function texelsRead(p: ColumnsProblem, cut: ColumnCut): number {
  if (cut.load !== "strips") return p.xBase / 4 + quadsRead(p, cut);
  const { channels, planes, words } = stripsOf(p);
  return channels * planes * words;
}

/** Do all taps of an output lie in one plane of height and width? Of those of depth, as of planar images, each is then by itself. */
const hasPlanes = (p: ColumnsProblem): boolean =>
  p.out[0] === 1 || (p.xChannel > 0 && p.taps.every((tap) => planeReach(p, tap) <= p.xSteps[0]));

/** Words from a plane's first tap of output pixel 0 to behind what a tap reads of it. */
const planeReach = (p: ColumnsProblem, tap: number): number =>
  (tap % p.xChannel) + (p.out[1] - 1) * p.xSteps[1] + (p.out[2] - 1) * p.xSteps[2] + 1;

/** Rows of a plane in each of its four strips. */
const stripRows = (p: ColumnsProblem): number => Math.ceil(p.out[1] / 4);

/** How the rows of planes lie in strips: per input channel so many planes of so many vec4s, tap t of pixel 0 at `taps[t]`. */
export interface Strips {
  readonly channels: number;
  readonly planes: number;
  readonly words: number;
  readonly taps: Uint32Array;
  /** Words of x between two strips. */
  readonly step: number;
}

export function stripsOf(p: ColumnsProblem): Strips {
  const within = p.taps.map((t) => t % p.xChannel);
  const words =
    within.reduce((most, t) => Math.max(most, t), 0) +
    (stripRows(p) - 1) * p.xSteps[1] +
    (p.out[2] - 1) * p.xSteps[2] +
    1;
  return {
    channels: (p.groups * p.xGroup) / p.xChannel,
    planes: p.out[0],
    words,
    taps: p.taps.map((t, i) => Math.floor(t / p.xChannel) * p.out[0] * words + within[i]!),
    step: stripRows(p) * p.xSteps[1],
  };
}

/** Offsets of the taps of one row of W, in loads. */
export const offsetsOf = (p: ColumnsProblem, load: Load): Uint32Array =>
  load === "word" ? p.taps : load === "strips" ? stripsOf(p).taps : p.taps.map((t) => t / 4);

/** The fields of the `Columns` uniform of shaders/lib/columns.wgsl. */
export function columnsParams(
  p: ColumnsProblem,
  cut: ColumnCut,
  blocksPerGroup: number,
): Record<string, number> {
  const u = cut.load === "quad" || cut.load === "halves" ? 4 : 1;
  const strips = cut.load === "strips" ? stripsOf(p) : undefined;
  const r = p.residual ?? p.y;
  return {
    columns: cut.columns,
    inner: cut.inner,
    out_w: cut.out[2],
    out_h: cut.out[1],
    x_base: strips || cut.load === "halves" ? 0 : p.xBase / u,
    x_d: strips ? strips.words : Math.floor(p.xSteps[0] / u),
    x_h: Math.floor(p.xSteps[1] / u),
    x_w: Math.floor(p.xSteps[2] / u),
    x_group: strips ? (strips.channels / p.groups) * strips.planes * strips.words : p.xGroup / u,
    x_tap: 0,
    y_base: p.y.base / u,
    y_channel: p.y.channel / u,
    y_d: strips && p.out[0] === 1 ? 2 ** 31 : Math.floor(p.y.steps[0] / u),
    y_h: Math.floor(p.y.steps[1] / u),
    y_w: Math.floor(p.y.steps[2] / u),
    r_base: r.base / u,
    r_channel: r.channel / u,
    r_d: Math.floor(r.steps[0] / u),
    r_h: Math.floor(r.steps[1] / u),
    r_w: Math.floor(r.steps[2] / u),
    blocks_per_group: blocksPerGroup,
    rows_per_group: p.rowsPerGroup,
    k: p.k,
    strip_rows: strips ? cut.out[1] : 0,
    strip_height: strips ? p.out[1] : 0,
    act_a: p.activation.a,
    act_b: p.activation.b,
    scale: 1,
  };
}
