import { suite } from "uvu";
import * as assert from "uvu/assert";
import { arches } from "../../src/nets/arches.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { compact } from "../../src/prune/compact.ts";
import { coupledSets } from "../../src/prune/groups.ts";
import { prune } from "../../src/prune/prune.ts";
import { sameOutputs } from "../support/prune-outputs.ts";
import { randomImage, randomNet } from "../support/random-nets.ts";

const test = suite("prune built-in nets");

for (const { name } of arches) {
  test(`${name}: filter pruning equals masking the same channels`, async () => {
    const graph = randomNet(name);
    const options = { method: "magnitude", granularity: "filter", sparsity: 0.4, norm: "l2" } as const;
    const small = await prune(graph, options);
    const masked = await prune(graph, { ...options, keepShape: true });
    const inputs = { image: randomImage(graph) };
    sameOutputs(small.graph, masked.graph, inputs);
    const step = small.record.steps[0]!;
    assert.ok(step.kind === "prune");
    if (step.kind !== "prune") return;
    assert.equal(step.notes, []);
    // Every layer but the last keeps trunc(n · 0.6) filters; where classes nest, rounding may keep one more.
    for (const layer of step.layers.slice(0, -1)) {
      const kept = layer.units - layer.removed;
      const exact = Math.max(1, Math.trunc(layer.units * (1 - 0.4)));
      assert.ok(kept === exact || kept === exact + 1, `${layer.layer} keeps ${kept} of ${layer.units}`);
    }
    assert.is(step.layers.at(-1)!.removed, 0);
    const again = await compact(masked.graph);
    for (const [key, w] of small.graph.weights)
      assert.equal(again.graph.weights.get(key)!.shape, w.shape, key);
  });
}

test("resnet20: the stages' residual streams are three nested sets, every block has one of its own", () => {
  const sets = coupledSets(buildNet("resnet20", { init: "zeros" }));
  const outs = sets.map((s) => s.members.filter((m) => m.role === "out").map((m) => m.weight));
  const removable = sets.map((s) => (s.frozen === undefined ? s.channels : 0));
  // Stem with stages 1 to 3; nine inner widths; what only stages 2 and 3, and only stage 3, have.
  assert.equal(
    [...removable].sort((a, b) => a - b),
    [0, 16, 16, 16, 16, 16, 32, 32, 32, 32, 64, 64, 64],
  );
  assert.is(outs[0]!.length, 10);
  assert.is(outs[0]![0], "conv1.weight");
});

test.run();
