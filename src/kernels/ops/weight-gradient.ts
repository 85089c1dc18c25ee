import { weightGradientGeometry } from "../../graph/ops/weight-gradient.ts";
import { sizeOf } from "../../tensor/shape.ts";
import type { LowerContext, Lowering, View } from "../lowering.ts";
import { pixelRows, pixelSteps, stepParams, three } from "./pixel-rows.ts";
import { emitReduce, foldCodes } from "./reduce.ts";
import { scratchView } from "./scratch.ts";
import { imageQuads } from "./vectors.ts";

/** One way to run it: R rows of dw and V taps per thread, dy read by every thread ("uniform") or passed from lane to lane. */
export interface WeightGradientVariant {
  readonly loop: "uniform" | "shuffle";
  readonly rows: 1 | 2 | 4 | 8 | 16;
  readonly taps: 1 | 2 | 3 | 4 | 6 | 8;
  readonly workgroup: number;
}

/** What a variant is chosen by. */
export interface WeightGradientProblem {
  /** Of dw in one group of the convolution. */
  readonly rows: number;
  readonly taps: number;
  /** Images at once. */
  readonly unit: 1 | 4;
  readonly software: boolean;
  /** Lanes that every subgroup has; 0 where there are none. */
  readonly subgroup: number;
}

const least = <T extends number>(sizes: readonly T[], n: number): T =>
  sizes.find((s) => s >= n) ?? sizes.at(-1)!;

const padded = (n: number, to: number): number => Math.ceil(n / to) * to;

/** The larger number of rows saves loads, unless the last ones would be mostly past the end. */
const rowsFor = <T extends number>(rows: number, few: T, many: T): T =>
  padded(rows, many) <= 1.1 * padded(rows, few) ? many : few;

/** Lanes of a subgroup that pass values on. */
const shuffled = 8;

/**
 * Rows and taps per thread as registers allow, less where dw is smaller; lanes as many as there are taps for, up to what the
 * adapter likes: a software adapter loops over them on one core, a GPU needs them to fill its lanes. A software adapter pays for
 * every load alike, so there dy is read once per subgroup.
 */
export function chooseWeightGradient(problem: WeightGradientProblem): WeightGradientVariant {
  const { rows, taps, unit, software, subgroup } = problem;
  if (software && unit === 4 && subgroup >= shuffled && rows >= shuffled) {
    const waste = (v: number): number => padded(taps, v * shuffled) / taps;
    const wide = ([4, 6, 3, 2, 1] as const).reduce((best, v) => (waste(v) < waste(best) - 0.05 ? v : best));
    return { loop: "shuffle", rows: rowsFor(rows, 8, 16), taps: wide, workgroup: shuffled };
  }
  const perThread = least([1, 2, 4] as const, Math.ceil(taps / (software ? 8 : 16)));
  const lanes = software ? [8] : [16, 32, 64];
  const few = rows <= 4 ? least([1, 2, 4] as const, rows) : rowsFor(rows, 4, 8);
  return {
    loop: "uniform",
    rows: few,
    taps: perThread,
    workgroup: least(lanes, Math.ceil(taps / perThread)),
  };
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
    const variant = chooseWeightGradient({
      rows: g.outChannels / g.groups,
      taps,
      unit: imageQuads([x, dy]) ? 4 : 1,
      software: context.software ?? false,
      subgroup: context.subgroup ?? 0,
    });
    emitWeightGradient(context, x, dy, dw, variant);
  },
};

const kernels = {
  shuffle: "conv/weight-gradient-shuffle",
  4: "conv/weight-gradient",
  1: "conv/weight-gradient-scalar",
} as const;

export function emitWeightGradient(
  context: LowerContext,
  x: View,
  dy: View,
  dw: View,
  { loop, rows, taps: perThread, workgroup }: WeightGradientVariant,
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
    kernel: kernels[loop === "shuffle" ? loop : unit],
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
