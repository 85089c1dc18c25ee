import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { nmPattern } from "../../bench/kernels/patterns.ts";
import { placeOf } from "../../bench/kernels/shapes.ts";
import { combineColumns } from "../../src/kernels/columns/combine.ts";
import { ellDensity, scheduleEll } from "../../src/kernels/columns/ell.ts";
import { scheduleNm } from "../../src/kernels/columns/nm.ts";
import type { WeightMatrix } from "../../src/kernels/columns/pack.ts";
import type { ColumnsProblem } from "../../src/kernels/columns/problem.ts";
import { cutFor, takesWeight } from "../../src/kernels/columns/realise.ts";
import { lanes, noPick, noRow, packSlices, type Schedule } from "../../src/kernels/columns/slices.ts";
import { variants } from "../../src/kernels/columns/variants.ts";
import { seeded } from "../../src/tensor/random.ts";

const test = suite("slices");

interface Case {
  readonly p: ColumnsProblem;
  readonly w: WeightMatrix;
}

const problem = (groups: number, rowsPerGroup: number, k: number): ColumnsProblem =>
  ({ groups, rowsPerGroup, k }) as ColumnsProblem;

function unstructured(groups: number, perGroup: number, k: number, density: number, seed: number): Case {
  const random = seeded(seed);
  const values = Float32Array.from({ length: groups * perGroup * k }, () =>
    random.uniform() < density ? random.uniform() + 0.5 : 0,
  );
  return { p: problem(groups, perGroup, k), w: { rows: groups * perGroup, k, values } };
}

const cases = fc
  .tuple(
    fc.integer({ min: 1, max: 3 }),
    fc.integer({ min: 1, max: 70 }),
    fc.integer({ min: 1, max: 90 }),
    fc.constantFrom(0, 0.02, 0.1, 0.3, 0.6, 1),
    fc.integer({ min: 1, max: 1000 }),
  )
  .map((all) => unstructured(...all));

const counts = fc.constantFrom(2, 4, 8);

/** W as a schedule has it; fails where a weight comes twice. */
function scheduled({ p, w }: Case, schedule: Schedule): Float32Array {
  const { rowsPerGroup, steps, loads, starts, rows, columns, picks } = schedule;
  const values = new Float32Array(w.values.length);
  const perConvGroup = (starts.length - 1) / p.groups;
  for (let group = 0; group + 1 < starts.length; group++) {
    for (let place = 0; place < rowsPerGroup; place++) {
      const row = rows[group * rowsPerGroup + place]!;
      for (let chunk = starts[group]!; chunk < starts[group + 1]!; chunk++) {
        const at = (chunk * rowsPerGroup + place) * steps;
        for (const [step, pick] of picks.subarray(at, at + steps).entries()) {
          if (pick === noPick) continue;
          // Of two loads each has its own steps.
          assert.is(Math.floor(pick / lanes), Math.floor((step * loads) / steps));
          assert.is(Math.floor(row / p.rowsPerGroup), Math.floor(group / perConvGroup));
          const to = row * w.k + columns[chunk * loads * lanes + pick]!;
          assert.is(values[to], 0);
          values[to] = w.values[to]!;
        }
      }
    }
  }
  return values;
}

test("combined columns hold every weight once, in any number of slices", () => {
  fc.assert(
    fc.property(cases, counts, (c, slices) => {
      const schedule = scheduleEll(c.p, c.w, slices);
      assert.equal(scheduled(c, schedule), c.w.values);
      assert.ok(schedule.columns.every((k) => k < c.w.k));
      const real = [...schedule.rows].filter((row) => row !== noRow);
      assert.equal(
        real.sort((a, b) => a - b),
        Array.from({ length: c.w.rows }, (_, i) => i),
      );
    }),
    { numRuns: 60 },
  );
});

test("no row takes more of a load than there are steps, nor a load more columns than lanes", () => {
  fc.assert(
    fc.property(cases, fc.constantFrom(1, 2, 3, 4), ({ w }, steps) => {
      const low = new Uint32Array(w.k);
      const rows = Math.min(32, w.rows);
      for (let row = 0; row < rows; row++)
        for (let k = 0; k < w.k; k++) if (w.values[row * w.k + k] !== 0) low[k]! |= 1 << row;
      for (const chunk of combineColumns({ low, high: new Uint32Array(w.k) }, steps)) {
        assert.ok(chunk.columns.length >= 1 && chunk.columns.length <= lanes);
        for (let row = 0; row < 32; row++) {
          const taken = chunk.low.reduce((sum, bits) => sum + ((bits >>> row) & 1), 0);
          assert.ok(taken <= steps);
        }
        assert.ok(chunk.low.every((bits) => bits !== 0));
        assert.ok(chunk.high.every((bits) => bits === 0));
      }
    }),
    { numRuns: 60 },
  );
});

test("combining fills steps that columns in their order leave empty", () => {
  const { p, w } = unstructured(1, 64, 576, 0.1, 1);
  const { starts, steps } = scheduleEll(p, w, 8);
  // In order, the fullest row of each chunk says how many steps all take.
  let inOrder = 0;
  for (let first = 0; first < w.k; first += lanes) {
    const fullest = Array.from({ length: w.rows }, (_, row) =>
      w.values
        .subarray(row * w.k + first, row * w.k + first + lanes)
        .reduce((n, v) => n + (v === 0 ? 0 : 1), 0),
    );
    inOrder += Math.max(...fullest);
  }
  assert.ok(starts.at(-1)! * steps < 0.5 * inOrder, `${starts.at(-1)! * steps} of ${inOrder} steps`);
  assert.ok(ellDensity(p, w) < 0.2);
});

test("what a matrix will take is told by some of its groups", () => {
  const { p, w } = unstructured(1, 1024, 128, 0.15, 5);
  const { density } = packSlices(w, scheduleEll(p, w, 8), new Uint32Array(w.k), false);
  assert.ok(Math.abs(ellDensity(p, w) / density - 1) < 0.1);
});

test("N:M keeps the steps of its pattern and comes back", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 8, max: 70 }),
      fc.constantFrom([1, 4], [2, 4], [1, 8], [3, 8]),
      counts,
      (groups, perGroup, k, [n, m], slices) => {
        const full = unstructured(groups, perGroup, k, 1, 7).w;
        const w = nmPattern(full, { n: n!, m: m!, rows: 1 }, 3);
        const c = { p: problem(groups, perGroup, k), w };
        const schedule = scheduleNm(c.p, w, slices);
        assert.ok(schedule.steps <= schedule.loads * ((n! * 8) / m!));
        assert.equal(scheduled(c, schedule), w.values);
        assert.ok(schedule.columns.every((column) => column < k));
      },
    ),
    { numRuns: 60 },
  );
});

test("arrays and texels hold the schedule: of each lane the offset, the positions, the weights", () => {
  fc.assert(
    fc.property(cases, counts, ({ p, w }, slices) => {
      const schedule = scheduleEll(p, w, slices);
      const { rowsPerGroup, steps, loads, starts, rows, columns, picks } = schedule;
      const offsets = Uint32Array.from({ length: w.k }, (_, k) => 7 * k + 1);
      const inArrays = packSlices(w, schedule, offsets, false);
      const inTexels = packSlices(w, schedule, offsets, true);
      assert.equal(inTexels.launch!.spec, { LOADS: loads, STEPS: steps });
      assert.is(inTexels.launch!.texels!["words"], inTexels.arrays["words"]!.length / 4);
      const perLane = slices * steps;
      const positionWords = Math.ceil(perLane / 8);
      const texels = Math.ceil((loads + positionWords + perLane) / 4);
      const texelValues = new Float32Array(inTexels.arrays["words"]!.buffer);
      for (let group = 0; group + 1 < starts.length; group++) {
        for (let chunk = starts[group]!; chunk < starts[group + 1]!; chunk++) {
          for (let place = 0; place < rowsPerGroup; place++) {
            const lane = place % lanes;
            const inArray = (i: number): number => (chunk * (loads + positionWords) + i) * lanes + lane;
            const inTexel = (i: number): number => ((chunk * texels + (i >> 2)) * lanes + lane) * 4 + (i & 3);
            for (let load = 0; load < loads; load++) {
              const offset = offsets[columns[(chunk * loads + load) * lanes + lane]!]!;
              assert.is(inArrays.arrays["words"]![inArray(load)], offset);
              assert.is(inTexels.arrays["words"]![inTexel(load)], offset);
            }
            for (let step = 0; step < steps; step++) {
              const pick = picks[(chunk * rowsPerGroup + place) * steps + step]!;
              const i = (place >> 3) * steps + step;
              const weight =
                pick === noPick
                  ? 0
                  : w.values[
                      rows[group * rowsPerGroup + place]! * w.k + columns[chunk * loads * lanes + pick]!
                    ]!;
              const position = pick === noPick ? 0 : pick % lanes;
              const field = (word: number): number => (word >>> (4 * (i % 8))) & 15;
              assert.is(field(inArrays.arrays["words"]![inArray(loads + (i >> 3))]!), position);
              assert.is(field(inTexels.arrays["words"]![inTexel(loads + (i >> 3))]!), position);
              assert.is(inArrays.arrays["weights"]![(chunk * perLane + i) * lanes + lane], weight);
              assert.is(texelValues[inTexel(loads + positionWords + i)], weight);
            }
          }
        }
      }
    }),
    { numRuns: 60 },
  );
});

test("no variant takes more workgroups per dimension than every device has", () => {
  const named = (name: string) => variants.find((v) => v.format === "ell" && v.name === name)!;
  const many = placeOf({ rows: 64, channels: 8, kernel: 1, size: 1024 }, 1).problem;
  const few = placeOf({ rows: 64, channels: 8, kernel: 1, size: 64 }, 1).problem;
  // 262,144 vec4s of pixels, 4 or 8 to a workgroup.
  assert.is(cutFor(many, named("slices/r64v4")), undefined);
  assert.is(cutFor(many, named("slices/r32v8"))?.columns, 2 ** 18);
  assert.ok(cutFor(few, named("slices/r64v4")));
});

test("columns of weights too large to combine in a moment are not", () => {
  const ell = variants.find((v) => v.format === "ell")!;
  const p = problem(1, 4096, 4096);
  assert.is(takesWeight(p, ell, { rows: 4096, k: 4096, values: { length: 2 ** 24 } as Float32Array }), true);
  assert.is(
    takesWeight(p, ell, { rows: 4096, k: 4097, values: { length: 4096 * 4097 } as Float32Array }),
    false,
  );
});

test.run();
