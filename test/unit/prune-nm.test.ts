import { suite } from "uvu";
import * as assert from "uvu/assert";
import { graphBuilder } from "../../src/graph/builder.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { parseGranularity } from "../../src/prune/granularity.ts";
import { type PruneOptions, prune } from "../../src/prune/prune.ts";
import { replay } from "../../src/prune/replay.ts";
import { tensor } from "../../src/tensor/host-tensor.ts";
import { groupedNet, residualNet } from "../support/prune-graphs.ts";

const test = suite("prune N:M");

/** One fully connected layer, weight [rows, cols] as given. */
function linear(rows: readonly (readonly number[])[], transB = 1): Graph {
  const b = graphBuilder("linear");
  const [m, k] = [rows.length, rows[0]!.length];
  const flat = transB
    ? rows.flat()
    : Array.from({ length: m * k }, (_, i) => rows[i % m]![Math.floor(i / m)]!);
  const weight = b.weight("w", tensor(flat, transB ? [m, k] : [k, m]));
  b.output(b.node("Gemm", [b.input("x", [null, k]), weight], { transB }), [null, m]);
  return b.build();
}

const weightsOf = (graph: Graph): number[] => [...(graph.weights.get("w")!.data as Float32Array)];

async function pruned(graph: Graph, granularity: string, more: Partial<PruneOptions> = {}): Promise<Graph> {
  return (await prune(graph, { method: "magnitude", granularity, ...more })).graph;
}

test("2:4 keeps the two largest of every four, ties the later one", async () => {
  const graph = linear([
    [1, -4, 3, 2, 5, 5, 5, 5],
    [-9, 8, -7, 6, 0, 1, 0, 2],
  ]);
  assert.equal(weightsOf(await pruned(graph, "2:4")), [0, -4, 3, 0, 0, 0, 5, 5, -9, 8, 0, 0, 0, 1, 0, 2]);
});

test("the last group may be shorter and keeps at most as many", async () => {
  const graph = linear([[1, 2, 3, 4, 5, 6, 7]]);
  assert.equal(weightsOf(await pruned(graph, "2:4")), [0, 0, 3, 4, 0, 6, 7]);
  assert.equal(weightsOf(await pruned(linear([[1, 2, 3, 4, 5]]), "2:4")), [0, 0, 3, 4, 5]);
  assert.equal(weightsOf(await pruned(linear([[3, 1, 2]]), "1:2")), [3, 0, 2]);
});

test("a pattern shared by rows is chosen by the sums of magnitudes", async () => {
  const graph = linear([
    [1, 9, 3, 2],
    [5, 1, 1, 1],
    [7, 1, 1, 2],
  ]);
  // Sums of the first two rows: 6, 10, 4, 3; the third row is a shorter block of its own.
  assert.equal(weightsOf(await pruned(graph, "2:4x2")), [1, 9, 0, 0, 5, 1, 0, 0, 7, 0, 0, 2]);
});

test("groups run along the rows of the matrix whichever way the weight is stored", async () => {
  const rows = [
    [1, -4, 3, 2],
    [9, 8, 1, 2],
    [1, 2, 8, 9],
  ];
  const turned = weightsOf(await pruned(linear(rows, 0), "2:4"));
  const straight = weightsOf(await pruned(linear(rows), "2:4"));
  assert.equal(
    turned,
    Array.from({ length: 12 }, (_, i) => straight[(i % 3) * 4 + Math.floor(i / 3)]!),
  );
});

test("every group of every layer is valid, shared or not, and skipped layers stay dense", async () => {
  for (const build of [residualNet, groupedNet]) {
    for (const name of ["2:4", "4:8", "1:3", "2:4x8", "3:4x2"]) {
      for (const method of ["magnitude", "random"]) {
        const graph = build();
        const first = [...graph.weights.keys()][0]!;
        const result = await prune(graph, { method, granularity: name, skip: [first] });
        assert.not.ok(result.graph.masks.has(first));
        const g = parseGranularity(name);
        assert.ok(g.kind === "n:m");
        if (g.kind !== "n:m") return;
        assert.ok(result.graph.masks.size > 0);
        for (const mask of result.graph.masks.values()) checkGroups(mask.data as Uint8Array, mask.shape, g);
        const again = await replay(result.record, build());
        assert.equal([...again.masks], [...result.graph.masks]);
      }
    }
  }
});

/** Weights here are [out, …], so the matrix lies in memory row by row. */
function checkGroups(
  mask: Uint8Array,
  shape: readonly number[],
  { keep, of, rows }: { readonly keep: number; readonly of: number; readonly rows: number },
): void {
  const cols = mask.length / shape[0]!;
  for (let row = 0; row < shape[0]!; row++) {
    for (let from = 0; from < cols; from += of) {
      const kept = [...mask.slice(row * cols + from, row * cols + Math.min(cols, from + of))];
      assert.is(kept.filter((m) => m === 1).length, Math.min(keep, kept.length));
      const first = Math.floor(row / rows) * rows;
      assert.equal(kept, [...mask.slice(first * cols + from, first * cols + Math.min(cols, from + of))]);
    }
  }
}

test("weights that are masked already count among those that go", async () => {
  const once = await pruned(linear([[1, 2, 3, 4, 5, 6, 7, 8]]), "3:4");
  assert.equal(weightsOf(once), [0, 2, 3, 4, 0, 6, 7, 8]);
  assert.equal(weightsOf(await pruned(once, "2:4")), [0, 0, 3, 4, 0, 0, 7, 8]);
  assert.equal(weightsOf(await pruned(once, "2:4", { method: "random" })).filter((w) => w !== 0).length, 4);
});

async function message(run: () => Promise<unknown>): Promise<string> {
  try {
    await run();
  } catch (error) {
    return `${(error as { code: string }).code} ${(error as Error).message}`;
  }
  return assert.unreachable("nothing was thrown") as never;
}

test("what contradicts N:M is refused with the cure", async () => {
  const graph = linear([[1, 2, 3, 4]]);
  assert.match(
    await message(() => pruned(graph, "2:4", { sparsity: 0.9 })),
    /E_PRUNE.*50 %.*Leave sparsity out/,
  );
  assert.match(await message(() => pruned(graph, "2:4", { scope: "global" })), /E_PRUNE.*Leave scope/);
  assert.match(await message(() => pruned(graph, "2:4", { allocation: "erk" })), /E_PRUNE.*Leave scope/);
  for (const bad of ["4:4", "0:4", "5:4", "2:4x0", "2:2000", "2:4:8"]) {
    assert.match(await message(() => pruned(graph, bad)), /E_INPUT granularity is/);
  }
  assert.equal(weightsOf(await pruned(graph, "2:4", { sparsity: 0.5 })), [0, 0, 3, 4]);
});

test.run();
