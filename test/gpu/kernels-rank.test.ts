import { suite } from "uvu";
import * as assert from "uvu/assert";
import { rankOf } from "../../src/graph/ops/matrix-rank.ts";
import { matrixRankLowering } from "../../src/kernels/ops/matrix-rank.ts";
import { type HostTensor, tensor, toNumbers } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import { evaluateOp } from "../support/evaluate-op.ts";
import { gpuTest } from "../support/gpu.ts";
import { runLowering } from "../support/run-lowering.ts";

const test = suite("matrix rank");
const random = seeded(41);

const normals = (n: number): number[] => Array.from({ length: n }, () => random.normal());

/** rows × columns of a rank that is known: a sum of so many outer products, in f32. */
function ofRank(rows: number, columns: number, rank: number, scale = 1): number[] {
  const left = normals(rows * rank);
  const right = normals(rank * columns);
  return Array.from({ length: rows * columns }, (_, at) => {
    const [i, j] = [Math.floor(at / columns), at % columns];
    let sum = 0;
    for (let k = 0; k < rank; k++) sum += left[i * rank + k]! * right[k * columns + j]!;
    return sum * scale;
  });
}

test("by singular values: examples known by hand", () => {
  const rank = (rows: number[][]): number =>
    rankOf(Float64Array.from(rows.flat()), rows.length, rows[0]!.length);
  assert.is(
    rank([
      [0, 0],
      [0, 0],
    ]),
    0,
  );
  assert.is(rank([[0, 3, 0]]), 1);
  assert.is(
    rank([
      [1, 2],
      [2, 4],
      [3, 6],
    ]),
    1,
  );
  assert.is(
    rank([
      [1, 2, 3],
      [4, 5, 6],
      [7, 8, 9],
    ]),
    2,
  );
  assert.is(
    rank([
      [1, 0, 0, 1],
      [0, 1, 0, 1],
      [0, 0, 1, 1],
    ]),
    3,
  );
  // 3 · 2^-23 · 1 is 3.6e-7: what is smaller does not count.
  assert.is(
    rank([
      [1, 0, 0],
      [0, 5e-7, 0],
      [0, 0, 3e-7],
    ]),
    2,
  );
  assert.ok(Number.isNaN(rank([[1, Number.NaN]])));
});

const shapes: readonly (readonly [number, number])[] = [
  [1, 1],
  [1, 7],
  [7, 1],
  [2, 2],
  [4, 4],
  [5, 9],
  [9, 5],
  [8, 8],
  [16, 16],
  [32, 32],
  [33, 70],
  [70, 33],
];

gpuTest(test, "many matrices of known ranks at once, at every size of a workgroup", async (gpu) => {
  for (const [rows, columns] of shapes) {
    const most = Math.min(rows, columns);
    const ranks = Array.from({ length: 67 }, (_, i) => (i * 5) % (most + 1));
    const data = ranks.flatMap((rank, i) => ofRank(rows, columns, rank, 10 ** ((i % 7) * 5 - 15)));
    const inputs = [tensor(data, [67, rows, columns])];
    const reference = toNumbers(evaluateOp("MatrixRank", inputs)[0]!);
    // A product of random factors may by chance be near a lower rank; then it is no case for this test.
    const clear = ranks.map((rank, i) => rank === reference[i]);
    assert.ok(
      clear.filter(Boolean).length >= 64,
      `${rows}×${columns}: hardly any of the rank it was made for`,
    );
    for (const software of [true, false]) {
      const [y] = await runLowering(gpu, matrixRankLowering, { op: "MatrixRank", inputs, software });
      assert.equal(
        toNumbers(y!).filter((_, i) => clear[i]),
        ranks.filter((_, i) => clear[i]),
        `${rows}×${columns}`,
      );
    }
  }
});

/** Maps as convolutions and ReLU make them: smooth, with dead areas. */
function featureMaps(count: number, size: number): HostTensor {
  const data = new Float32Array(count * size * size);
  for (let m = 0; m < count; m++) {
    const waves = Array.from({ length: 1 + (m % 12) }, () => normals(5));
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) {
        const sum = waves.reduce(
          (s, [a, u, v, p]) => s + a! * Math.cos(u! * i + v! * j + p!),
          -0.3 * (m % 5),
        );
        data[(m * size + i) * size + j] = Math.max(0, sum);
      }
    }
  }
  return tensor(data, [count, size, size]);
}

gpuTest(
  test,
  "maps with dead areas and falling spectra have the rank that singular values give",
  async (gpu) => {
    for (const size of [8, 16, 32]) {
      const inputs = [featureMaps(300, size)];
      const want = toNumbers(evaluateOp("MatrixRank", inputs)[0]!);
      const [y] = await runLowering(gpu, matrixRankLowering, { op: "MatrixRank", inputs, software: true });
      const got = toNumbers(y!);
      const wrong = got.filter((rank, i) => rank !== want[i]).length;
      assert.ok(new Set(want).size > 3, "the maps must differ in rank");
      // A singular value within rounding of the tolerance may fall on either side of it.
      assert.ok(wrong <= 3, `${wrong} of 300 maps of ${size}×${size} differ`);
      for (const [i, rank] of got.entries())
        assert.ok(Math.abs(rank - want[i]!) <= 1, `map ${i}: ${rank}, ${want[i]}`);
    }
  },
);

gpuTest(test, "zeros, what is not finite, extremes of magnitude, nothing at all", async (gpu) => {
  const run = async (data: number[], shape: number[]): Promise<number[]> =>
    toNumbers(
      (await runLowering(gpu, matrixRankLowering, { op: "MatrixRank", inputs: [tensor(data, shape)] }))[0]!,
    );
  assert.equal(await run([0, 0, 0, 0, 1, 2, 2, 4], [2, 2, 2]), [0, 1]);
  assert.equal(await run([Number.NaN, 0, 0, 0, 0, Number.POSITIVE_INFINITY, 0, 1, 1, 0, 0, 1], [3, 2, 2]), [
    Number.NaN,
    Number.NaN,
    2,
  ]);
  assert.equal(await run([1e30, 0, 0, 2e30, 1e-30, 0, 0, 2e-30], [2, 2, 2]), [2, 2]);
  assert.equal(await run([], [0, 3, 3]), []);
  assert.equal(await run([], [2, 0, 3]), [0, 0]);
});

test.run();
