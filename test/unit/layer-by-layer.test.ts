import { suite } from "uvu";
import * as assert from "uvu/assert";
import { graphBuilder } from "../../src/graph/builder.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import type { Evidence } from "../../src/prune/evidence.ts";
import { prunableLayers } from "../../src/prune/layers.ts";
import { type PruneOptions, prune } from "../../src/prune/prune.ts";
import type { PruneRecord } from "../../src/prune/record.ts";
import { staticTypes } from "../../src/prune/types.ts";
import { pruneLayerByLayer, stagesOf } from "../../src/recipes/layer-by-layer.ts";
import { type HostTensor, tensor, toNumbers } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import { fails } from "../support/error.ts";
import { noise } from "../support/prune-graphs.ts";

const test = suite("pruning layer by layer");
const size = 8;
const images = toNumbers(noise([20, size], seeded(5), 1));

/** Two matrices one behind the other, 8 by 8 and 4 by 8. */
function twoLayers(): Graph {
  const b = graphBuilder("two");
  const first = b.weight("w1", noise([size, size], seeded(6), 1));
  const hidden = b.node("Gemm", [b.input("x", [null, size]), first], { transB: 1 }, { name: "first" });
  const second = b.weight("w2", noise([4, size], seeded(7), 1));
  b.output(b.node("Gemm", [hidden, second], { transB: 1 }, { name: "second" }), [null, 4]);
  return b.build();
}

/** X·Xᵀ over the images of what each layer reads, by plain arithmetic. */
function moments(graph: Graph, skip: readonly string[] = []): Evidence {
  const w1 = toNumbers(graph.weights.get("w1")!);
  const rows = Array.from({ length: 20 }, (_, n) => images.slice(n * size, (n + 1) * size));
  const hidden = rows.map((x) =>
    Array.from({ length: size }, (_, r) => x.reduce((sum, v, c) => sum + v * w1[r * size + c]!, 0)),
  );
  const of = (inputs: readonly (readonly number[])[]): HostTensor => {
    const h = Array.from({ length: size ** 2 }, (_, k) =>
      inputs.reduce((sum, x) => sum + x[Math.floor(k / size)]! * x[k % size]!, 0),
    );
    return tensor(h, [1, size, size], "f64");
  };
  const all: [string, HostTensor][] = [
    ["w1", of(rows)],
    ["w2", of(hidden)],
  ];
  return { inputMoments: new Map(all.filter(([name]) => !skip.includes(name))) };
}

const removed = (record: PruneRecord): Record<string, number> =>
  Object.fromEntries(
    record.steps.flatMap((s) =>
      s.kind === "prune" ? s.layers.filter((l) => l.removed > 0).map((l) => [l.weight, l.removed]) : [],
    ),
  );

for (const more of [{ sparsity: 0.5 }, { sparsity: 0.6, allocation: "erk" }, { granularity: "2:4" }]) {
  test(`the second layer sees what the first has become: ${JSON.stringify(more)}`, async () => {
    const graph = twoLayers();
    const options: PruneOptions = { method: "sparsegpt", ...more };
    const asked: (readonly string[])[] = [];
    const found = await pruneLayerByLayer(graph, options, async (seen, skip) => {
      asked.push(skip);
      return moments(seen, skip);
    });
    assert.equal(asked, [["w2"], ["w1"]]);
    const atOnce = await prune(graph, { ...options, evidence: moments(graph) });
    assert.equal(found.graph.weights.get("w1"), atOnce.graph.weights.get("w1"));
    assert.not.equal(found.graph.weights.get("w2"), atOnce.graph.weights.get("w2"));
    assert.equal(removed(found.record), removed(atOnce.record));
    // By hand: everything at once again, on the dense second layer behind the pruned first one.
    const half = { ...graph, weights: new Map(graph.weights).set("w1", found.graph.weights.get("w1")!) };
    const byHand = await prune(graph, { ...options, evidence: moments(half) });
    assert.equal(byHand.graph.weights.get("w2"), found.graph.weights.get("w2"));
    assert.equal([...byHand.graph.masks.get("w2")!.data], [...found.graph.masks.get("w2")!.data]);
  });
}

test("layers that are skipped or not listed are left alone, and a global scope is refused", async () => {
  const gather = async (graph: Graph, skip: readonly string[]): Promise<Evidence> => moments(graph, skip);
  const options = { method: "sparsegpt", sparsity: 0.5 } as const;
  const skipped = await pruneLayerByLayer(twoLayers(), { ...options, skip: ["first"] }, gather);
  assert.equal(removed(skipped.record), { w2: 16 });
  const listed = await pruneLayerByLayer(twoLayers(), { ...options, sparsity: { first: 0.25 } }, gather);
  assert.equal(removed(listed.record), { w1: 16 });
  await fails(
    () => pruneLayerByLayer(twoLayers(), { ...options, scope: "global" }, gather),
    "E_PRUNE",
    /scope is global/,
  );
});

for (const rounding of ["kept", "removed"] as const) {
  test(`filters: coupled layers have their turn together, rates cut the ${rounding} count`, async () => {
    const graph = buildNet("resnet20", { seed: 1 });
    const options: PruneOptions = {
      method: "magnitude",
      granularity: "filter",
      sparsity: 0.3,
      rounding,
    };
    const turns = (await stagesOf(graph, options)).map(({ weights }) =>
      weights.map((w) => w.replace(".weight", "")),
    );
    // Shortcuts without a convolution let the three stages share channels: what they add to has one turn, the others one each.
    const added = ["conv1", ...[1, 2, 3].flatMap((s) => [0, 1, 2].map((b) => `layer${s}.${b}.conv2`))];
    const inner = [1, 2, 3].flatMap((s) => [0, 1, 2].map((b) => [`layer${s}.${b}.conv1`]));
    assert.equal(turns, [added, ...inner]);
    const atOnce = await prune(graph, options);
    const widths = (g: Graph): Record<string, number> =>
      Object.fromEntries(prunableLayers(g, staticTypes(g)).map((l) => [l.name, l.rows]));
    const found = await pruneLayerByLayer(graph, options, async () => ({}));
    assert.equal(widths(found.graph), widths(atOnce.graph));
    assert.is(found.record.steps.length, turns.length);
  });
}

test.run();
