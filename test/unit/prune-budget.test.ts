import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  chooseUnits,
  keptFilters,
  removedUnits,
  roundFilters,
  type UnitPool,
} from "../../src/prune/budget.ts";
import { nthSmallest } from "../../src/prune/nth-smallest.ts";
import { seeded } from "../../src/tensor/random.ts";

const test = suite("prune budget");
const pool = (scores: number[], states: number[] = []): UnitPool => ({
  layer: "l",
  scores: Float64Array.from(scores),
  states: Uint8Array.from(scores, (_, i) => states[i] ?? 0),
});
const flags = (pools: UnitPool[], target: number): number[][] =>
  chooseUnits(pools, target).map((f) => [...f]);

test("the published rounding rules, traps included", () => {
  assert.is(keptFilters(320, 0.9), 31);
  assert.is(keptFilters(320, 0.8), 63);
  assert.is(keptFilters(16, 0.4), 9);
  assert.is(keptFilters(16, 0.4, "removed"), 10);
  assert.is(keptFilters(64, 0.21), 50);
  assert.is(keptFilters(512, 0.78), 112);
});

test("at least one filter stays, and nothing is pruned at rate 0", () => {
  assert.is(keptFilters(3, 0.99), 1);
  assert.is(keptFilters(1, 0.5), 1);
  assert.is(keptFilters(7, 0), 7);
});

test("roundTo gives multiples that are never above the original", () => {
  assert.is(keptFilters(64, 0.3, "kept", 8), 48);
  assert.is(keptFilters(30, 0.01, "kept", 8), 24);
  assert.is(keptFilters(64, 0.99, "kept", 8), 8);
  assert.is(keptFilters(6, 0.5, "kept", 8), 6);
  assert.is(roundFilters(64, 36, 8), 40);
  for (let n = 8; n < 80; n++) {
    for (const s of [0.05, 0.3, 0.5, 0.77, 0.95]) {
      const kept = keptFilters(n, s, "kept", 8);
      assert.ok(kept % 8 === 0 && kept <= n && kept >= 8, `${n} at ${s} keeps ${kept}`);
    }
  }
});

test("counts are within half a unit of the share", () => {
  for (const n of [1, 7, 100, 430_500]) {
    for (const s of [0, 0.29, 0.5, 0.7, 0.9, 0.99])
      assert.ok(Math.abs(removedUnits(n, s) - n * s) <= 0.5 + 1e-9);
  }
  assert.is(removedUnits(100, 0.29), 29);
});

test("lowest scores go, over all pools, exactly as many as asked", () => {
  assert.equal(flags([pool([5, 1, 3]), pool([2, 4])], 3), [
    [0, 1, 1],
    [1, 0],
  ]);
  assert.equal(flags([pool([5, 1, 3])], 0), [[0, 0, 0]]);
  assert.equal(flags([pool([5, 1, 3])], 3), [[1, 1, 1]]);
});

test("ties go by pool and index", () => {
  assert.equal(flags([pool([1, 1, 1]), pool([1, 1])], 4), [
    [1, 1, 1],
    [1, 0],
  ]);
  assert.equal(flags([pool([2, 1, 2, 1, 2])], 3), [[1, 1, 0, 1, 0]]);
});

test("masked units stay removed, zeros come next, whatever their scores", () => {
  assert.equal(flags([pool([9, 0.1, 8, 0.2], [2, 0, 1, 0])], 2), [[1, 0, 1, 0]]);
  assert.equal(flags([pool([9, 8, 7], [2, 2, 0])], 1), [[1, 1, 0]]);
  assert.equal(flags([pool([0, 0, 1], [1, 1, 0])], 1), [[1, 0, 0]]);
});

test("radix selection agrees with sorting, signs, zeros, infinities and ties included", () => {
  const random = seeded(4);
  for (let round = 0; round < 50; round++) {
    const values = Float64Array.from({ length: 1 + random.below(60) }, () => {
      const kind = random.below(6);
      if (kind === 0) return random.below(2) === 0 ? 0 : -0;
      if (kind === 1) return random.below(3) - 1;
      if (kind === 2) return random.below(2) === 0 ? Number.NEGATIVE_INFINITY : -Number.MAX_VALUE;
      return random.normal() * 10 ** (random.below(40) - 20);
    });
    const sorted = [...values].sort((a, b) => a - b);
    for (const [i, value] of sorted.entries()) {
      const found = nthSmallest(values, i);
      assert.ok(found.value === value, `${found.value} is not ${value}`);
      assert.is(found.ties, sorted.slice(0, i + 1).filter((v) => v === value).length);
    }
  }
});

test("a score that is not a number is refused", () => {
  assert.throws(
    () => chooseUnits([pool([1, Number.NaN])], 1),
    (e: { code: string }) => e.code === "E_PRUNE",
  );
});

test.run();
