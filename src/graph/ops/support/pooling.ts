import { sizeOf } from "../../../tensor/shape.ts";
import type { OpContext, TensorType } from "../../op.ts";
import { operandOf, typed } from "./operands.ts";
import { type Axis, tapsOfOutput, threeAxes } from "./taps.ts";
import { type PoolGeometry, poolGeometry } from "./window.ts";

/** Output type of a pooling op over a float input. */
export function pooledType(c: OpContext): TensorType {
  const { dtype } = operandOf(c, 0, "float");
  const g = poolGeometry(c);
  return typed(c, dtype, [g.batch, g.channels, ...g.outSpatial]);
}

/** The taps of one window that read data: first and one-after-last per axis. */
export interface Taps {
  readonly first: [number, number, number];
  readonly last: [number, number, number];
}

/**
 * Visits every window in the order of the outputs: index of the output, where its channel starts in the input, its
 * coordinates and its taps. The visitor must not keep them.
 */
export function forEachWindow(
  g: PoolGeometry,
  visit: (at: number, from: number, o: readonly [number, number, number], taps: Taps) => void,
): readonly [Axis, Axis, Axis] {
  const axes = threeAxes(g);
  const inSize = axes[0].size * axes[1].size * axes[2].size;
  const o: [number, number, number] = [0, 0, 0];
  const taps: Taps = { first: [0, 0, 0], last: [0, 0, 0] };
  const place = (axis: 0 | 1 | 2, value: number): void => {
    o[axis] = value;
    [taps.first[axis], taps.last[axis]] = tapsOfOutput(axes[axis], value) as [number, number];
  };
  let at = 0;
  for (let row = 0; row < g.batch * g.channels; row++) {
    for (let d = 0; d < axes[0].out; d++) {
      place(0, d);
      for (let h = 0; h < axes[1].out; h++) {
        place(1, h);
        for (let w = 0; w < axes[2].out; w++) {
          place(2, w);
          visit(at++, row * inSize, o, taps);
        }
      }
    }
  }
  return axes;
}

/** Folds the data under every window into one number: `step` from `start` on, then `finish`. */
export function foldWindows(
  g: PoolGeometry,
  x: Float64Array,
  start: number,
  step: (sum: number, value: number) => number,
  finish: (sum: number, o: readonly [number, number, number], taps: Taps) => number,
): Float64Array {
  const [d, h, r] = threeAxes(g);
  const y = new Float64Array(g.batch * g.channels * sizeOf(g.outSpatial));
  forEachWindow(g, (at, from, o, taps) => {
    let sum = start;
    for (let kd = taps.first[0]; kd < taps.last[0]; kd++) {
      const plane = (o[0] * d.stride - d.begin + kd * d.dilation) * h.size;
      for (let kh = taps.first[1]; kh < taps.last[1]; kh++) {
        const row =
          from + (plane + o[1] * h.stride - h.begin + kh * h.dilation) * r.size + o[2] * r.stride - r.begin;
        for (let kr = taps.first[2]; kr < taps.last[2]; kr++) sum = step(sum, x[row + kr * r.dilation]!);
      }
    }
    y[at] = finish(sum, o, taps);
  });
  return y;
}
