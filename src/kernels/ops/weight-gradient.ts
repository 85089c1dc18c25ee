import { weightGradientGeometry } from "../../graph/ops/weight-gradient.ts";
import { sizeOf } from "../../tensor/shape.ts";
import type { LowerContext, Lowering, View } from "../lowering.ts";
import { pixelRows, pixelSteps, stepParams, three } from "./pixel-rows.ts";
import { emitReduce, foldCodes } from "./reduce.ts";
import { scratchView } from "./scratch.ts";
import { imageQuads } from "./vectors.ts";

/** One way to run it: R rows of dw and V taps per thread. */
export interface WeightGradientVariant {
  readonly rows: 1 | 2 | 4 | 8;
  readonly taps: 1 | 2 | 4 | 8;
  readonly workgroup: number;
}

const least = <T extends number>(sizes: readonly T[], n: number): T =>
  sizes.find((s) => s >= n) ?? sizes.at(-1)!;

/** Eight rows at once save loads, unless the last ones would be mostly past the end. */
function rowsFor(rows: number): 1 | 2 | 4 | 8 {
  if (rows <= 4) return least([1, 2, 4] as const, rows);
  const padded = (r: number): number => Math.ceil(rows / r) * r;
  return padded(8) <= 1.1 * padded(4) ? 8 : 4;
}

/**
 * Rows and taps per thread as registers allow, less where dw is smaller; lanes as many as there are taps for, up to what the
 * adapter likes: a software adapter loops over them on one core, a GPU needs them to fill its lanes.
 */
export function chooseWeightGradient(rows: number, taps: number, software: boolean): WeightGradientVariant {
  const perThread = least([1, 2, 4] as const, Math.ceil(taps / (software ? 8 : 16)));
  const lanes = software ? [8] : [16, 32, 64];
  return { rows: rowsFor(rows), taps: perThread, workgroup: least(lanes, Math.ceil(taps / perThread)) };
}

/** Workgroups that keep every core or multiprocessor busy; with fewer the pixels are cut into slices. */
const wantedGroups = (software: boolean): number => (software ? 16 : 1024);

export const weightGradientLowering: Lowering = {
  ops: ["WeightGradient"],
  layout: "columns",
  halo: (node, type) => {
    const shapes = [type(0), type(1)];
    const { padsBegin, padsEnd } = weightGradientGeometry({ node, inputs: shapes });
    return { input: 0, pads: padsBegin.map((begin, i) => [begin, padsEnd[i]!] as const) };
  },
  lower(context) {
    const [x, dy] = context.inputs as readonly [View, View];
    const dw = context.outputs[0]!;
    if (sizeOf(dw.shape) === 0) return;
    const g = weightGradientGeometry(context);
    const taps = sizeOf(dw.shape.slice(1));
    const software = context.software ?? false;
    const variant = chooseWeightGradient(g.outChannels / g.groups, taps, software);
    emitWeightGradient(context, x, dy, dw, variant);
  },
};

export function emitWeightGradient(
  context: LowerContext,
  x: View,
  dy: View,
  dw: View,
  { rows, taps: perThread, workgroup }: WeightGradientVariant,
): void {
  const g = weightGradientGeometry(context);
  const taps = sizeOf(dw.shape.slice(1));
  const perGroup = g.outChannels / g.groups;
  const unit = imageQuads([x, dy]) ? 4 : 1;
  const before = g.padsBegin.reduce((at, pad, i) => at + pad * x.strides[i + 2]!, 0);
  const from = { ...pixelSteps(x, g.strides), base: x.offset - before };
  const to = pixelSteps(dy);
  const pixels = pixelRows(three(g.outSpatial, 1), g.batch, [from, to], unit);
  const blocks = Math.ceil(perGroup / rows);
  const across = Math.ceil(taps / (workgroup * perThread));
  const slices = slicesOf(pixels.rows, across * blocks * g.groups, context.software ?? false);
  const rowsPerSlice = Math.ceil(pixels.rows / slices);
  const cut = Math.max(1, Math.ceil(pixels.rows / rowsPerSlice));
  const partial = cut === 1 ? dw : scratchView(context, "slices", [cut, sizeOf(dw.shape)]);
  context.emit({
    kernel: unit === 4 ? "conv/weight-gradient" : "conv/weight-gradient-scalar",
    spec: { R: rows, V: perThread },
    constants: { WG_SIZE: workgroup, RAGGED: pixels.params.tail === 0 ? 0 : 1 },
    bindings: {
      x: x.operand,
      dy: dy.operand,
      offsets: context.upload(`${context.node.name} taps`, tapOffsets(x, g, unit)),
      dw: partial.operand,
    },
    params: {
      ...pixels.params,
      rows_per_slice: rowsPerSlice,
      taps,
      rows_per_group: perGroup,
      blocks_per_group: blocks,
      groups: g.groups,
      ...withoutChannel(stepParams("x", from, unit)),
      x_group: ((g.inChannels / g.groups) * x.strides[1]!) / unit,
      ...stepParams("dy", to, unit),
    },
    groups: [across, blocks * g.groups, cut],
  });
  if (cut > 1)
    emitReduce(context, foldCodes.ReduceSum, partial, [0], {
      ...dw,
      shape: [sizeOf(dw.shape)],
      strides: [1],
    });
}

const withoutChannel = ({ x_channel: _, ...rest }: Record<string, number>): Record<string, number> => rest;

const slicesOf = (rows: number, groups: number, software: boolean): number =>
  Math.max(1, Math.min(rows, Math.ceil(wantedGroups(software) / groups)));

/** Where each tap of a row of dw reads x, behind the first tap of the output's pixel. */
function tapOffsets(x: View, g: ReturnType<typeof weightGradientGeometry>, unit: number): Uint32Array {
  let positions: number[] = [0];
  for (const [i, kernel] of g.kernel.entries()) {
    const step = g.dilations[i]! * x.strides[i + 2]!;
    positions = positions.flatMap((at) => Array.from({ length: kernel }, (_, t) => at + t * step));
  }
  const channels = Array.from({ length: g.inChannels / g.groups }, (_, c) => c * x.strides[1]!);
  return Uint32Array.from(channels.flatMap((c) => positions.map((at) => (c + at) / unit)));
}
