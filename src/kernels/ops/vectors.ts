import { maxRank } from "../../tensor/shape.ts";
import type { View } from "../lowering.ts";
import { eight, type Loop, wrapped } from "./movement-loops.ts";

/** Sizes of the loops, innermost first, as a kernel's `shape: array<vec4<u32>, 2>`. */
export const sizes = (loops: readonly Loop[]): number[] => eight(loops, (l) => l.size, 1);

/** Steps of one of the views, innermost loop first, as a kernel's `array<vec4<u32>, 2>`. */
export const stepsOf = (loops: readonly Loop[], view: number): number[] =>
  eight(loops, (l) => wrapped(l.steps[view]!), 0);

/**
 * Steps of up to four views, innermost loop first, as a kernel's `steps: array<vec4<u32>, 8>`: one vector per loop, one
 * component per view.
 */
export function stepVectors(loops: readonly Loop[]): number[] {
  const out = new Array<number>(maxRank * 4).fill(0);
  for (const [d, loop] of [...loops].reverse().entries()) {
    for (const [v, step] of loop.steps.entries()) out[d * 4 + v] = wrapped(step);
  }
  return out;
}

const fourths = (n: number): boolean => n % 4 === 0;

/**
 * May four images be taken at once? Only where the batch is innermost and every other step comes in fours: that is the
 * columns layout, whose batch is rounded up to whole vec4s, so the last vec4 may run over its end. A view in rows has no
 * such padding, whatever its strides.
 */
export const imageQuads = (views: readonly View[]): boolean =>
  views.every(
    ({ shape, strides, offset, rows }) =>
      !rows &&
      shape.length >= 2 &&
      shape[0]! > 1 &&
      strides[0] === 1 &&
      fourths(offset) &&
      strides.slice(1).every(fourths),
  );
