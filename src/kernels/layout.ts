import { rowStrides, type Shape, sizeOf } from "../tensor/shape.ts";
import type { Halo, Operand, View, Word } from "./lowering.ts";

/** Row-major, contiguous: what files and callers use. */
export interface RowsLayout {
  readonly kind: "rows";
}

/**
 * Channel outermost, axis 0 (the batch) innermost, the other dimensions in order between them: a channel is one plane
 * of pixels x images, so a convolution is a product of its weights with columns of x. Images are padded to a multiple of
 * four (unless there is one), planes to a multiple of four words, so vec4 loads are aligned.
 */
export interface ColumnsLayout {
  readonly kind: "columns";
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
  strides[0] = 1;
  let step = batchPitch(shape[0]!);
  let offset = 0;
  const middle = middleAxes(shape.length, layout.channelAxis);
  for (let i = middle.length - 1; i >= 0; i--) {
    const axis = middle[i]!;
    const [before, after] = layout.halo[i] ?? [0, 0];
    strides[axis] = step;
    offset += before * step;
    step *= before + shape[axis]! + after;
  }
  step = roundUp4(step);
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
  return `c${layout.channelAxis}${layout.halo.map(([a, b]) => `:${a},${b}`).join("")}`;
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
