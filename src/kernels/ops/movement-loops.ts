import { internal } from "../../errors.ts";
import { maxRank, type Shape } from "../../tensor/shape.ts";

/** One loop of a strided kernel: how often it runs and, per view, the words from one round to the next. */
export interface Loop {
  readonly size: number;
  /** One entry per view; the last view is the one written. */
  readonly steps: readonly number[];
}

/** One loop per dimension, outermost first. */
export const loopsOf = (shape: Shape, ...strides: (readonly number[])[]): Loop[] =>
  shape.map((size, d) => ({ size, steps: strides.map((s) => s[d]!) }));

/**
 * The same visits with fewer loops: those of size 1 go, the rest are sorted so that the innermost (last) loop takes the
 * shortest steps in the view written, and neighbours that run through memory as one loop would are merged. Loops that are
 * not `plain` are kept as they are.
 */
export function simplifyLoops<L extends Loop>(
  loops: readonly L[],
  plain: (loop: L) => boolean = () => true,
): L[] {
  const written = (loop: Loop): number => Math.abs(loop.steps.at(-1)!);
  const sorted = loops.filter((l) => l.size !== 1 || !plain(l)).sort((a, b) => written(b) - written(a));
  const out: L[] = [];
  for (const inner of sorted) {
    const outer = out.at(-1);
    const joins = outer?.steps.every((step, v) => step === inner.steps[v]! * inner.size);
    if (outer && joins && plain(outer) && plain(inner)) {
      out[out.length - 1] = { ...inner, size: outer.size * inner.size };
    } else {
      out.push(inner);
    }
  }
  return out;
}

export const visits = (loops: readonly Loop[]): number => loops.reduce((n, l) => n * l.size, 1);

/** A count as the u32 a kernel sees; negative steps wrap, and so do the kernel's sums. */
export const wrapped = (n: number): number => n >>> 0;

/** A value per loop, innermost first, as the eight entries of a kernel's `array<vec4, 2>`. */
export function eight<L>(loops: readonly L[], value: (loop: L) => number, fill: number): number[] {
  if (loops.length > maxRank) internal(`${loops.length} loops; kernels take ${maxRank}`);
  const out = new Array<number>(maxRank).fill(fill);
  for (const [d, loop] of [...loops].reverse().entries()) out[d] = value(loop);
  return out;
}

/** The RANK a kernel is specialised for: at least one loop, if only of size 1. */
export const rankSpec = (loops: readonly unknown[], least = 1): { readonly RANK: number } => ({
  RANK: Math.max(least, loops.length),
});
