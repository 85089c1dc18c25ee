import { rowStrides, type Shape, sizeOf } from "../tensor/shape.ts";
import type { Halo, Operand, View, Word } from "./lowering.ts";

/** Row-major, contiguous: what files and callers use. */
export interface RowsLayout {
  readonly kind: "rows";
}

/**
 * Channel outermost, so that a convolution is a product of its weights with columns of x: a channel is one plane of all pixels of
 * all images. Batch innermost: axis 0 (the batch) is the innermost, padded to a multiple of four (unless it is 1), the other
 * dimensions in order between it and the channel. Planar: image after image, each with its other dimensions in order. Channels begin
 * at multiples of four words, so vec4 loads are aligned.
 */
export interface ColumnsLayout {
  readonly kind: "columns";
  readonly planar: boolean;
  readonly channelAxis: number;
  /** One per dimension between channel and batch, in order. */
  readonly halo: readonly Halo[];
}

export type Layout = RowsLayout | ColumnsLayout;

export const rowsLayout: RowsLayout = { kind: "rows" };

const roundUp4 = (n: number): number => Math.ceil(n / 4) * 4;

/** Words between images of one pixel's group: the batch, rounded up to whole vec4s unless it is 1. */
export const batchPitch = (batch: number): number => (batch <= 1 ? 1 : roundUp4(batch));

/** The axes between channel and batch, outermost first. */
export const middleAxes = (rank: number, channelAxis: number): number[] =>
  Array.from({ length: rank }, (_, i) => i).filter((i) => i !== 0 && i !== channelAxis);

export interface Placement {
  readonly strides: readonly number[];
  readonly offset: number;
  /** Words the value takes in memory. */
  readonly words: number;
}

/** Strides, offset and size of a value of `shape` under `layout`. */
export function place(shape: Shape, layout: Layout): Placement {
  if (layout.kind === "rows") return { strides: rowStrides(shape), offset: 0, words: sizeOf(shape) };
  const strides = new Array<number>(shape.length).fill(0);
  let step = layout.planar ? 1 : batchPitch(shape[0]!);
  let offset = 0;
  const middle = middleAxes(shape.length, layout.channelAxis);
  for (let i = middle.length - 1; i >= 0; i--) {
    const axis = middle[i]!;
    const [before, after] = layout.halo[i] ?? [0, 0];
    strides[axis] = step;
    offset += before * step;
    step *= before + shape[axis]! + after;
  }
  strides[0] = layout.planar ? step : 1;
  step = roundUp4(layout.planar ? step * shape[0]! : step);
  strides[layout.channelAxis] = step;
  return { strides, offset, words: step * shape[layout.channelAxis]! };
}

/** The view of an operand that holds a value of `shape` under `layout`. */
export function viewOf(operand: Operand, word: Word, shape: Shape, layout: Layout): View {
  const { strides, offset } = place(shape, layout);
  return { operand, word, shape, strides, offset, rows: layout.kind === "rows" };
}

export const hasHalo = (layout: Layout): boolean =>
  layout.kind === "columns" && layout.halo.some(([a, b]) => a > 0 || b > 0);

/** Equal keys mean equal geometry in memory. */
export function layoutKey(layout: Layout): string {
  if (layout.kind === "rows") return "rows";
  return `${layout.planar ? "p" : "c"}${layout.channelAxis}${layout.halo.map(([a, b]) => `:${a},${b}`).join("")}`;
}

/** Does a value of this shape lie at the same words under both layouts, so that one buffer serves for both? */
export function sameMemory(shape: Shape, a: Layout, b: Layout): boolean {
  const [p, q] = [place(shape, a), place(shape, b)];
  return (
    p.words === q.words &&
    p.offset === q.offset &&
    !hasHalo(a) &&
    !hasHalo(b) &&
    shape.every((size, i) => size === 1 || p.strides[i] === q.strides[i])
  );
}
