import { Matrix, solve } from "ml-matrix";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { graphBuilder } from "../../src/graph/builder.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { nonzeros } from "../../src/graph/statistics.ts";
import type { Evidence } from "../../src/prune/evidence.ts";
import { type PruneOptions, prune } from "../../src/prune/prune.ts";
import { tensor, toNumbers } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import { fails } from "../support/error.ts";

const test = suite("methods that repair while they choose");

/** One fully connected layer [rows, cols] with a bias, f64 so that arithmetic by hand can be compared. */
function linear(rows: readonly (readonly number[])[], transB = 1): Graph {
  const b = graphBuilder("linear");
  const [m, k] = [rows.length, rows[0]!.length];
  const flat = transB
    ? rows.flat()
    : Array.from({ length: m * k }, (_, i) => rows[i % m]![Math.floor(i / m)]!);
  const x = b.input("x", [null, k], "f64");
  const w = b.weight("w", tensor(flat, transB ? [m, k] : [k, m], "f64"));
  const bias = b.weight("b", tensor(new Float64Array(m).fill(1), [m]));
  b.output(b.node("Gemm", [x, w, bias], { transB }), [null, m], "f64");
  return b.build();
}

const weights = (graph: Graph, name = "w"): number[] => toNumbers(graph.weights.get(name)!);

function close(got: readonly number[], want: readonly number[], tolerance = 1e-9): void {
  assert.is(got.length, want.length);
  for (const [i, v] of want.entries())
    assert.ok(Math.abs(got[i]! - v) <= tolerance * Math.max(1, Math.abs(v)), `${i}: ${got[i]}, not ${v}`);
}

const jacobian = (rows: readonly (readonly number[])[], bias?: readonly (readonly number[])[]): Evidence => ({
  jacobian: new Map([
    ["w", tensor(rows.flat(), [rows.length, rows[0]!.length], "f64")],
    ...(bias ? [["b", tensor(bias.flat(), [bias.length, bias[0]!.length], "f64")] as const] : []),
  ]),
});

test("obs by hand: the cheaper of two weights goes, the other makes up for it", async () => {
  // H = [[2, 1], [1, 2]] from the rows (1, 1), (1, 0), (0, 1). Removing w1 = 1 moves w2 by 1 · (1/3) / (2/3) = 1/2.
  const evidence = jacobian([
    [1, 1],
    [1, 0],
    [0, 1],
  ]);
  const { graph } = await prune(linear([[1, 2]]), { method: "obs", sparsity: 0.5, evidence });
  close(weights(graph), [0, 2.5], 1e-5);
  assert.equal([...graph.masks.get("w")!.data], [0, 1]);
});

test("obs leaves the bias of a layer alone that is to be left alone", async () => {
  const b = graphBuilder("two");
  const ones = (name: string, shape: number[]) =>
    b.weight(name, tensor(new Float64Array(shape.reduce((x, y) => x * y)).fill(1), shape));
  const hidden = b.node("Gemm", [b.input("x", [null, 2], "f64"), ones("w1", [2, 2]), ones("b1", [2])], {
    transB: 1,
  });
  b.output(b.node("Gemm", [hidden, ones("w2", [1, 2]), ones("b2", [1])], { transB: 1 }), [null, 1], "f64");
  const graph = b.build();
  const names = ["w1", "b1", "w2", "b2"];
  const gradients = names.map((name, i) => {
    const size = graph.weights.get(name)!.data.length;
    return [
      name,
      tensor(
        Float64Array.from({ length: 3 * size }, (_, k) => Math.sin(1 + i + k)),
        [3, size],
      ),
    ] as const;
  });
  const evidence: Evidence = { jacobian: new Map(gradients) };
  for (const left of [{ skip: ["w1"], sparsity: 0.5 }, { sparsity: { w2: 0.5 } }]) {
    const found = await prune(graph, { method: "obs", evidence, ...left });
    assert.equal(weights(found.graph, "w1"), [1, 1, 1, 1]);
    assert.equal(weights(found.graph, "b1"), [1, 1]);
    assert.not.equal(weights(found.graph, "b2"), [1]);
  }
});

test("a weight that is not a number is named by methods that repair", async () => {
  const evidence = jacobian([[1, 1]]);
  await fails(
    () => prune(linear([[1, Number.NaN]]), { method: "obs", sparsity: 0.5, evidence }),
    "E_PRUNE",
    /element 1 of the weight.*not a number/,
  );
});

test("obs removes the larger weight where the curvature says so", async () => {
  const evidence = jacobian([
    [0.1, 0],
    [0, 10],
  ]);
  const { graph } = await prune(linear([[5, 1]]), { method: "obs", sparsity: 0.5, evidence });
  close(weights(graph), [0, 1]);
});

test("obs updates biases but never removes them", async () => {
  // Weight and bias do the same, so the bias takes over all of it.
  const evidence = jacobian([[1, 0]], [[1]]);
  const { graph } = await prune(linear([[0.5, 9]]), { method: "obs", sparsity: 0.5, evidence });
  close(weights(graph, "b"), [1.5], 1e-5);
  assert.equal(weights(graph)[0], 0);
  assert.not.ok(graph.masks.has("b"));
});

test("every choice and update of obs is the best one, found by solving each case anew", async () => {
  const random = seeded(5);
  const count = 7;
  const rows = Array.from({ length: 12 }, () => Array.from({ length: count }, () => random.normal()));
  const start = Array.from({ length: count }, () => random.normal());
  const h = Matrix.zeros(count, count);
  for (const x of rows) {
    for (let i = 0; i < count; i++) for (let j = 0; j < count; j++) h.set(i, j, h.get(i, j) + x[i]! * x[j]!);
  }
  /** Of all weights with zeros at `zero`, those nearest to `from` under H, and their distance. */
  const nearest = (from: readonly number[], zero: readonly number[]): { w: number[]; cost: number } => {
    const free = from.map((_, i) => i).filter((i) => !zero.includes(i));
    const right = free.map((i) => [zero.reduce((s, j) => s + h.get(i, j) * from[j]!, 0)]);
    const moved = solve(
      new Matrix(free.map((i) => free.map((j) => h.get(i, j)))),
      new Matrix(right),
    ).to1DArray();
    const w = from.map(() => 0);
    for (const [k, i] of free.entries()) w[i] = from[i]! + moved[k]!;
    const d = w.map((v, i) => v - from[i]!);
    let cost = 0;
    for (let i = 0; i < count; i++) for (let j = 0; j < count; j++) cost += d[i]! * h.get(i, j) * d[j]!;
    return { w, cost };
  };
  let want = start;
  let zero: number[] = [];
  for (let k = 1; k < count; k++) {
    const tried = start
      .map((_, q) => q)
      .filter((q) => !zero.includes(q))
      .map((q) => ({ q, ...nearest(want, [...zero, q]) }));
    const best = tried.reduce((a, b) => (b.cost < a.cost ? b : a));
    zero = [...zero, best.q];
    want = best.w;
    const { graph } = await prune(linear([start]), {
      method: "obs",
      sparsity: k / count,
      evidence: jacobian(rows),
    });
    close(weights(graph), want, 1e-4);
  }
});

test("obs respects layer budgets, skipped layers and masks that are there", async () => {
  const b = graphBuilder("two");
  const first = b.weight("w1", tensor([1, 2, 3, 4], [2, 2]));
  const second = b.weight("w2", tensor([0.1, 0.2, 0.3, 0.4], [2, 2]));
  const hidden = b.node("Gemm", [b.input("x", [null, 2]), first], { transB: 1 }, { name: "a" });
  b.output(b.node("Gemm", [hidden, second], { transB: 1 }, { name: "c" }), [null, 2]);
  const graph = b.build();
  const random = seeded(1);
  const rows = (): Float64Array => Float64Array.from({ length: 6 * 4 }, () => random.normal());
  const evidence: Evidence = {
    jacobian: new Map([
      ["w1", tensor(rows(), [6, 4])],
      ["w2", tensor(rows(), [6, 4])],
    ]),
  };
  const options: PruneOptions = { method: "obs", sparsity: 0.5, evidence };
  const count = (g: Graph, name: string): number => nonzeros(g.weights.get(name)!);
  const layer = (await prune(graph, { ...options, scope: "layer" })).graph;
  assert.equal([count(layer, "w1"), count(layer, "w2")], [2, 2]);
  const skipped = (await prune(graph, { ...options, skip: ["a"] })).graph;
  assert.equal(weights(skipped, "w1"), [1, 2, 3, 4]);
  assert.is(count(skipped, "w2"), 2);
  const before = (await prune(graph, { method: "magnitude", sparsity: { a: 0.25 } })).graph;
  const after = (await prune(before, { ...options, scope: "layer" })).graph;
  assert.is(weights(after, "w1")[0], 0);
  assert.equal([count(after, "w1"), count(after, "w2")], [2, 2]);
});

test("obs refuses nets whose second derivatives it cannot invert", async () => {
  const row = Array.from({ length: 3001 }, (_, i) => i);
  await fails(
    () => prune(linear([row]), { method: "obs", sparsity: 0.5, evidence: jacobian([row]) }),
    "E_PRUNE",
    /3001 weights.*sparsegpt/,
  );
});

const moments = (h: readonly number[], cols: number): Evidence => ({
  inputMoments: new Map([["w", tensor(h, [h.length / cols ** 2, cols, cols], "f64")]]),
});

test("sparsegpt by hand: what a column loses goes to the columns on its right only", async () => {
  // The mean diagonal 2 is dampened to 2.02. Removing w1 moves w2 by w1 / 2.02.
  const evidence = moments([2, 1, 1, 2], 2);
  for (const transB of [1, 0]) {
    const { graph } = await prune(
      linear(
        [
          [1, 3],
          [2, -9],
        ],
        transB,
      ),
      { method: "sparsegpt", sparsity: 0.5, evidence },
    );
    const want = [0, 3 + 1 / 2.02, 0, -9 + 2 / 2.02];
    close(weights(graph), transB ? want : [0, 0, want[1]!, want[3]!]);
  }
  const right = await prune(linear([[3, 1]]), { method: "sparsegpt", sparsity: 0.5, evidence });
  close(weights(right.graph), [3, 0]);
});

/** Squared error of a layer's outputs, row by row under H. */
function errorOf(a: readonly number[], b: readonly number[], h: readonly number[], cols: number): number {
  let sum = 0;
  for (let row = 0; row < a.length; row += cols) {
    const d = Array.from({ length: cols }, (_, k) => a[row + k]! - b[row + k]!);
    for (let i = 0; i < cols; i++) for (let j = 0; j < cols; j++) sum += d[i]! * h[i * cols + j]! * d[j]!;
  }
  return sum;
}

/** The weights under these masks with the least error of the outputs, solved for row by row. */
function optimum(w: readonly number[], kept: Uint8Array, h: readonly number[], cols: number): number[] {
  const result = w.map(() => 0);
  for (let row = 0; row < w.length; row += cols) {
    const columns = Array.from({ length: cols }, (_, k) => k);
    const free = columns.filter((k) => kept[row + k] !== 0);
    const gone = columns.filter((k) => kept[row + k] === 0);
    const right = free.map((i) => [gone.reduce((s, j) => s + h[i * cols + j]! * w[row + j]!, 0)]);
    const moved = solve(new Matrix(free.map((i) => free.map((j) => h[i * cols + j]!))), new Matrix(right));
    for (const [k, i] of free.entries()) result[row + i] = w[row + i]! + moved.get(k, 0);
  }
  return result;
}

/** X·Xᵀ / count of random inputs that hang together. */
function randomMoments(cols: number, seed: number): number[] {
  const random = seeded(seed);
  const h = new Array<number>(cols * cols).fill(0);
  for (let n = 0; n < 3 * cols; n++) {
    const common = random.normal();
    const x = Array.from({ length: cols }, () => random.normal() + common);
    for (let i = 0; i < cols; i++)
      for (let j = 0; j < cols; j++) h[i * cols + j]! += (x[i]! * x[j]!) / (3 * cols);
  }
  return h;
}

test("sparsegpt: exact budgets, valid groups, and less error than the same masks without repair", async () => {
  const random = seeded(3);
  const [rows, cols] = [6, 300];
  const start = Array.from({ length: rows }, () => Array.from({ length: cols }, () => random.normal()));
  const h = randomMoments(cols, 8);
  const graph = linear(start);
  for (const [granularity, sparsity] of [
    ["element", 0.5],
    ["element", 0.777],
    ["2:4", 0.5],
    ["2:4x4", 0.5],
    ["3:7", undefined],
  ] as const) {
    const { graph: pruned } = await prune(graph, {
      method: "sparsegpt",
      granularity,
      ...(sparsity !== undefined && { sparsity }),
      evidence: moments(h, cols),
    });
    const kept = pruned.masks.get("w")!.data as Uint8Array;
    const found = weights(pruned);
    const masked = start.flat().map((w, i) => (kept[i] === 0 ? 0 : w));
    const best = errorOf(optimum(start.flat(), kept, h, cols), start.flat(), h, cols);
    const [repaired, plain] = [found, masked].map((w) => errorOf(w, start.flat(), h, cols));
    // Columns on the left have fewer to make up for them, so it is between the two, nearer to the best.
    assert.ok(
      best < repaired! && repaired! - best < 0.5 * (plain! - best),
      `${granularity}: ${[best, repaired, plain]}`,
    );
    assert.ok(found.every((w, i) => (w === 0) === (kept[i] === 0)));
    if (granularity === "element") {
      assert.is(kept.filter((m) => m === 0).length, Math.round(rows * cols * sparsity));
      continue;
    }
    const [keep, of] = granularity === "3:7" ? [3, 7] : [2, 4];
    for (let row = 0; row < rows; row++) {
      for (let k = 0; k < cols; k += of) {
        const group = kept.slice(row * cols + k, row * cols + Math.min(cols, k + of));
        assert.is(group.filter((m) => m === 1).length, Math.min(keep, group.length));
      }
      if (granularity === "2:4x4") {
        const first = Math.floor(row / 4) * 4;
        assert.equal(
          kept.slice(row * cols, row * cols + cols),
          kept.slice(first * cols, first * cols + cols),
        );
      }
    }
  }
});

test("sparsegpt: inputs that are always zero go first, masks that are there stay", async () => {
  const evidence = moments([1, 0, 0, 0, 0, 0, 0, 0, 1], 3);
  const { graph } = await prune(linear([[0.1, 9, 0.2]]), { method: "sparsegpt", sparsity: 1 / 3, evidence });
  close(weights(graph), [0.1, 0, 0.2]);
  const before = (await prune(linear([[1, 2, 3]]), { method: "random", sparsity: 1 / 3, seed: 3 })).graph;
  const gone = weights(before).indexOf(0);
  const after = (
    await prune(before, {
      method: "sparsegpt",
      sparsity: 2 / 3,
      evidence: moments([4, 1, 1, 1, 4, 1, 1, 1, 4], 3),
    })
  ).graph;
  assert.is(weights(after)[gone], 0);
  assert.is(nonzeros(after.weights.get("w")!), 1);
});

test("sparsegpt refuses a scope that it cannot have", async () => {
  const evidence = moments([2, 1, 1, 2], 2);
  await fails(
    () => prune(linear([[1, 2]]), { method: "sparsegpt", sparsity: 0.5, scope: "global", evidence }),
    "E_PRUNE",
    /Leave scope out/,
  );
});

test.run();
