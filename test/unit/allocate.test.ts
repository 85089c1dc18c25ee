import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  type AllocationProblem,
  type AllocationResult,
  allocate,
  descent,
  fastest,
  priceOf,
} from "../../src/sensitivity/solve.ts";
import { seeded } from "../../src/tensor/random.ts";

const test = suite("latency-aware allocation");

const option = (share: number, damage: number, ...factors: readonly (readonly [number, number])[]) => ({
  share,
  damage,
  effects: factors.map(([layer, factor]) => ({ layer, factor })),
});

/** Every choice there is. */
function* choices(problem: AllocationProblem, from = 0): Generator<number[]> {
  if (from === problem.units.length) return yield [];
  for (let k = -1; k < problem.units[from]!.length; k++)
    for (const rest of choices(problem, from + 1)) yield [k, ...rest];
}

function bruteForce(problem: AllocationProblem, most: number): AllocationResult | undefined {
  let best: AllocationResult | undefined;
  for (const chosen of choices(problem)) {
    const price = priceOf(problem, chosen);
    if (price.ms <= most && (!best || price.damage < best.damage)) best = price;
  }
  return best;
}

test("milliseconds are products per layer and damages sums", () => {
  const problem: AllocationProblem = {
    layers: [10, 20],
    rest: 5,
    units: [[option(0.5, 1, [0, 0.5], [1, 0.8])], [option(0.3, 2, [1, 0.5]), option(0.9, 7, [1, 0.1])]],
  };
  assert.equal(priceOf(problem, [-1, -1]), { chosen: [-1, -1], ms: 35, damage: 0 });
  // 10 · 0.5 + 20 · 0.8 · 0.5 + 5
  assert.equal(priceOf(problem, [0, 0]), { chosen: [0, 0], ms: 18, damage: 3 });
});

test("the cheapest milliseconds go first, and what overshoots is given back", () => {
  // a saves 4 ms for 1, 8 ms for 3.9; b saves 6 ms for 3; c saves 1 ms for 0.5.
  const problem: AllocationProblem = {
    layers: [10, 10, 10],
    rest: 0,
    units: [
      [option(0.5, 1, [0, 0.6]), option(0.9, 3.9, [0, 0.2])],
      [option(0.5, 3, [1, 0.4])],
      [option(0.5, 0.5, [2, 0.9])],
    ],
  };
  assert.equal(allocate(problem, 30)!.chosen, [-1, -1, -1]);
  assert.equal(allocate(problem, 26)!.chosen, [0, -1, -1]);
  assert.equal(allocate(problem, 25)!.chosen, [0, -1, 0]);
  // a alone saves 8 for 3.9; a and b would cost 4.
  assert.equal(allocate(problem, 22)!.chosen, [1, -1, -1]);
  assert.equal(allocate(problem, 24)!.chosen, [-1, 0, -1]);
  assert.is(fastest(problem).ms, 15);
  assert.equal(allocate(problem, 15)!.chosen, [1, 0, 0]);
  assert.is(allocate(problem, 14.9), undefined);
});

test("what costs nothing is taken before anything else, what saves nothing never", () => {
  const problem: AllocationProblem = {
    layers: [10, 10],
    rest: 0,
    units: [
      [option(0.5, 0, [0, 0.9]), option(0.7, 0, [0, 0.5])],
      [option(0.5, 0, [1, 1.2]), option(0.9, 1, [1, 0.5])],
    ],
  };
  assert.equal(allocate(problem, 15)!.chosen, [1, -1]);
  assert.equal(
    descent(problem).map((step) => step.chosen),
    [
      [-1, -1],
      [1, -1],
      [1, 1],
    ],
  );
});

/** Units with a layer each, falling milliseconds and rising damage; with `coupled`, each also slows or speeds its neighbour's. */
function drawn(seed: number, units: number, options: number, coupled: boolean): AllocationProblem {
  const random = seeded(seed);
  for (let warm = 0; warm < 8; warm++) random.uniform();
  const layers = Array.from({ length: units }, () => 1 + 9 * random.uniform());
  return {
    layers,
    rest: random.uniform() * 3,
    units: layers.map((_, u) => {
      let [factor, next, damage] = [1, 1, 0];
      return Array.from({ length: options }, (_, k) => {
        factor *= 0.5 + 0.5 * random.uniform();
        next *= 0.7 + 0.3 * random.uniform();
        damage += random.uniform() ** 3;
        const own = [u, factor] as const;
        return option((k + 1) / 6, damage, own, ...(coupled ? [[(u + 1) % units, next] as const] : []));
      });
    }),
  };
}

for (const coupled of [false, true]) {
  test(`against brute force, layers ${coupled ? "touched by two units" : "of their own"}`, () => {
    let [exact, all] = [0, 0];
    for (let seed = 1; seed <= 30; seed++) {
      const problem = drawn(seed, 5, 3, coupled);
      const dense = priceOf(problem, [-1, -1, -1, -1, -1]).ms;
      const least = fastest(problem).ms;
      const best = bruteForce(problem, Number.POSITIVE_INFINITY)!;
      assert.is(best.damage, 0);
      for (const part of [0, 0.25, 0.5, 0.75]) {
        const most = least + part * (dense - least);
        const wanted = bruteForce(problem, most)!;
        const found = allocate(problem, most)!;
        assert.ok(found.ms <= most, `${found.ms} of ${most}`);
        assert.ok(found.damage >= wanted.damage - 1e-12);
        all++;
        if (found.damage <= wanted.damage + 1e-12) exact++;
        // What the last step of the descent overshoots bounds what can be lost, whatever the curves.
        const steps = descent(problem);
        const last = steps.findIndex(({ ms }) => ms <= most);
        const overshoot = steps[last]!.damage - steps[last - 1]!.damage;
        if (!coupled) assert.ok(found.damage - wanted.damage <= overshoot, `seed ${seed} at ${part}`);
      }
      assert.is(bruteForce(problem, least * (1 - 1e-9)), undefined, "nothing is faster than the fastest");
      assert.is(allocate(problem, least * (1 - 1e-9)), undefined);
    }
    assert.ok(exact >= 0.9 * all, `the least damage in ${exact} of ${all} cases`);
  });
}

test.run();
