import { Float16Array } from "@petamoriken/float16";
import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { graphBuilder } from "../../src/graph/builder.ts";
import { halfBits, halfScale, roundedToHalf } from "../../src/kernels/columns/half.ts";
import {
  halved,
  type Packed,
  packCsrSteps,
  packTransposed,
  type WeightMatrix,
} from "../../src/kernels/columns/pack.ts";
import type { ColumnsProblem } from "../../src/kernels/columns/problem.ts";
import { bestPerFormat } from "../../src/plan/choose.ts";
import { columnsPlaces } from "../../src/plan/columns-place.ts";
import { fieldOf } from "../../src/plan/contenders.ts";
import { atPrecision, type Precision } from "../../src/plan/half-weights.ts";
import { assignLayouts } from "../../src/plan/layouts.ts";
import { simplify } from "../../src/plan/simplify.ts";
import { tensor } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";

const test = suite("weights in half precision");

const matrix = (rows: number, values: Float32Array): WeightMatrix => ({
  rows,
  k: rows === 0 ? 0 : values.length / rows,
  values,
});

/** What a kernel makes of 16 bits. */
const decoded = (bits: number): number => new Float16Array(Uint16Array.of(bits).buffer)[0]!;

/** Zeros, and values of magnitudes from 2^-40 to 2^3. */
const values = (size: fc.ArrayConstraints): fc.Arbitrary<number[]> =>
  fc.array(
    fc.oneof(
      fc.constant(0),
      fc
        .tuple(fc.float({ min: -8, max: 8, noNaN: true }), fc.integer({ min: 0, max: 30 }))
        .map(([v, e]) => (Math.abs(v) < 2 ** -10 ? 0 : v * 2 ** -e)),
    ),
    size,
  );
const ordinary = values({ minLength: 1, maxLength: 40 });

test("rounded values lie within half a unit of the eleventh bit, or are lost far below the largest", () => {
  fc.assert(
    fc.property(ordinary, fc.integer({ min: -40, max: 40 }), (list, exponent) => {
      const values = Float32Array.from(list, (v) => v * 2 ** exponent);
      const largest = values.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
      const rounded = roundedToHalf(values);
      for (const [i, v] of values.entries()) {
        const error = Math.abs(rounded[i]! - v);
        assert.ok(error <= Math.max(2 ** -11 * Math.abs(v), 2 ** -26 * largest), `${v} became ${rounded[i]}`);
      }
      assert.equal(roundedToHalf(rounded), rounded, "what is rounded stays");
    }),
  );
});

test("rounding that lifts the largest value to the next power of two is done once", () => {
  // 2 - 2^-12 becomes 2, beside which 2^-27 is the least that stays: 2^-28 of it.
  const rounded = roundedToHalf(Float32Array.of(2 - 2 ** -12, 2 ** -27, 2 ** -28));
  assert.equal([...rounded], [2, 2 ** -27, 0]);
  assert.equal(roundedToHalf(rounded), rounded);
  assert.is(halfScale(matrix(1, rounded)), 2 ** 13);
});

test("every rounded value comes back from its 16 bits exactly, at any magnitude", () => {
  fc.assert(
    fc.property(ordinary, fc.integer({ min: -40, max: 40 }), (list, exponent) => {
      const rounded = roundedToHalf(Float32Array.from(list, (v) => v * 2 ** exponent));
      const scale = halfScale(matrix(1, rounded));
      if (rounded.every((v) => v === 0)) return;
      assert.ok(scale !== undefined);
      for (const v of rounded) assert.is(decoded(halfBits(v, scale)) / scale + 0, v + 0);
    }),
  );
});

test("what half precision cannot hold exactly has no scale", () => {
  for (const values of [
    [1, 1 + 2 ** -11],
    [1, 2 ** -30],
    [1, Number.NaN],
    [Number.POSITIVE_INFINITY, 1],
    [0, 0],
  ])
    assert.is(halfScale(matrix(1, Float32Array.from(values))), undefined, `${values}`);
  assert.is(halfScale(matrix(1, Float32Array.of(1, 1 + 2 ** -10, -(2 ** -28)))), 2 ** 14);
});

/** The matrix that CSR in 16-bit steps stands for. */
function unpacked(p: Packed, w: WeightMatrix, taps: Uint32Array, per: number): Float32Array {
  const { row_ptr: rowPtr, rows, entries, steps, weights } = p.arrays as Record<string, Uint32Array>;
  const values = new Float32Array(w.values.length);
  for (let place = 0; place < w.rows; place++) {
    let at = 0;
    for (let e = per * rowPtr![place]!; e < per * rowPtr![place + 1]!; e++) {
      const word = entries ? entries[e]! : (steps![e >> 1]! >>> (16 * (e & 1))) & 0xffff;
      at += entries ? word >>> 16 : word;
      const value = entries ? decoded(word & 0xffff) * p.scale! : (weights as unknown as Float32Array)[e]!;
      if (value === 0) continue;
      const k = taps.indexOf(at);
      assert.ok(k >= 0, `a step leads to ${at}, where no tap is`);
      values[rows![place]! * w.k + k] = value;
    }
  }
  return values;
}

/** Increasing offsets of which some lie further apart than 16 bits say. */
const farTaps = (k: number): fc.Arbitrary<Uint32Array> =>
  fc
    .array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 65_530, max: 200_000 })), {
      minLength: k,
      maxLength: k,
    })
    .map((gaps) => {
      let at = 0;
      return Uint32Array.from(gaps, (gap) => {
        at += gap;
        return at;
      });
    });

const problems = fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 8 })).chain(([rows, k]) =>
  fc.tuple(
    values({ minLength: rows * k, maxLength: rows * k }).map((v) =>
      matrix(rows, roundedToHalf(Float32Array.from(v))),
    ),
    farTaps(k),
    fc.boolean(),
    fc.constantFrom(1 as const, 2 as const),
  ),
);

test("CSR in 16-bit steps keeps every weight, in f32 and in half precision, whatever the distances", () => {
  fc.assert(
    fc.property(problems, ([w, ascending, backwards, per]) => {
      const taps = backwards ? ascending.slice().reverse() : ascending;
      const plain = packCsrSteps(w, taps, 2);
      assert.equal(
        unpacked(plain, w, taps, 2),
        w.values.map((v) => v + 0),
      );
      const scale = halfScale(w);
      if (scale === undefined) return;
      const half = packCsrSteps(w, taps, per, scale);
      assert.equal(
        unpacked(half, w, taps, per),
        w.values.map((v) => v + 0),
      );
      if (per === 2) assert.is(half.density, plain.density);
    }),
  );
});

test("an entry takes 6 bytes, or 4 in half precision, and rows are filled up where two are read at a time", () => {
  const w = matrix(2, Float32Array.of(1, 0, 2, 0, 0, 3, 0, 4));
  const taps = Uint32Array.of(0, 1, 2, 3);
  const pointers = 4 * 3 + 4 * 2;
  assert.is(packCsrSteps(w, taps, 2).bytes, pointers + 4 * 6);
  assert.is(packCsrSteps(w, taps, 2, halfScale(w)).bytes, pointers + 4 * 4);
  const odd = matrix(2, Float32Array.of(1, 0, 2, 4, 0, 3, 0, 0));
  assert.is(packCsrSteps(odd, taps, 2, halfScale(odd)).bytes, pointers + 4 * 6);
  assert.is(packCsrSteps(odd, taps, 1, halfScale(odd)).bytes, pointers + 4 * 4);
});

test("dense weights of a single column come back from two to a word", () => {
  fc.assert(
    fc.property(ordinary, fc.integer({ min: 1, max: 5 }), (list, rows) => {
      const k = list.length;
      const values = roundedToHalf(Float32Array.from({ length: rows * k }, (_, i) => list[i % k]! * (1 + i)));
      const w = matrix(rows, values);
      const scale = halfScale(w);
      if (scale === undefined) return;
      const problem = { taps: new Uint32Array(k), groups: 1, rowsPerGroup: rows } as ColumnsProblem;
      const packed = halved(packTransposed(problem, w, 4), scale);
      const words = packed.arrays["weights"] as Uint32Array;
      const each = Math.ceil(rows / 4) * 4;
      assert.is(words.length, (each * k) / 2);
      for (let i = 0; i < each * k; i++) {
        const [row, column] = [i % each, Math.floor(i / each)];
        const value = decoded((words[i >> 1]! >>> (16 * (i & 1))) & 0xffff) * packed.scale!;
        assert.is(value + 0, row < rows ? values[row * k + column]! + 0 : 0);
      }
    }),
  );
});

test("only weights that half precision holds are ever contenders in it", () => {
  const b = graphBuilder("layer");
  const random = seeded(4);
  const weight = Float32Array.from({ length: 32 * 64 }, () => (random.uniform() < 0.1 ? random.normal() : 0));
  const w = b.weight("w", tensor(weight, [32, 64, 1, 1]));
  b.output(b.node("Conv", [b.input("x", [8, 64, 5, 5]), w], {}, { name: "layer" }), [8, 32, 5, 5]);
  const graph = b.build();
  const formatsOf = (precision: Precision): string[] => {
    const shapes = new Map([["x", [8, 64, 5, 5]]]);
    const program = simplify(atPrecision(graph, precision), shapes, new Map(), new Set());
    const [place] = columnsPlaces(program, assignLayouts(program)).values();
    const kind = { software: true, maxInvocations: 256, subgroup: 8 };
    const field = fieldOf(place!, kind);
    const estimated = bestPerFormat(place!, kind);
    return [...new Set([...field.sparse, ...estimated].map((r) => r.variant.format))];
  };
  assert.not(formatsOf("f32").includes("csr-f16"));
  assert.ok(formatsOf("f16-weights").includes("csr-f16"));
});

test("a dense single column is offered half precision where that holds its weights", () => {
  const b = graphBuilder("layer");
  const random = seeded(4);
  const w = b.weight(
    "w",
    tensor(
      Float32Array.from({ length: 16 * 64 }, () => random.normal()),
      [16, 64],
    ),
  );
  b.output(b.node("Gemm", [b.input("x", [1, 64]), w], { transB: 1 }, { name: "layer" }), [1, 16]);
  const graph = b.build();
  const formatsOf = (precision: Precision): string[] => {
    const program = simplify(atPrecision(graph, precision), new Map([["x", [1, 64]]]), new Map(), new Set());
    const [place] = columnsPlaces(program, assignLayouts(program)).values();
    const kind = { software: true, maxInvocations: 256, subgroup: 8 };
    const field = fieldOf(place!, kind);
    return [...field.dense, ...field.sparse, ...bestPerFormat(place!, kind)].map((r) => r.variant.format);
  };
  assert.equal([...new Set(formatsOf("f32"))], ["dense"]);
  assert.equal([...new Set(formatsOf("f16-weights"))].sort(), ["dense", "dense-f16"]);
});

test.run();
