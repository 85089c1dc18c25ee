import { suite } from "uvu";
import * as assert from "uvu/assert";
import { collectEvidence } from "../../src/evidence/collect.ts";
import { openFlow } from "../../src/evidence/synaptic-flow.ts";
import { graphBuilder } from "../../src/graph/builder.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { nonzeros } from "../../src/graph/statistics.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { prune } from "../../src/prune/prune.ts";
import { tensor } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import { fails } from "../support/error.ts";
import { gpuTest } from "../support/gpu.ts";

const test = suite("synaptic flow");

/** 3 inputs, 2 hidden, 2 outputs, biases and a softmax that play no part. */
function net(): Graph {
  const b = graphBuilder("net");
  const first = [
    b.input("x", [null, 3]),
    b.weight("w1", tensor([1, -2, 3, -4, 5, 6], [2, 3])),
    b.weight("b1", tensor([9, 9], [2])),
  ];
  const hidden = b.node("Sigmoid", [b.node("Gemm", first, { transB: 1 })]);
  const second = [hidden, b.weight("w2", tensor([2, -1, 1, 3], [2, 2])), b.weight("b2", tensor([7, 7], [2]))];
  b.output(b.node("Softmax", [b.node("Gemm", second, { transB: 1 })], {}, { outputs: ["p"] }), [null, 2]);
  return b.build();
}

gpuTest(test, "scores by hand: |w| times what flows in times what flows on", async (gpu) => {
  const { synapticFlow } = await collectEvidence(gpu, net(), undefined, "synflow", {
    sparsity: 0.5,
    rounds: 1,
  });
  // What flows on from the hidden units: 2 + 1 and 1 + 3. What flows into them: 1 + 2 + 3 and 4 + 5 + 6.
  const want = { w1: [3, 6, 9, 16, 20, 24], w2: [12, 15, 6, 45] };
  const factor = Number(synapticFlow!.get("w1")!.data[0]) / 3;
  assert.ok(factor > 0);
  // The best of each layer counts as the best of all.
  const best = { w1: 5, w2: 3 };
  const twice = 2 * 45 * factor;
  for (const [name, list] of Object.entries(want)) {
    const top = best[name as keyof typeof best];
    assert.ok(Math.abs(Number(synapticFlow!.get(name)!.data[top]) - twice) < 1e-4 * twice);
    for (const [i, v] of list.entries())
      if (i !== top)
        assert.ok(Math.abs(Number(synapticFlow!.get(name)!.data[i]) / factor - v) < 1e-4 * v, `${name} ${i}`);
  }
});

gpuTest(test, "two rounds by hand: what fell first changes what falls next", async (gpu) => {
  // Round 1 keeps 10 · 0.5^(1/2) = 7: w1 loses 3 and 6, w2 loses 6. Then h1 gets 3 and passes on 2, h2 passes on 1 + 3, so w1
  // has
  // . . 6 | 16 20 24 and w2 6 15 | . 45. Two more go: the two sixes.
  const evidence = await collectEvidence(gpu, net(), undefined, "synflow", { sparsity: 0.5, rounds: 2 });
  const { graph } = await prune(net(), { method: "synflow", sparsity: 0.5, evidence });
  const masks = ["w1", "w2"].map((name) => [...graph.masks.get(name)!.data].join(""));
  assert.equal(masks, ["000111", "0101"]);
  const fell = [...(evidence.synapticFlow!.get("w1")!.data as Float64Array)].slice(0, 2);
  // First the three, then two sixes in either order.
  assert.is(fell[0], -2);
  assert.ok(fell[1]! > -2 && fell[1]! < -1);
});

gpuTest(
  test,
  "flow is conserved: layers that all of it passes have the same sum, however deep the net",
  async (gpu) => {
    for (const [arch, layers] of [
      ["lenet5", ["conv1.weight", "conv2.weight", "ip1.weight", "ip2.weight"]],
      ["resnet110", ["conv1.weight", "linear.weight"]],
    ] as const) {
      const graph = buildNet(arch, { seed: 3 });
      const flow = await openFlow(gpu, graph, layers);
      for (const share of [1, 0.1]) {
        const alive = layers.map((name, i) => {
          const random = seeded(i);
          const { length } = graph.weights.get(name)!.data;
          return Uint8Array.from({ length }, () => (random.uniform() < share ? 1 : 0));
        });
        const sums = (await flow.scores(alive)).map((list) => list.reduce((a, b) => a + b, 0));
        assert.ok(sums[0]! > 0 && sums.every(Number.isFinite));
        for (const s of sums) assert.ok(Math.abs(s / sums[0]! - 1) < 1e-4, `${arch}: ${sums}`);
      }
      flow.dispose();
    }
  },
);

gpuTest(test, "at 99.9 % no layer is empty, where magnitude and one round empty some", async (gpu) => {
  const graph = buildNet("resnet20", { seed: 3 });
  const empty = (g: Graph): number =>
    [...g.weights.values()].filter((w) => w.shape.length >= 2 && nonzeros(w) === 0).length;
  const sparsity = 0.999;
  const evidence = await collectEvidence(gpu, graph, undefined, "synflow", { sparsity, rounds: 40 });
  const pruned = await prune(graph, { method: "synflow", sparsity, evidence });
  assert.is(empty(pruned.graph), 0);
  const prunable = [...graph.weights.values()].filter((w) => w.shape.length >= 2);
  const total = prunable.reduce((n, w) => n + w.data.length, 0);
  const kept = [...pruned.graph.weights.values()].filter((w) => w.shape.length >= 2);
  assert.is(
    kept.reduce((n, w) => n + nonzeros(w), 0),
    total - Math.round(total * sparsity),
  );
  assert.ok(empty((await prune(graph, { method: "magnitude", sparsity })).graph) > 0);
});

gpuTest(test, "without a sparsity, the order in which weights fall serves every one", async (gpu) => {
  const graph = buildNet("lenet300", { seed: 3 });
  const evidence = await collectEvidence(gpu, graph, undefined, "synflow", { rounds: 20 });
  let last: Graph | undefined;
  for (const sparsity of [0.5, 0.9, 0.999]) {
    const pruned = (await prune(graph, { method: "synflow", sparsity, evidence })).graph;
    const kept = [...pruned.weights.values()].filter((w) => w.shape.length >= 2).map(nonzeros);
    assert.is(
      kept.reduce((a, b) => a + b, 0),
      266_200 - Math.round(266_200 * sparsity),
    );
    assert.ok(kept.every((n) => n > 0));
    for (const [name, mask] of last?.masks ?? [])
      assert.ok((pruned.masks.get(name)!.data as Uint8Array).every((m, i) => m <= Number(mask.data[i])));
    last = pruned;
  }
  await fails(() => collectEvidence(gpu, net(), undefined, "synflow", { sparsity: 1 }), "E_PRUNE", /below 1/);
});

test.run();
