import type { View } from "../lowering.ts";

/** One operand of a kernel that walks pixels: words between pixels along depth, height, width, and between channels. */
export interface PixelSteps {
  readonly base: number;
  readonly d: number;
  readonly h: number;
  readonly w: number;
  readonly channel: number;
}

/** Pixels as rows, for kernels that add up over all pixels and images of the columns layout (shaders/lib/pixel-rows.wgsl). */
export interface PixelRows {
  /** Words per value: 4 images at once, or 1. */
  readonly unit: 1 | 4;
  readonly rows: number;
  readonly params: Readonly<Record<"rows" | "height" | "width" | "inner" | "quads" | "tail", number>>;
}

/** The last three of `values`, with `fill` in front where there are fewer. */
export const three = (values: readonly number[], fill: number): [number, number, number] => {
  const padded = [...new Array<number>(Math.max(0, 3 - values.length)).fill(fill), ...values];
  return [padded[0]!, padded[1]!, padded[2]!];
};

/** Steps of a view [N, C, ...pixels], `every` pixels apart along each axis. */
export function pixelSteps(view: View, every: readonly number[] = []): PixelSteps {
  const strides = view.strides.slice(2).map((s, i) => s * (every[i] ?? 1));
  const [d, h, w] = three(strides, 0);
  return { base: view.offset, d, h, w, channel: view.strides[1]! };
}

/** Rows of `pixels` [depth, height, width] with `batch` images each; runs grow together where nothing lies between pixels. */
export function pixelRows(
  pixels: readonly [number, number, number],
  batch: number,
  operands: readonly PixelSteps[],
  unit: 1 | 4,
): PixelRows {
  const [depth, height, width] = pixels;
  const quads = Math.ceil(batch / unit);
  const tail = unit === 4 ? batch % 4 : 0;
  const together = tail === 0 && operands.every((o) => width === 1 || o.w === quads * unit);
  const rows = depth * height;
  return {
    unit,
    rows,
    params: {
      rows,
      height,
      width: together ? 1 : width,
      inner: together ? width * quads : quads,
      quads,
      tail,
    },
  };
}

/** The uniform fields `NAME_base`, `NAME_d`, ... of an operand, in units. */
export function stepParams(name: string, steps: PixelSteps, unit: number): Record<string, number> {
  return Object.fromEntries(
    Object.entries(steps).map(([field, words]) => [`${name}_${field}`, Math.floor(words / unit)]),
  );
}
