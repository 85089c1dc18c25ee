import type { Shape } from "../../tensor/shape.ts";
import { sizeOf } from "../../tensor/shape.ts";
import type { Dispatch, View } from "../lowering.ts";
import { copyLoops } from "./movement-copy.ts";
import { eight, type Loop, loopsOf, visits } from "./movement-loops.ts";

/**
 * A shape that splits the axes of both shapes into common parts, or undefined where there is none. [6, 4] and [2, 12] give
 * [2, 3, 4]; [2, 3] and [3, 2] give nothing. Neither shape is empty.
 */
export function commonParts(a: Shape, b: Shape): number[] | undefined {
  const parts: number[] = [];
  const left = [...a].filter((d) => d !== 1).reverse();
  const right = [...b].filter((d) => d !== 1).reverse();
  while (left.length > 0 && right.length > 0) {
    const [x, y] = [left.at(-1)!, right.at(-1)!];
    // Taken from the outside in: the smaller axis must be a whole outer part of the larger one.
    const part = Math.min(x, y);
    if (Math.max(x, y) % part !== 0) return undefined;
    parts.push(part);
    for (const [list, size] of [
      [left, x],
      [right, y],
    ] as const) {
      if (size === part) list.pop();
      else list[list.length - 1] = size / part;
    }
  }
  return parts;
}

/** Steps of a view along the parts that its axes are split into. */
export function partSteps(shape: Shape, strides: readonly number[], parts: readonly number[]): number[] {
  const steps: number[] = [];
  let at = 0;
  for (const [axis, size] of shape.entries()) {
    let rest = size;
    while (rest > 1) {
      rest /= parts[at++]!;
      steps.push(rest * strides[axis]!);
    }
  }
  return steps;
}

/** Copies the elements of `from`, in row-major order, into `to`, which has another shape of the same size. */
export function copyReshaped(emit: (dispatch: Dispatch) => void, from: View, to: View): void {
  if (sizeOf(to.shape) === 0) return;
  const ends = [
    { operand: from.operand, offset: from.offset },
    { operand: to.operand, offset: to.offset },
  ] as const;
  const parts = from.rows && to.rows ? undefined : commonParts(from.shape, to.shape);
  if (from.rows && to.rows) {
    copyLoops(emit, ...ends, [{ size: sizeOf(to.shape), steps: [1, 1] }]);
  } else if (parts) {
    const steps = [from, to].map((v) => partSteps(v.shape, v.strides, parts));
    copyLoops(emit, ...ends, loopsOf(parts, steps[0]!, steps[1]!));
  } else {
    emit(unrelated(from, to));
  }
}

function unrelated(from: View, to: View): Dispatch {
  const loops = (view: View): Loop[] => loopsOf(view.shape, view.strides);
  const size = (l: Loop): number => l.size;
  const step = (l: Loop): number => l.steps[0]!;
  const count = visits(loops(to));
  return {
    kernel: "layout/reshape",
    bindings: { source: from.operand, dest: to.operand },
    params: {
      count,
      from_base: from.offset,
      to_base: to.offset,
      from_rank: from.shape.length,
      to_rank: to.shape.length,
      from_shape: eight(loops(from), size, 1),
      from_steps: eight(loops(from), step, 0),
      to_shape: eight(loops(to), size, 1),
      to_steps: eight(loops(to), step, 0),
    },
    groups: Math.ceil(count / 64),
  };
}
