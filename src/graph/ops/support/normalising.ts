import type { HostTensor } from "../../../tensor/host-tensor.ts";
import {
  broadcastShapes,
  broadcastStrides,
  rowStrides,
  type Shape,
  sameShape,
  showShape,
  sizeOf,
} from "../../../tensor/shape.ts";
import type { OpContext } from "../../op.ts";
import { doubles } from "./doubles.ts";
import { refuse } from "./operands.ts";
import { forEachOffset } from "./strided.ts";

/** Mean and mean square deviation of a group of elements. */
export interface Moments {
  readonly mean: number;
  readonly variance: number;
  readonly meanSquare: number;
}

/**
 * Visits the groups of `x` that share their index along every axis outside `inner`: the moments of each and the offsets of
 * its elements. Groups come in row-major order of the outer axes.
 */
export function forEachGroup(
  x: HostTensor,
  inner: readonly number[],
  visit: (group: number, moments: Moments, offsets: readonly number[]) => void,
): void {
  const strides = rowStrides(x.shape);
  const data = doubles(x);
  const pick = (list: readonly number[], wanted: boolean): number[] =>
    list.filter((_, i) => inner.includes(i) === wanted);
  const within: number[] = [];
  forEachOffset(pick(x.shape, true), [0], [pick(strides, true)], (_, [o]) => within.push(o!));
  forEachOffset(pick(x.shape, false), [0], [pick(strides, false)], (group, [start]) => {
    let sum = 0;
    let squares = 0;
    for (const o of within) {
      sum += data[start! + o]!;
      squares += data[start! + o]! ** 2;
    }
    const mean = sum / within.length;
    let deviation = 0;
    for (const o of within) deviation += (data[start! + o]! - mean) ** 2;
    visit(
      group,
      { mean, variance: deviation / within.length, meanSquare: squares / within.length },
      within.map((o) => start! + o),
    );
  });
}

/** E_SHAPE unless operand `i` broadcasts to `shape` without stretching it. */
export function checkBroadcast(c: OpContext, i: number, shape: Shape, what: string): void {
  const own = c.inputs[i]?.shape;
  if (own && (own.length > shape.length || !sameShape(broadcastShapes(own, shape), shape))) {
    refuse(
      c,
      "E_SHAPE",
      `${what} has shape ${showShape(own)}, which does not broadcast to ${showShape(shape)}.`,
    );
  }
}

/** The operand's value at every element of `shape`, or `fallback` everywhere where it was left out. */
export function spread(t: HostTensor | undefined, shape: Shape, fallback: number): Float64Array {
  const out = new Float64Array(sizeOf(shape)).fill(fallback);
  if (!t) return out;
  const data = doubles(t);
  forEachOffset(shape, [0], [broadcastStrides(t.shape, rowStrides(t.shape), shape)], (i, [from]) => {
    out[i] = data[from!]!;
  });
  return out;
}
