import { attributesOf } from "../../graph/op.ts";
import { concatAxis } from "../../graph/ops/concat.ts";
import { sliceRange } from "../../graph/ops/slice.ts";
import { splitParts } from "../../graph/ops/split.ts";
import { permutation } from "../../graph/ops/transpose.ts";
import { unsliceRange } from "../../graph/ops/unslice.ts";
import { broadcastStrides, sizeOf } from "../../tensor/shape.ts";
import type { Dispatch, LowerContext, Lowering, View } from "../lowering.ts";
import { opContext } from "./movement-context.ts";
import { copyLoops } from "./movement-copy.ts";
import { fillView } from "./movement-fill.ts";
import { gatherLowering } from "./movement-gather.ts";
import { type Loop, loopsOf } from "./movement-loops.ts";
import { padLowering } from "./movement-pad.ts";
import { copyReshaped } from "./movement-reshape.ts";

/**
 * Copies the elements of `from` to `to`, both of one shape: from rows to columns and back, whatever their halo and batch
 * pitch. Words between elements are neither read nor written. Emits nothing for an empty value.
 */
export function copyView(emit: (dispatch: Dispatch) => void, from: View, to: View): void {
  copyLoops(emit, from, to, loopsOf(to.shape, from.strides, to.strides));
}

const input = (context: LowerContext, i = 0): View => context.inputs[i]!;
const output = (context: LowerContext, i = 0): View => context.outputs[i]!;

/** The part of a view that starts `start` entries along an axis and has `size` of them. */
function part(view: View, axis: number, start: number, size: number): View {
  const shape = view.shape.map((d, i) => (i === axis ? size : d));
  return { ...view, shape, offset: view.offset + start * view.strides[axis]!, rows: false };
}

/** `from` with its own strides, broadcast to the shape of `to`. */
const stretched = (from: View, to: View): View => ({
  ...from,
  shape: to.shape,
  strides: broadcastStrides(from.shape, from.strides, to.shape),
  rows: false,
});

const transpose: Lowering = {
  ops: ["Transpose"],
  layout: "any",
  lower(context) {
    const x = input(context);
    const y = output(context);
    const strides = permutation(opContext(context)).map((axis) => x.strides[axis]!);
    copyView(context.emit, { ...x, shape: y.shape, strides }, y);
  },
};

const concat: Lowering = {
  ops: ["Concat"],
  layout: "any",
  lower(context) {
    const axis = concatAxis(opContext(context));
    const y = output(context);
    let at = 0;
    for (const x of context.inputs as readonly View[]) {
      copyView(context.emit, x, part(y, axis, at, x.shape[axis]!));
      at += x.shape[axis]!;
    }
  },
};

const split: Lowering = {
  ops: ["Split"],
  layout: "any",
  lower(context) {
    const { axis, sizes } = splitParts(opContext(context));
    const x = input(context);
    let at = 0;
    for (const [i, size] of sizes.entries()) {
      const y = context.outputs[i];
      if (y) copyView(context.emit, part(x, axis, at, size), y);
      at += size;
    }
  },
};

const slice: Lowering = {
  ops: ["Slice"],
  layout: "any",
  lower(context) {
    const { starts, steps } = sliceRange(opContext(context));
    const x = input(context);
    const y = output(context);
    const strides = x.strides.map((s, d) => s * steps[d]!);
    const offset = x.strides.reduce((sum, s, d) => sum + s * starts[d]!, x.offset);
    if (sizeOf(y.shape) > 0) copyView(context.emit, { ...x, shape: y.shape, strides, offset }, y);
  },
};

const unslice: Lowering = {
  ops: ["Unslice"],
  layout: "any",
  lower(context) {
    const { starts, steps } = unsliceRange(opContext(context));
    const x = input(context);
    const y = output(context);
    const strides = y.strides.map((s, d) => s * steps[d]!);
    const offset = y.strides.reduce((sum, s, d) => sum + s * starts[d]!, y.offset);
    fillView(context.emit, y, 0);
    if (sizeOf(x.shape) > 0)
      copyView(context.emit, x, { ...y, shape: x.shape, strides, offset, rows: false });
  },
};

const expand: Lowering = {
  ops: ["Expand"],
  layout: "any",
  lower(context) {
    const y = output(context);
    copyView(context.emit, stretched(input(context), y), y);
  },
};

const tile: Lowering = {
  ops: ["Tile"],
  layout: "any",
  lower(context) {
    const x = input(context);
    const y = output(context);
    const loops = x.shape.flatMap((size, d): Loop[] => {
      const repeats = size === 0 ? 0 : y.shape[d]! / size;
      return [
        { size: repeats, steps: [0, size * y.strides[d]!] },
        { size, steps: [x.strides[d]!, y.strides[d]!] },
      ];
    });
    copyLoops(context.emit, x, y, loops);
  },
};

/** Blocks of pixels to channels or back: a reordering of axes that are split in place. */
const depthAndSpace: Lowering = {
  ops: ["DepthToSpace", "SpaceToDepth"],
  layout: "any",
  lower(context) {
    const a = attributesOf(context.node);
    const toSpace = context.node.op === "DepthToSpace";
    const block = a.int("blocksize");
    const columnsFirst = toSpace && a.string("mode", "DCR") === "CRD";
    // Named by what they are on either side: `deep` has the many channels, `wide` the many pixels.
    const [deep, wide] = toSpace ? [input(context), output(context)] : [output(context), input(context)];
    const [n, , h, w] = deep.shape as readonly [number, number, number, number];
    const channels = wide.shape[1]!;
    const [dn, dc, dh, dw] = deep.strides as readonly [number, number, number, number];
    const [wn, wc, wh, ww] = wide.strides as readonly [number, number, number, number];
    const perBlockRow = columnsFirst ? block * dc : block * channels * dc;
    const perBlockColumn = columnsFirst ? dc : channels * dc;
    const perChannel = columnsFirst ? block * block * dc : dc;
    const both = [
      [n, dn, wn],
      [channels, perChannel, wc],
      [h, dh, block * wh],
      [block, perBlockRow, wh],
      [w, dw, block * ww],
      [block, perBlockColumn, ww],
    ] as const;
    const loops = both.map(([size, d, s]): Loop => ({ size, steps: toSpace ? [d, s] : [s, d] }));
    copyLoops(context.emit, input(context), output(context), loops);
  },
};

const reshaping = (ops: readonly string[], layout: Lowering["layout"]): Lowering => ({
  ops,
  layout,
  lower: (context) => copyReshaped(context.emit, input(context), output(context)),
});

const identity: Lowering = {
  ops: ["Identity"],
  layout: "any",
  lower: (context) => copyView(context.emit, input(context), output(context)),
};

/** Dropout at inference: the input itself, and a mask that keeps everything. */
const dropout: Lowering = {
  ops: ["Dropout"],
  layout: "any",
  lower(context) {
    const [y, mask] = context.outputs;
    if (y) copyView(context.emit, input(context), y);
    if (mask) fillView(context.emit, mask, 1);
  },
};

/** Ops that move data and compute nothing. */
export const movementLowerings: readonly Lowering[] = [
  concat,
  depthAndSpace,
  dropout,
  expand,
  gatherLowering,
  identity,
  padLowering,
  reshaping(["Flatten"], "any"),
  reshaping(["Reshape", "Squeeze", "Unsqueeze"], "rows"),
  slice,
  split,
  tile,
  transpose,
  unslice,
];
