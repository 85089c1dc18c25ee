import { type ResizedAxis, resizePlan } from "../../graph/ops/resize.ts";
import { rowStrides, sizeOf } from "../../tensor/shape.ts";
import type { LowerContext, Lowering, View } from "../lowering.ts";
import { copyView } from "./movement.ts";
import { opContext } from "./movement-context.ts";
import { eight, loopsOf, rankSpec, wrapped } from "./movement-loops.ts";

const workgroup = 64;
/** Axes that one pass of the kernel resamples. */
const perPass = 3;
/** First tap of an output outside the region of interest. */
const outside = 0xffffffff;

/** One pass of shaders/resize/taps.wgsl along at most three axes. */
function emitPass(
  context: LowerContext,
  axes: readonly ResizedAxis[],
  from: View,
  to: View,
  extrapolation: number,
): void {
  // Entry 0 serves the axes that are not there: one tap at position 0 with weight 1.
  const positions = [0];
  const weights = [1];
  const tables = axes.map((r) => {
    const start = positions.length;
    for (const [i, p] of r.positions.entries()) {
      positions.push(p < 0 ? outside : p);
      weights.push(r.weights[i]!);
    }
    return start;
  });
  const steps = from.strides.map((s, d) => (axes.some((r) => r.axis === d) ? 0 : s));
  const loops = loopsOf(to.shape, steps, to.strides);
  const rank = rankSpec(loops).RANK;
  const three = (value: (r: ResizedAxis, i: number) => number, fill: number): number[] => [
    ...axes.map(value),
    ...new Array<number>(4 - axes.length).fill(fill),
  ];
  const nearest = axes.every((r) => r.taps === 1);
  const count = sizeOf(to.shape);
  context.emit({
    kernel: "resize/taps",
    entry: nearest ? "main_nearest" : "main",
    spec: { RANK: rank },
    bindings: {
      [nearest ? "source_words" : "source"]: from.operand,
      [nearest ? "dest_words" : "dest"]: to.operand,
      positions: context.upload(`${context.node.name} positions`, Uint32Array.from(positions)),
      weights: context.upload(`${context.node.name} weights`, Float32Array.from(weights)),
    },
    params: {
      count,
      from_base: from.offset,
      to_base: to.offset,
      extrapolation,
      axis_loop: three((r) => to.shape.length - 1 - r.axis, 255),
      axis_table: three((_, i) => tables[i]!, 0),
      axis_taps: three((r) => r.taps, 1),
      axis_step: three((r) => from.strides[r.axis]!, 0),
      shape: eight(loops, (l) => l.size, 1),
      from_steps: eight(loops, (l) => wrapped(l.steps[0]!), 0),
      to_steps: eight(loops, (l) => wrapped(l.steps[1]!), 0),
    },
    groups: Math.ceil(count / workgroup),
  });
}

/** Resize: the host works out the taps, the kernel sums them; more than three axes take several passes. */
export const resizeLowering: Lowering = {
  ops: ["Resize"],
  layout: "any",
  lower(context) {
    const x = context.inputs[0]!;
    const y = context.outputs[0]!;
    const { axes, extrapolation } = resizePlan(opContext(context));
    if (sizeOf(y.shape) === 0) return;
    if (axes.length === 0) {
      copyView(context.emit, x, y);
      return;
    }
    let from = x;
    for (let first = 0; first < axes.length; first += perPass) {
      const pass = axes.slice(first, first + perPass);
      const last = first + perPass >= axes.length;
      const shape = from.shape.map((d, i) => pass.find((r) => r.axis === i)?.out ?? d);
      const to: View = last
        ? y
        : {
            operand: context.scratch(`${context.node.name} pass ${first}`, sizeOf(shape)),
            word: x.word,
            shape,
            strides: rowStrides(shape),
            offset: 0,
            rows: true,
          };
      emitPass(context, pass, from, to, extrapolation);
      from = to;
    }
  },
};
