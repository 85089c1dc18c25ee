import type { Operand } from "../kernels/lowering.ts";
import type { Lowered } from "./lower.ts";

/** A buffer of the arena: its size in words, and whether it must be zeroed before use because it carries a halo. */
export interface Slot {
  words: number;
  readonly halo: string | undefined;
}

/** Which slot each value and scratch buffer uses. Values that are never alive together share slots. */
export interface MemoryPlan {
  readonly slots: readonly Slot[];
  /** By "value KEY" or "scratch ID". */
  readonly slotOf: ReadonlyMap<string, number>;
}

export const operandKey = (o: Operand): string =>
  o.kind === "value" ? `value ${o.name}` : `${o.kind} ${o.id}`;

/**
 * Linear-scan assignment over the dispatch order. Each slot is a buffer of its own, because a dispatch may not read and
 * write one buffer, even in disjoint ranges. A slot with a halo is shared only by values of the same geometry: every one
 * of them leaves the zeros alone.
 */
export function planMemory(lowered: Lowered): MemoryPlan {
  const { first, last } = lifetimes(lowered);
  const slots: Slot[] = [];
  const slotOf = new Map<string, number>();
  const free: number[] = [];
  const ending = new Map<number, string[]>();
  for (const [key, at] of last) {
    const list = ending.get(at);
    if (list) list.push(key);
    else ending.set(at, [key]);
  }
  const starting = [...first].sort((a, b) => a[1] - b[1]);
  let next = 0;
  for (let i = -1; i <= lowered.dispatches.length; i++) {
    for (; next < starting.length && starting[next]![1] === i; next++) {
      const key = starting[next]![0];
      slotOf.set(key, take(key));
    }
    for (const key of ending.get(i) ?? []) free.push(slotOf.get(key)!);
  }
  return { slots, slotOf };

  function take(key: string): number {
    const { words, halo } = need(key);
    let best = -1;
    for (const [position, slot] of free.entries()) {
      if (slots[slot]!.halo !== halo) continue;
      if (best < 0 || closer(slots[slot]!.words, slots[free[best]!]!.words, words)) best = position;
    }
    if (best >= 0) {
      const [slot] = free.splice(best, 1);
      slots[slot!]!.words = Math.max(slots[slot!]!.words, words);
      return slot!;
    }
    slots.push({ words, halo });
    return slots.length - 1;
  }

  function need(key: string): { words: number; halo: string | undefined } {
    if (key.startsWith("value ")) {
      const value = lowered.values.get(key.slice(6))!;
      return { words: value.words, halo: value.halo };
    }
    return { words: lowered.scratches[Number(key.slice(8))]!.words, halo: undefined };
  }
}

/** Is size `a` a better fit for `need` words than `b`: the smallest that is large enough, else the largest? */
const closer = (a: number, b: number, need: number): boolean =>
  a >= need ? b < need || a < b : b < need && a > b;

function lifetimes(lowered: Lowered): { first: Map<string, number>; last: Map<string, number> } {
  const first = new Map<string, number>();
  const last = new Map<string, number>();
  for (const [i, { dispatch }] of lowered.dispatches.entries()) {
    for (const operand of Object.values(dispatch.bindings)) {
      if (operand.kind === "constant") continue;
      const key = operandKey(operand);
      if (!first.has(key)) first.set(key, i);
      last.set(key, i);
    }
  }
  // Inputs and variables are written from outside before the first dispatch and keep their buffers; so do outputs.
  const end = lowered.dispatches.length;
  for (const key of lowered.inputs.values()) {
    first.set(`value ${key}`, -1);
    last.set(`value ${key}`, end);
  }
  for (const key of lowered.outputs.values()) {
    if (!first.has(`value ${key}`)) first.set(`value ${key}`, -1);
    last.set(`value ${key}`, end);
  }
  return { first, last };
}
