import type { View } from "../lowering.ts";
import { type Loop, simplifyLoops } from "./movement-loops.ts";

const fourths = (n: number): boolean => n % 4 === 0;

/**
 * The loops of an element-wise kernel counted in vec4s, simplified, or undefined where its operands do not lie that way:
 * the innermost loop must be contiguous in every view, and everything else come in fours. `counted` names the steps that are
 * of such views, all unless said; the others (a channel's number, a broadcast operand read word by word) must stand still
 * along the innermost loop. `images`: the batch is innermost and rounded up to vec4s in memory, so a loop over it may be too.
 */
export function quadLoops(
  loops: readonly Loop[],
  views: readonly View[],
  counted?: readonly number[],
  images = false,
): Loop[] | undefined {
  if (views.some((v) => !fourths(v.offset))) return undefined;
  const rounded = images
    ? loops.map((l, d) => (d === 0 ? { ...l, size: Math.ceil(l.size / 4) * 4 } : l))
    : loops;
  const simple = simplifyLoops(rounded);
  const inner = simple.at(-1);
  const isCounted = (v: number): boolean => counted?.includes(v) ?? true;
  if (!inner || !fourths(inner.size) || !inner.steps.every((s, v) => s === (isCounted(v) ? 1 : 0)))
    return undefined;
  const outer = simple.slice(0, -1);
  if (!outer.every((l) => l.steps.every((s, v) => !isCounted(v) || fourths(s)))) return undefined;
  return [
    ...outer.map((l) => ({ size: l.size, steps: l.steps.map((s, v) => (isCounted(v) ? s / 4 : s)) })),
    { size: inner.size / 4, steps: inner.steps },
  ];
}
