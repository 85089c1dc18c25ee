import type { Effect } from "./latency.ts";

/** A share that a unit may have: what it costs in accuracy, and what it does to the layers' milliseconds. */
export interface ShareOption {
  readonly share: number;
  /** Expected loss of accuracy, in any unit that adds up over the layers; from 0, never falling with the share. */
  readonly damage: number;
  readonly effects: readonly Effect[];
}

/**
 * Which share for which unit? The damages of all units add up. Milliseconds are those of every layer, times the factors of all units
 * that touch it (a layer that loses a half of its filters and a half of its channels takes both factors), and the rest.
 */
export interface AllocationProblem {
  /** Milliseconds of each layer as it is. */
  readonly layers: readonly number[];
  /** Milliseconds that no share changes. */
  readonly rest: number;
  /** Options of each unit; that it keeps everything is always one more. */
  readonly units: readonly (readonly ShareOption[])[];
}

export interface AllocationResult {
  /** Per unit the index of its option, -1 where it keeps everything. */
  readonly chosen: readonly number[];
  readonly ms: number;
  readonly damage: number;
}

/** What a choice takes and costs. */
export function priceOf(problem: AllocationProblem, chosen: readonly number[]): AllocationResult {
  const layers = [...problem.layers];
  let damage = 0;
  for (const [u, k] of chosen.entries()) {
    if (k < 0) continue;
    const option = problem.units[u]![k]!;
    damage += option.damage;
    for (const { layer, factor } of option.effects) layers[layer]! *= factor;
  }
  return { chosen, ms: layers.reduce((sum, ms) => sum + ms, problem.rest), damage };
}

/**
 * The least damage at which the net takes no more than `most` milliseconds; undefined where no choice that was found is that fast.
 * Greedy by damage per millisecond over all options of all units, so that it follows the lower convex hull of each unit's
 * options, which is the solution for one price of a millisecond (Shoham and Gersho 1988, "Efficient bit allocation for an arbitrary
 * set of quantizers"); then, since the last step overshoots, single units and pairs of units change as long as that does less damage.
 */
export function allocate(problem: AllocationProblem, most: number): AllocationResult | undefined {
  const steps = descent(problem);
  const first = steps.find(({ ms }) => ms <= most);
  return first && refined(problem, first, most);
}

/** The choice that takes the fewest milliseconds, whatever it costs. */
export const fastest = (problem: AllocationProblem): AllocationResult =>
  descent(problem).reduce((a, b) => (b.ms < a.ms ? b : a));

/** The choices on the way from the whole net to the fastest, each the step that costs least damage per millisecond. */
export function descent(problem: AllocationProblem): AllocationResult[] {
  let current = priceOf(
    problem,
    problem.units.map(() => -1),
  );
  const path = [current];
  for (;;) {
    let best: AllocationResult | undefined;
    let price = Number.POSITIVE_INFINITY;
    for (const [u, options] of problem.units.entries()) {
      for (let k = current.chosen[u]! + 1; k < options.length; k++) {
        const next = priceOf(problem, withOption(current.chosen, u, k));
        const saved = current.ms - next.ms;
        if (saved <= 0) continue;
        const rate = (next.damage - current.damage) / saved;
        // Of equal prices the longer step: what is free is taken at once.
        if (rate < price || (rate === price && next.ms < best!.ms)) {
          price = rate;
          best = next;
        }
      }
    }
    if (!best) return path;
    current = best;
    path.push(current);
  }
}

/** Changes of one or two units that keep the limit and do less damage, the best of them first, until there is none. */
function refined(problem: AllocationProblem, start: AllocationResult, most: number): AllocationResult {
  let current = start;
  for (;;) {
    let best = current;
    const consider = (chosen: readonly number[]): void => {
      const next = priceOf(problem, chosen);
      if (next.ms > most) return;
      if (next.damage < best.damage || (next.damage === best.damage && next.ms < best.ms)) best = next;
    };
    for (const [u, options] of problem.units.entries()) {
      for (let k = -1; k < options.length; k++) {
        if (k === current.chosen[u]) continue;
        const one = withOption(current.chosen, u, k);
        consider(one);
        // Only a unit that gives damage back makes room for another to take some.
        if (k > current.chosen[u]!) continue;
        for (const [w, others] of problem.units.entries()) {
          if (w === u) continue;
          for (let l = current.chosen[w]! + 1; l < others.length; l++) consider(withOption(one, w, l));
        }
      }
    }
    if (best === current) return current;
    current = best;
  }
}

const withOption = (chosen: readonly number[], unit: number, option: number): number[] =>
  chosen.map((k, u) => (u === unit ? option : k));
