import type { Dispatch, View, Word } from "../lowering.ts";
import { eight, loopsOf, rankSpec, simplifyLoops, visits, wrapped } from "./movement-loops.ts";

/** The bits that hold a number as a device word; fractions of integer words are cut. */
export function wordBits(value: number, word: Word): number {
  if (word !== "f32") return Math.trunc(value) >>> 0;
  return new Uint32Array(Float32Array.of(value).buffer)[0]!;
}

/** Writes one number to every element of a view, and to nothing between them. */
export function fillView(emit: (dispatch: Dispatch) => void, to: View, value: number): void {
  const loops = simplifyLoops(loopsOf(to.shape, to.strides));
  const count = visits(loops);
  if (count === 0) return;
  emit({
    kernel: "layout/fill",
    spec: rankSpec(loops),
    bindings: { dest: to.operand },
    params: {
      count,
      base: to.offset,
      value: wordBits(value, to.word),
      shape: eight(loops, (l) => l.size, 1),
      steps: eight(loops, (l) => wrapped(l.steps[0]!), 0),
    },
    groups: Math.ceil(count / 64),
  });
}
