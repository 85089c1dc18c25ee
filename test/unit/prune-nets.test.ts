import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Graph } from "../../src/graph/graph.ts";
import { arches } from "../../src/nets/arches.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { compact } from "../../src/prune/compact.ts";
import { coupledSets } from "../../src/prune/groups.ts";
import { prune } from "../../src/prune/prune.ts";
import type { HostTensor } from "../../src/tensor/host-tensor.ts";
import { sameOutputs } from "../support/prune-outputs.ts";

const test = suite("prune built-in nets");

/** A cheap seeded stream in [0, 1): the big nets have 25 million weights. */
function stream(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/**
 * A built-in net with random weights, BatchNormalization statistics and shifts included, that keep activations near 1.
 * ImageNet nets get 64x64 images: their shapes do not depend on the size, and the reference is slow.
 */
function randomised(name: string, imagenet: boolean): Graph {
  const graph = buildNet(name, { init: "zeros" });
  const next = stream(name.length + 17);
  const weights = new Map<string, HostTensor>();
  for (const [key, w] of graph.weights) {
    if (w.dtype !== "f32" || w.shape.length === 0) {
      weights.set(key, w);
      continue;
    }
    const fan = w.shape.slice(1).reduce((a, b) => a * b, 1);
    const data = new Float32Array(w.data.length);
    for (let i = 0; i < data.length; i++) {
      const u = next();
      if (w.shape.length > 1) data[i] = (2 * u - 1) * Math.sqrt(6 / fan);
      else data[i] = key.endsWith("running_var") || key.endsWith(".weight") ? 0.5 + u : u - 0.5;
    }
    weights.set(key, { ...w, data });
  }
  const inputs = imagenet ? [{ ...graph.inputs[0]!, shape: [null, 3, 64, 64] }] : graph.inputs;
  return { ...graph, inputs, weights };
}

for (const { name, dataset } of arches) {
  test(`${name}: filter pruning equals masking the same channels`, async () => {
    const graph = randomised(name, dataset === "imagenet");
    const options = { method: "magnitude", granularity: "filter", sparsity: 0.4, norm: "l2" } as const;
    const small = await prune(graph, options);
    const masked = await prune(graph, { ...options, keepShape: true });
    const inputs = { image: imageFor(graph) };
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

function imageFor(graph: Graph): HostTensor {
  const shape = graph.inputs[0]!.shape.map((d) => d ?? 1);
  const next = stream(5);
  const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 2 * next() - 1);
  return { dtype: "f32", shape, data };
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
