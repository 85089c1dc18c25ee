import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { nmPattern } from "../../bench/kernels/patterns.ts";
import { nmDensity, packNm, packNmVector, patternOf } from "../../src/kernels/columns/nm.ts";
import type { Packed, WeightMatrix } from "../../src/kernels/columns/pack.ts";
import type { ColumnsProblem } from "../../src/kernels/columns/problem.ts";
import { seeded } from "../../src/tensor/random.ts";

const test = suite("N:M");

interface Case {
  readonly p: ColumnsProblem;
  readonly w: WeightMatrix;
  readonly n: number;
  readonly m: number;
  readonly r: number;
}

function made(
  groups: number,
  perGroup: number,
  k: number,
  n: number,
  m: number,
  r: number,
  seed: number,
): Case {
  const random = seeded(seed);
  const values = new Float32Array(groups * perGroup * k);
  for (let group = 0; group < groups; group++) {
    const own = {
      rows: perGroup,
      k,
      values: Float32Array.from({ length: perGroup * k }, () => random.uniform() + 0.5),
    };
    values.set(nmPattern(own, { n, m, rows: r }, seed + group).values, group * perGroup * k);
  }
  const p = { groups, rowsPerGroup: perGroup, k } as ColumnsProblem;
  return { p, w: { rows: groups * perGroup, k, values }, n, m, r };
}

const patterns = [
  [1, 4],
  [2, 4],
  [1, 8],
  [3, 8],
  [1, 16],
  [5, 16],
  [8, 16],
] as const;

const cases = (mostGroups: number, rows: readonly number[]): fc.Arbitrary<Case> =>
  fc
    .tuple(
      fc.integer({ min: 1, max: mostGroups }),
      fc.integer({ min: 1, max: 21 }),
      fc.integer({ min: 16, max: 70 }),
      fc.constantFrom(...patterns),
      fc.constantFrom(...rows),
      fc.integer({ min: 1, max: 1000 }),
    )
    .map(([groups, perGroup, k, [n, m], r, seed]) => made(groups, perGroup, k, n, m, r, seed));

const evenly = (k: number): Uint32Array => Uint32Array.from({ length: k }, (_, i) => 7 * i);

/** Entry e of a block: the column that its position says. */
function columnOf(packed: Packed, e: number, word: (at: number) => number): number {
  const { N, M, BITS } = packed.launch!.spec as { N: number; M: number; BITS: number };
  const each = Math.floor(32 / (N * BITS)) * N;
  const field = (word(Math.floor(e / each)) >>> ((e % each) * BITS)) & ((1 << BITS) - 1);
  return Math.floor(e / N) * M + field;
}

/** Puts a weight where it belongs; those that fill up must be zero. */
function put(values: Float32Array, { p, w }: Case, row: number, column: number, value: number): void {
  if (value === 0) return;
  assert.ok(row < w.rows && column < p.k, `row ${row}, column ${column}`);
  values[row * p.k + column] = value;
}

test("blocks come back from their positions and weights", () => {
  fc.assert(
    fc.property(cases(3, [1, 4, 8]), (c) => {
      const { p, w, r } = c;
      const packed = packNm(p, w, r, evenly(p.k));
      const { positions, weights } = packed.arrays as { positions: Uint32Array; weights: Float32Array };
      const perGroup = Math.ceil(p.rowsPerGroup / r);
      const blocks = perGroup * p.groups;
      const entries = weights.length / blocks / r;
      const values = new Float32Array(w.values.length);
      for (let b = 0; b < blocks; b++) {
        const words = positions.length / blocks;
        const first = Math.floor(b / perGroup) * p.rowsPerGroup + (b % perGroup) * r;
        for (let e = 0; e < entries; e++) {
          const column = columnOf(packed, e, (at) => positions[b * words + at]!);
          for (let i = 0; i < r; i++) put(values, c, first + i, column, weights[(b * entries + e) * r + i]!);
        }
      }
      assert.equal(values, w.values);
      assert.is(packed.bytes, positions.byteLength + weights.byteLength, "even taps need no table");
      assert.is(packed.density, (entries * r * blocks) / (w.rows * w.k));
    }),
  );
});

test("blocks side by side, as a single column reads them, come back too", () => {
  fc.assert(
    fc.property(cases(1, [1, 4, 8]), (c) => {
      const { p, w, r } = c;
      const packed = packNmVector(p, w, r, evenly(p.k));
      const { positions, weights } = packed.arrays as { positions: Uint32Array; weights: Float32Array };
      const blocks = Math.ceil(w.rows / r);
      const per = Math.min(4, r);
      const values = new Float32Array(w.values.length);
      for (let b = 0; b < blocks; b++) {
        for (let e = 0; e < weights.length / blocks / r; e++) {
          const column = columnOf(packed, e, (at) => positions[at * blocks + b]!);
          for (let i = 0; i < r; i++) {
            const load = e * (r / per) + Math.floor(i / per);
            put(values, c, b * r + i, column, weights[(load * blocks + b) * per + (i % per)]!);
          }
        }
      }
      assert.equal(values, w.values);
    }),
  );
});

test("the pattern found stores no more than the mask's own", () => {
  fc.assert(
    fc.property(cases(2, [1, 4, 8]), ({ p, w, n, m, r }) => {
      const found = patternOf(p, w, r)!;
      assert.ok(found.n / found.m <= n / m);
      // Rows that share a pattern have it alone too.
      assert.ok(patternOf(p, w, 1)!.n / patternOf(p, w, 1)!.m <= n / m);
    }),
  );
});

test("what is not N:M has no pattern, and 2:4 of 64 x 64 is 8 KiB and 512 bytes of positions", () => {
  const full = { rows: 2, k: 8, values: new Float32Array(16).fill(1) };
  const p = { groups: 1, rowsPerGroup: 2, k: 8 } as ColumnsProblem;
  assert.is(patternOf(p, full, 1), undefined);
  assert.is(nmDensity(p, full, 1), 1);
  const half = made(1, 64, 64, 2, 4, 1, 1);
  assert.equal(patternOf(half.p, half.w, 1), { n: 2, m: 4 });
  assert.is(nmDensity(half.p, half.w, 1), 0.5);
  assert.is(packNm(half.p, half.w, 1, evenly(64)).bytes, 8192 + 512);
  const uneven = Uint32Array.from({ length: 64 }, (_, k) => k * k);
  assert.is(packNm(half.p, half.w, 1, uneven).bytes, 8192 + 512 + 256);
  assert.is(patternOf(half.p, half.w, 8), undefined, "eight rows together keep nearly every column");
});

test.run();
