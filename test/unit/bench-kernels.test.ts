import { suite } from "uvu";
import * as assert from "uvu/assert";
import { differences, missing } from "../../bench/diff.ts";
import { boundsOf, boundsTable } from "../../bench/kernels/bounds.ts";
import { breakEven, winsFrom } from "../../bench/kernels/break-even.ts";
import { impossible } from "../../bench/kernels/contest.ts";
import { nextSparsity, winsFromTable } from "../../bench/kernels/crossover.ts";
import { parsePattern, randomPattern, weightOf } from "../../bench/kernels/patterns.ts";
import { floorPatterns, type KernelRow, summarise } from "../../bench/kernels/result.ts";
import { placeOf } from "../../bench/kernels/shapes.ts";
import { InputError } from "../../src/errors.ts";
import { clusterRows } from "../../src/kernels/columns/cluster.ts";
import { packBlocks } from "../../src/kernels/columns/pack.ts";

const test = suite("the kernel benchmarks");

const flat = (v: number) => ({ median: v, p10: v, p90: v, samples: 3 });
const row = (
  kind: KernelRow["kind"],
  batch: number,
  sparsity: number,
  direct: number,
  best = direct,
): KernelRow => ({
  op: "conv",
  shape: "s",
  batch,
  kind,
  sparsity,
  kernel: "k",
  stored: 1 - sparsity,
  ms: flat(1 / direct),
  vsDirect: flat(direct),
  vsBest: flat(best),
  usefulGflops: 1,
  denseEquivalentGflops: 1,
  roofline: 0.1,
});

const other = (r: KernelRow): KernelRow => ({ ...r, shape: "t" });

test("means are geometric and by batch and sparsity", () => {
  const rows = [
    row("csr", 1, 0.9, 2, 1),
    other(row("csr", 1, 0.9, 8, 4)),
    row("csr", 8, 0.9, 3),
    row("block8x1", 8, 0.5, 1.5),
  ];
  const s = summarise(rows);
  assert.is(s.csr.batch1["0.9"], 4);
  assert.is(s.csrVsBest.batch1["0.9"], 2);
  assert.ok(Math.abs(s.csr.batch8["0.9"]! - 3) < 1e-12);
  assert.equal(s.csr.batch8["0.5"], undefined);
});

test("a bound is dense over what is left at 99.9 % and the loads at their loop's rate", () => {
  const timed = (r: KernelRow, ms: number, usefulGflops: number): KernelRow => ({
    ...r,
    ms: flat(ms),
    usefulGflops,
  });
  const rows = (["csr", "block8x1"] as const).flatMap((kind) => [
    { ...timed(row(kind, 32, 0.999, 5), 1, 0.1), pattern: floorPatterns.memory },
    { ...timed(row(kind, 32, 0.999, 5), 2, 0.1), pattern: floorPatterns.texels },
    timed(row(kind, 32, 0.9, 4), 2.5, 8),
  ]);
  const reuse = { "1": 10, "8": 20, "16": 40 };
  const rooflines = { fmaGflops: 50, copyGBs: 1, reuseGflops: reuse, texelGflops: { ...reuse, "8": 40 } };
  const result = {
    rows: [timed(row("direct", 32, 0, 1), 10, 20), ...rows],
    layers: [{ shape: "s", batch: 32, rooflines }],
  };
  const [csr] = boundsOf(result, "csr", 1, 0.9);
  // 8 GFLOP/s for 2.5 ms at 10 are 2 ms of loads; dense runs at half of the rate of its loop.
  assert.equal([csr!.floor, csr!.loads, csr!.atMost, csr!.likeDense], [1, 2, 10 / 3, 2]);
  // Out of a texture loads take half as long, but the copy costs more than that.
  const [block] = boundsOf(result, "block8x1", 8, 0.9);
  assert.equal([block!.floor, block!.loads, block!.reached], [1, 1, 4]);
  const far = { ...rooflines, texelGflops: { ...reuse, "8": 4000 } };
  const [quick] = boundsOf(
    { ...result, layers: [{ shape: "s", batch: 32, rooflines: far }] },
    "block8x1",
    8,
    0.9,
  );
  assert.equal([quick!.floor, quick!.loads], [1, 1], "a floor and loads are of one path");
  assert.match(
    boundsTable(result),
    /90 %, batch 32 .*\n.*\n\| s \| 10\.00 \| 1\.00 \| 2\.00 \| 4\.00 of 3\.33 \|/,
  );
  assert.is(boundsTable({ rows, layers: [] }), "Not measured.");
});

test("of CSR and sliced ELL the faster counts, shape by shape", () => {
  const s = summarise([
    row("csr", 8, 0.9, 2),
    row("ell", 8, 0.9, 4),
    other(row("csr", 8, 0.9, 9)),
    other(row("ell", 8, 0.9, 1)),
  ]);
  assert.ok(Math.abs(s.element.batch8["0.9"]! - 6) < 1e-12);
  assert.ok(Math.abs(s.csr.batch8["0.9"]! - Math.sqrt(18)) < 1e-12);
});

test("break-even lies where the time passes that of dense", () => {
  // Times 2 and 0.5 of dense at 70 and 90 %: it is 1 after two thirds of the way.
  const level = breakEven([
    [0.9, 2],
    [0.7, 0.5],
  ])!;
  assert.ok(Math.abs(level - (0.7 + (2 / 3) * 0.2)) < 1e-9);
  const behind = breakEven([
    [0.7, 0.5],
    [0.9, 0.9],
  ]);
  assert.is(behind, null);
  assert.is(breakEven([[0.9, 2]]), null, "what already wins broke even somewhere below");
  const of = summarise([row("csr", 1, 0.7, 0.5), row("csr", 1, 0.9, 2)]).breakEven;
  assert.equal(of, { csr: level, element: level, block8x1: null });
});

test("where a format wins is said in words, below and above what was measured too", () => {
  const csr = [
    [0.7, 0.5],
    [0.9, 2],
  ] as const;
  assert.is(winsFrom(csr), "83 %");
  assert.is(winsFrom([[0.7, 3]]), "70 % or less");
  assert.is(winsFrom([[0.7, 0.5]]), "above 70 %");
  assert.is(winsFrom([]), "-");
  const between = [
    [0.1, 1.01],
    [0.5, 0.5],
    [0.9, 2],
  ] as const;
  assert.is(winsFrom(between), "77 %", "a win that does not last is none");
});

test("a format is measured again where it seems to draw level, or half of the way beyond", () => {
  const at = (...list: readonly (readonly [number, number])[]): number =>
    nextSparsity(list.map(([sparsity, times]) => row("csr", 1, sparsity, times)));
  assert.is(at([0.3, 0.4], [0.9, 2], [0.6, 0.5]), 0.8);
  assert.is(at([0.3, 1.2], [0.6, 2], [0.9, 5]), 0.15);
  assert.is(at([0.3, 0.2], [0.6, 0.4], [0.9, 0.8]), 0.95);
});

test("the table of crossover has shapes down, formats across, and batches in a cell", () => {
  const rows = [
    row("direct", 1, 0, 1),
    row("csr", 1, 0.3, 0.5),
    row("csr", 1, 0.9, 2),
    row("csr", 8, 0.9, 2),
    row("block8x1", 8, 0.3, 0.9),
  ];
  assert.equal(winsFromTable({ environment: {} as never, rows }), [
    ["batch 1, 8", "csr", "block8x1"],
    ["s", "70 %, 90 % or less", "-, above 30 %"],
  ]);
});

test("a block ratio above what its zeros allow is found", () => {
  assert.is(impossible([row("block8x1", 1, 0.9, 9.9), row("csr", 1, 0.9, 30)]).length, 0);
  assert.is(impossible([row("block8x1", 1, 0.9, 10.1)]).length, 1);
});

test("random patterns remove exactly the share, whole blocks at a time", () => {
  const values = new Float32Array(10 * 6).fill(1);
  const w = { rows: 10, k: 6, values };
  const elements = randomPattern(w, 0.5, 1, 1);
  assert.is(elements.values.filter((v) => v === 0).length, 30);
  const blocks = randomPattern(w, 0.5, 4, 1);
  let empty = 0;
  for (let b = 0; b < 3; b++) {
    for (let k = 0; k < 6; k++) {
      const rows = [0, 1, 2, 3].map((i) => b * 4 + i).filter((r) => r < 10);
      const zeros = rows.filter((r) => blocks.values[r * 6 + k] === 0).length;
      assert.ok(zeros === 0 || zeros === rows.length);
      if (zeros > 0) empty++;
    }
  }
  assert.is(empty, 9);
  assert.is(values[0], 1, "the original is left alone");
});

test("matrices of the collection are read, and broken ones refused", () => {
  const p = parsePattern("x/layer.smtx", Buffer.from("2, 3, 3\n0 2 3\n0 2 1\n"));
  assert.is(p.layer, "layer");
  const w = weightOf(p);
  assert.equal(
    [...w.values].map((v) => v !== 0),
    [true, false, true, false, true, false],
  );
  for (const text of [
    "",
    "2, 3\n",
    "2, 3, 3\n0 2\n0 2 1\n",
    "2, 3, 3\n0 3 2\n0 2 1\n",
    "2, 3, 3\n0 2 3\n0 2 3\n",
  ])
    assert.throws(
      () => parsePattern("bad.smtx", Buffer.from(text)),
      (e: unknown) => e instanceof InputError,
    );
});

test("rows with like patterns share a block", () => {
  // Rows alternate between two patterns; blocks of consecutive rows store both, clustered ones one.
  const p = placeOf({ rows: 8, channels: 8, kernel: 1, size: 2 }, 4).problem;
  const values = Float32Array.from({ length: 64 }, (_, i) =>
    Math.floor(i / 8) % 2 === (i % 8 < 4 ? 0 : 1) ? 1 : 0,
  );
  const w = { rows: 8, k: 8, values };
  const order = clusterRows(p, w, 4);
  assert.equal([...order].sort(), [0, 1, 2, 3, 4, 5, 6, 7]);
  assert.is(packBlocks(p, w, 4, p.taps, undefined).density, 1);
  assert.is(packBlocks(p, w, 4, p.taps, order).density, 0.5);
});

test("two result files: slower only beyond the allowance and both spreads", () => {
  const file = (median: number, p10: number, p90: number) => ({
    environment: { key: "a", adapter: "a", software: true },
    rows: [{ shape: "s", batch: 1, kind: "csr", vsDirect: { median, p10, p90, samples: 5 } }],
  });
  assert.is(differences(file(2, 1.9, 2.1), file(1.7, 1.6, 1.8), 0.1)[0]!.worse, true);
  assert.is(differences(file(2, 1.9, 2.1), file(1.7, 1.6, 1.95), 0.1)[0]!.worse, false);
  assert.is(differences(file(2, 1.99, 2.1), file(1.9, 1.85, 1.95), 0.1)[0]!.worse, false);
  assert.throws(
    () =>
      differences(
        file(2, 2, 2),
        { ...file(2, 2, 2), environment: { key: "b", adapter: "b", software: true } },
        0.1,
      ),
    (e: unknown) => e instanceof InputError,
  );
});

test("what became slower is found on the dense side and beside peers too", () => {
  const environment = { key: "a", adapter: "a", software: true };
  const file = (...rows: Record<string, unknown>[]) => ({ environment, rows });
  const spread = (median: number) => ({ median, p10: 0.99 * median, p90: 1.01 * median, samples: 9 });
  // Twice as slow on an equally fast machine: half of the roofline; on one of half the speed: as much of it as before.
  const direct = (ms: number, roofline: number) => ({ ...row("direct", 8, 0, 1), ms: spread(ms), roofline });
  const [slow] = differences(file(direct(10, 0.6)), file(direct(20, 0.3)), 0.1);
  assert.equal([slow!.what, slow!.change, slow!.worse], ["roofline", 0.5, true]);
  assert.is(differences(file(direct(10, 0.6)), file(direct(20, 0.6)), 0.1)[0]!.worse, false);

  const peer = (times: number) => ({
    op: "matmul",
    shape: "s",
    contender: "tfjs",
    ms: spread(1),
    timesOurs: spread(times),
  });
  const [lost] = differences(file(peer(8)), file(peer(4)), 0.1);
  assert.equal([lost!.change, lost!.worse], [0.5, true], "ours takes twice as long as before");
  assert.is(differences(file(peer(8)), file(peer(11)), 0.1)[0]!.worse, false);

  assert.equal(missing(file(direct(1, 1), peer(1)), file(peer(1))), ["conv, s, 8, direct, 0"]);
});

test.run();
