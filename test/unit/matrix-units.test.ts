import { suite } from "uvu";
import * as assert from "uvu/assert";
import { placeOf } from "../../bench/kernels/shapes.ts";
import { graphBuilder } from "../../src/graph/builder.ts";
import { halfScale, roundedToHalf } from "../../src/kernels/columns/half.ts";
import { type MatrixUnit, packMatrices, unitOf } from "../../src/kernels/columns/matrix.ts";
import { offsetsOf } from "../../src/kernels/columns/problem.ts";
import { variants } from "../../src/kernels/columns/variants.ts";
import { columnsPlaces } from "../../src/plan/columns-place.ts";
import { type AdapterKind, rank } from "../../src/plan/estimate.ts";
import { atPrecision, toleranceOf } from "../../src/plan/half-weights.ts";
import { assignLayouts } from "../../src/plan/layouts.ts";
import { simplify } from "../../src/plan/simplify.ts";
import { tensor } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";

const test = suite("matrix units");

const kind = (units: readonly MatrixUnit[], subgroup: number): AdapterKind => ({
  software: false,
  maxInvocations: 256,
  subgroup,
  rounds: true,
  units,
});
const place = (size: number, batch: number) => placeOf({ rows: 64, channels: 64, kernel: 1, size }, batch);

test("a kernel is offered where the adapter has its unit, and for columns enough", () => {
  const unit = { m: 16, n: 16, k: 16, subgroup: 32 };
  const offered = (units: readonly MatrixUnit[], subgroup: number, size = 8): string[] =>
    rank(place(size, 8).problem, "dense-f16", 1, kind(units, subgroup)).map((r) => r.variant.loop);
  assert.ok(offered([unit], 32).includes("matrix"));
  assert.not.ok(offered([], 32).includes("matrix"), "none of its units may be used");
  assert.not.ok(offered([{ ...unit, k: 8 }], 32).includes("matrix"), "matrices of other sides");
  assert.not.ok(
    offered([{ ...unit, subgroup: 64 }], 64).length > 0 && offered([unit], 64).includes("vector"),
  );
  assert.not.ok(offered([unit], 32, 1).includes("matrix"), "too few columns");
  const exact = { ...kind([unit], 32), rounds: false };
  assert.not.ok(
    rank(place(8, 8).problem, "dense-f16", 1, exact).some((r) => r.variant.loop === "matrix"),
    "activations must not be rounded",
  );
  const best = rank(place(28, 8).problem, "dense-f16", 1, kind([unit], 32))[0]!;
  assert.equal(unitOf(best.variant), unit);
});

/** Of f16 bits that are no subnormal. */
const decoded = (h: number): number => {
  if ((h & 0x7fff) === 0) return 0;
  return (h & 0x8000 ? -1 : 1) * 2 ** (((h >> 10) & 31) - 15) * (1 + (h & 1023) / 1024);
};

test("weights lie matrix by matrix, zeros past the last row and entry", () => {
  const b = graphBuilder("net");
  const random = seeded(3);
  const values = roundedToHalf(Float32Array.from({ length: 2 * 21 * 45 }, () => random.normal()));
  const w = b.weight("w", tensor(values, [42, 5, 3, 3]));
  const x = b.input("x", [4, 10, 5, 5]);
  b.output(b.node("Conv", [x, w], { group: 2 }, { name: "layer" }), [4, 42, 3, 3]);
  const program = simplify(b.build(), new Map([["x", [4, 10, 5, 5]]]), new Map(), new Set());
  const { problem } = [...columnsPlaces(program, assignLayouts(program)).values()][0]!;
  const matrix = { rows: 42, k: 45, values };
  for (const variant of variants.filter((v) => v.loop === "matrix" && v.load === "quad")) {
    const offsets = offsetsOf(problem, "quad");
    const { arrays, scale } = packMatrices(problem, matrix, variant, offsets);
    assert.is(scale, 1 / halfScale(matrix)!);
    assert.equal([...arrays["offsets"]!], [...offsets, ...new Array(19).fill(offsets[44])]);
    const { m, k } = unitOf(variant);
    const height = Math.ceil(21 / variant.rows) * variant.rows;
    const found = new Float32Array(2 * height * 64);
    for (const [i, word] of arrays["weights"]!.entries()) {
      found[2 * i] = decoded(word & 0xffff) * scale!;
      found[2 * i + 1] = decoded(word >>> 16) * scale!;
    }
    for (let group = 0; group < 2; group++)
      for (let row = 0; row < height; row++)
        for (let e = 0; e < 64; e++) {
          const panel = ((group * height) / m + Math.floor(row / m)) * (64 / k) + Math.floor(e / k);
          const got = found[panel * m * k + (row % m) * k + (e % k)];
          const wanted = row < 21 && e < 45 ? values[(group * 21 + row) * 45 + e]! : 0;
          if (got !== wanted) assert.is(got, wanted, `${variant.name}: row ${row} of ${group}, entry ${e}`);
        }
  }
});

test("precision f16 rounds weights as f16-weights does, and allows for rounded activations", () => {
  const b = graphBuilder("net");
  const w = b.weight("w", tensor(Float32Array.from([0.1, 0.2, -0.3, 1 / 3]), [2, 2]));
  b.output(b.node("Gemm", [b.input("x", [1, 2]), w], {}, { name: "layer" }), [1, 2]);
  const graph = b.build();
  const weights = (precision: "f16" | "f16-weights" | "f32") => [
    ...(atPrecision(graph, precision).weights.get("w")!.data as Float32Array),
  ];
  assert.equal(weights("f16"), weights("f16-weights"));
  assert.not.equal(weights("f16"), weights("f32"));
  assert.ok(toleranceOf("f16") > toleranceOf("f16-weights"));
  assert.is(toleranceOf("f16-weights"), toleranceOf(undefined));
});

test.run();
