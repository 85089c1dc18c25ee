import { printable, UsageError } from "../../src/errors.ts";
import { graphBuilder } from "../../src/graph/builder.ts";
import { type ColumnsPlace, columnsPlaces } from "../../src/plan/columns-place.ts";
import { assignLayouts } from "../../src/plan/layouts.ts";
import { simplify } from "../../src/plan/simplify.ts";
import { tensor } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";

/** A convolution with as many outputs per side as `size`; a 1x1 is a matrix product of `size` squared columns per image. */
export interface Shape {
  readonly rows: number;
  readonly channels: number;
  readonly kernel: 1 | 3;
  readonly size: number;
}

export const shapeName = ({ rows, channels, kernel, size }: Shape): string =>
  `${kernel}x${kernel} ${channels}->${rows} @${size}`;

const one = (rows: number, channels: number, size: number): Shape => ({ rows, channels, kernel: 1, size });
const three = (width: number, size: number): Shape => ({ rows: width, channels: width, kernel: 3, size });

/** The layers of ResNet-50 at 224 x 224 that repeat (He et al. 2015, table 1). */
const defaultShapes: readonly Shape[] = [
  three(64, 56),
  three(128, 28),
  three(256, 14),
  three(512, 7),
  one(64, 256, 56),
  one(256, 64, 56),
  one(128, 512, 28),
  one(512, 128, 28),
  one(256, 1024, 14),
  one(1024, 256, 14),
  one(512, 2048, 7),
  one(2048, 512, 7),
];

/** And those that occur once, and MobileNetV1's. */
const moreShapes: readonly Shape[] = [
  one(64, 64, 56),
  one(128, 256, 56),
  one(256, 512, 28),
  one(512, 1024, 14),
  one(64, 32, 112),
  one(128, 64, 56),
  one(256, 128, 28),
  one(512, 512, 14),
  one(1024, 1024, 7),
];

/** The layers of ResNet-56 for CIFAR that repeat: all but four of its 56 (He et al. 2015, section 4.2). */
const resnet56Shapes: readonly Shape[] = [three(16, 32), three(32, 16), three(64, 8)];

/** "quick": one, to see that all works; "full": those of `moreShapes` too. */
export type ShapeSet = "quick" | "default" | "full" | "resnet56";

export const shapesOf = (set: ShapeSet): readonly Shape[] => {
  if (set === "quick") return [defaultShapes[2]!];
  if (set === "resnet56") return resnet56Shapes;
  return set === "full" ? [...defaultShapes, ...moreShapes] : defaultShapes;
};

/** Those of a shape whose name contains `only`. Throws E_USAGE where there are none. */
export function named<T extends { readonly shape: Shape }>(
  list: readonly T[],
  only: string | undefined,
): readonly T[] {
  if (only === undefined) return list;
  const found = list.filter(({ shape }) => shapeName(shape).includes(only));
  if (found.length > 0) return found;
  const names = [...new Set(list.map(({ shape }) => shapeName(shape)))];
  throw new UsageError(`--only is ${printable(only)}, which is in no shape's name: ${names.join(", ")}.`);
}

/** Multiply-adds of the dense layer. */
export const macsOf = ({ rows, channels, kernel, size }: Shape, batch: number): number =>
  rows * channels * kernel * kernel * size * size * batch;

/** What only a GPU does in a reasonable time: 4096 x 4096 by as many columns. */
export const hardwareShape: Shape = one(4096, 4096, 64);

/** The layer as a net of one node, laid out as it would be in a net. */
export function placeOf(shape: Shape, batch: number): ColumnsPlace {
  const { rows, channels, kernel, size } = shape;
  const pad = (kernel - 1) / 2;
  const b = graphBuilder(shapeName(shape));
  const random = seeded(3);
  const x = b.input("x", [batch, channels, size, size]);
  const values = Float32Array.from(
    { length: rows * channels * kernel * kernel },
    () => random.uniform() * 2 - 1 || 1,
  );
  const w = b.weight("w", tensor(values, [rows, channels, kernel, kernel]));
  const y = b.node("Conv", [x, w], { pads: [pad, pad, pad, pad] }, { name: shapeName(shape) });
  b.output(y, [batch, rows, size, size]);
  const program = simplify(b.build(), new Map([["x", [batch, channels, size, size]]]), new Map(), new Set());
  return [...columnsPlaces(program, assignLayouts(program)).values()][0]!;
}
