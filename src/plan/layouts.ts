import { opOf } from "../graph/evaluate.ts";
import { type ColumnsLayout, type Layout, middleAxes, rowsLayout } from "../kernels/layout.ts";
import type { Halo } from "../kernels/lowering.ts";
import { findLowering } from "../kernels/ops/index.ts";
import { isFloat } from "../tensor/dtype.ts";
import { sizeOf } from "../tensor/shape.ts";
import type { Program, Step, WindowAxis } from "./program.ts";

/** How the activations of a whole net lie: see `ColumnsLayout`. */
export const activationLayouts = ["batch-innermost", "planar"] as const;
export type ActivationLayout = (typeof activationLayouts)[number];

/**
 * Can a program run with planar activations? Images are then one more axis of pixels, of which kernels know three, and training
 * steps want the batch innermost.
 */
export const takesPlanar = (program: Program): boolean =>
  program.steps.every((step) =>
    step.kind === "columns"
      ? step.window.length <= 2
      : findLowering(step.node.op)?.layout !== "columns" && opOf(step.node).inPlace === undefined,
  );

/** The layouts that a program can run under and that differ: with a batch of one they do not. */
export function layoutsFor(program: Program): readonly ActivationLayout[] {
  const several = program.steps.some(
    (step) => step.kind === "columns" && program.types.get(step.input)!.shape[0]! > 1,
  );
  return several && takesPlanar(program) ? activationLayouts : ["batch-innermost"];
}

/** Where every value of a program lies in memory, and in which layout each step wants its operands. */
export interface Layouts {
  /** The layout in which a value is produced. */
  readonly of: (value: string) => Layout;
  /** The layout in which `step` reads operand `i` of its node. */
  readonly wanted: (step: Step, value: string) => Layout;
}

/**
 * Columns steps read and write columns; other steps follow the layout of what they read if their lowering works from
 * strides, else they get rows. A value that a padded convolution reads carries that padding as a halo of zeros, so its
 * producer writes straight into place.
 */
export function assignLayouts(program: Program, activations: ActivationLayout = "batch-innermost"): Layouts {
  const halos = neededHalos(program);
  const produced = new Map<string, Layout>();
  const of = (value: string): Layout => produced.get(value) ?? rowsLayout;
  const columns = (value: string, channelAxis: number): ColumnsLayout => ({
    kind: "columns",
    planar: activations === "planar",
    channelAxis,
    halo:
      halos.get(`${value} ${channelAxis}`) ??
      middleAxes(rankOf(program, value), channelAxis).map(() => [0, 0] as const),
  });
  const wanted = (step: Step, value: string): Layout => {
    if (step.kind === "columns") {
      if (value === step.input || value === step.residual) return columns(value, step.channelAxis);
      return rowsLayout;
    }
    const lowering = findLowering(step.node.op)!;
    if (lowering.layout === "columns") return columns(value, 1);
    return lowering.layout === "rows" ? rowsLayout : of(value);
  };
  for (const step of program.steps) {
    if (step.kind === "columns") {
      produced.set(step.output, columns(step.output, step.channelAxis));
      continue;
    }
    const leader = step.node.inputs.map(of).find((l) => l.kind === "columns");
    const strided = findLowering(step.node.op)?.layout === "any";
    for (const [i, name] of step.node.outputs.entries()) {
      const value = i === 0 ? step.output : name;
      if (value === "") continue;
      const type = program.types.get(value)!;
      const follows =
        leader && strided && isFloat(type.dtype) && type.shape.length >= 2 && sizeOf(type.shape) > 0;
      if (!follows) continue;
      const axis = (leader as ColumnsLayout).channelAxis;
      produced.set(value, columns(value, axis < type.shape.length ? axis : 1));
    }
  }
  return { of, wanted };
}

const rankOf = (program: Program, value: string): number => program.types.get(value)!.shape.length;

/** Per value and channel axis, the most that any step reads before its first pixel and behind its last. */
function neededHalos(program: Program): Map<string, Halo[]> {
  const halos = new Map<string, Halo[]>();
  const need = (value: string, channelAxis: number, reach: readonly Halo[]): void => {
    const key = `${value} ${channelAxis}`;
    const known = halos.get(key);
    halos.set(
      key,
      reach.map(
        ([a, b], i) => [Math.max(a, known?.[i]?.[0] ?? 0), Math.max(b, known?.[i]?.[1] ?? 0)] as const,
      ),
    );
  };
  for (const step of program.steps) {
    if (step.kind === "columns") {
      const { shape } = program.types.get(step.input)!;
      const axes = middleAxes(shape.length, step.channelAxis);
      need(
        step.input,
        step.channelAxis,
        axes.map((axis, i) => reachOf(step.window[i]!, shape[axis]!)),
      );
      continue;
    }
    const halo = findLowering(step.node.op)?.halo?.(
      step.node,
      (i) => program.types.get(step.node.inputs[i]!)!,
    );
    if (halo) need(step.node.inputs[halo.input]!, 1, halo.pads);
  }
  return halos;
}

/** Pixels that a window reads before the first of `size` and behind the last. */
function reachOf(w: WindowAxis, size: number): Halo {
  if (w.taps.length === 0 || w.out === 0) return [0, 0];
  const last = (w.out - 1) * w.stride + Math.max(...w.taps);
  return [Math.max(0, -Math.min(...w.taps)), Math.max(0, last - (size - 1))];
}
