import { existsSync, readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Graph, withWeights } from "../../src/graph/graph.ts";
import { inspectGraph } from "../../src/graph/statistics.ts";
import { modelFromBytes, modelToBytes } from "../../src/io/model.ts";
import { readSafetensors } from "../../src/io/safetensors.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { compact } from "../../src/prune/compact.ts";
import { prune } from "../../src/prune/prune.ts";
import { recordOf } from "../../src/prune/record.ts";
import { replay } from "../../src/prune/replay.ts";
import { getNumber, type HostTensor } from "../../src/tensor/host-tensor.ts";
import { handMade, layers, residualNet } from "../support/prune-graphs.ts";
import { sameOutputs } from "../support/prune-outputs.ts";
import { skip } from "../support/skip.ts";

const test = suite("compact");
const shared = new URL("../../../shared/models/", import.meta.url);
const shape = (graph: Graph, name: string): readonly number[] => graph.weights.get(name)!.shape;

/** The graph with `change` applied to copies of the named weights. */
function changed(graph: Graph, changes: Record<string, (data: Float32Array) => void>): Graph {
  const weights = new Map<string, HostTensor>();
  for (const [name, change] of Object.entries(changes)) {
    const data = (graph.weights.get(name)!.data as Float32Array).slice();
    change(data);
    weights.set(name, { ...graph.weights.get(name)!, data });
  }
  return withWeights(graph, weights);
}

function surgeryNet(name: "dns-lenet5-mnist" | "dns-lenet300-mnist", arch: string): Graph | undefined {
  const file = new URL(`${name}.safetensors`, shared);
  if (!existsSync(file)) {
    skip(`compaction of ${name}`, "../shared/models is not there");
    return undefined;
  }
  const { tensors } = readSafetensors(new Uint8Array(readFileSync(file)));
  return buildNet(arch, { weights: new Map([...tensors].filter(([key]) => !key.endsWith("_mask"))) });
}

test("Dynamic Network Surgery LeNet-5: 20-50-500 becomes 8-19-57", async () => {
  const graph = surgeryNet("dns-lenet5-mnist", "lenet5");
  if (!graph) return;
  const before = inspectGraph(graph);
  assert.equal([before.parameters, before.nonzeros, before.macs], [431_080, 3_993, 2_293_000]);
  const { graph: small, report } = await compact(graph);
  assert.equal(
    report.layers.map((l) => l.rows),
    [8, 19, 57, 10],
  );
  const after = inspectGraph(small);
  assert.equal([after.parameters, after.nonzeros, after.macs], [21_992, 3_982, 376_298]);
  assert.equal(report.folded, []);
  const kept = recordOf(small).steps.flatMap((s) => (s.kind === "compact" ? s.structure.weights : []));
  const rows = (name: string): readonly number[] => kept.find((w) => w.weight === name && w.axis === 0)!.kept;
  assert.equal(rows("conv1.weight"), [2, 4, 6, 8, 9, 10, 13, 14]);
  assert.equal(
    rows("conv2.weight"),
    [0, 11, 14, 15, 17, 20, 22, 25, 27, 29, 30, 31, 34, 37, 38, 41, 42, 47, 49],
  );
  sameOutputs(small, graph);
});

test("Dynamic Network Surgery LeNet-300-100: 784-300-100 becomes 462-62-18", async () => {
  const graph = surgeryNet("dns-lenet300-mnist", "lenet300");
  if (!graph) return;
  const before = inspectGraph(graph);
  assert.equal([before.parameters, before.nonzeros], [266_610, 4_988]);
  const { graph: small, report } = await compact(graph);
  assert.equal(
    report.layers.map((l) => [l.rows, l.columns, l.columnsRead]),
    [
      [62, 462, 462],
      [18, 62, 62],
      [10, 18, 18],
    ],
  );
  assert.equal(report.inputs, [{ node: "ip1", read: 462, of: 784 }]);
  const after = inspectGraph(small);
  assert.equal([after.weights, after.parameters, after.nonzeros], [29_940, 30_030, 4_987]);
  sameOutputs(small, graph);
  const whole = await compact(graph, { inputs: false });
  assert.equal(shape(whole.graph, "ip1.weight"), [62, 784]);
  sameOutputs(whole.graph, graph);
  // The record alone gives the same graph again, and the file knows it.
  assert.equal((await replay(recordOf(small), graph)).weights, small.weights);
  const again = modelFromBytes(modelToBytes(small, "safetensors"), { name: "small.safetensors" });
  assert.equal(again.weights, small.weights);
  sameOutputs(modelFromBytes(modelToBytes(small, "onnx"), { name: "small.onnx" }), graph);
});

test("nothing dead, nothing done: the same graph comes back", async () => {
  for (const [, build] of handMade) {
    const graph = build();
    const { graph: same, report } = await compact(graph);
    assert.is(same, graph);
    assert.is(report.removed, 0);
  }
});

test("masked channels are removed exactly, to the net that removal gives", async () => {
  for (const [, build] of handMade) {
    const options = { method: "magnitude", granularity: "filter", sparsity: 0.5 } as const;
    const masked = (await prune(build(), { ...options, keepShape: true })).graph;
    const removed = (await prune(build(), options)).graph;
    const { graph } = await compact(masked);
    for (const [name, w] of removed.weights) assert.equal(shape(graph, name), w.shape, name);
    sameOutputs(graph, masked);
    sameOutputs(graph, removed);
  }
});

test("a channel that nobody reads goes, and so does what only it read", async () => {
  // conv2 does not read channel 4 of conv1; fc does not read channel 1, but conv1 does, so that stays.
  const graph = changed(residualNet(), {
    "conv2.weight": (w) => {
      for (let o = 0; o < 4; o++) w.fill(0, (o * 6 + 4) * 9, (o * 6 + 5) * 9);
    },
    "fc.weight": (w) => {
      for (let o = 0; o < 3; o++) w[o * 4 + 1] = 0;
    },
  });
  const { graph: small } = await compact(graph);
  assert.equal(shape(small, "conv1.weight"), [5, 4, 3, 3]);
  assert.equal(shape(small, "conv0.weight"), [4, 2, 3, 3]);
  sameOutputs(small, graph);
});

test("a dead filter with a BatchNormalization shift: gone where the activation gives zero, kept where padding shows it", async () => {
  const dead = (shift: number): Graph =>
    changed(residualNet(), {
      "conv1.weight": (w) => w.fill(0, 36, 72),
      "bn1.bias": (b) => {
        b[1] = shift;
      },
      "bn1.running_mean": (m) => {
        m[1] = 0;
      },
    });
  const negative = await compact(dead(-0.5));
  assert.equal(shape(negative.graph, "conv1.weight"), [5, 4, 3, 3]);
  sameOutputs(negative.graph, dead(-0.5));
  const positive = await compact(dead(0.5));
  assert.is(positive.report.removed, 0);
});

test("constants behind padding: one channel carries what the others add, tap by tap, also under a mask", async () => {
  const shifts = [0, 0.5, 0.25, 0, 2];
  const graph = changed(residualNet(), {
    "conv1.weight": (w) => {
      for (const [c, shift] of shifts.entries()) if (shift > 0) w.fill(0, c * 36, (c + 1) * 36);
    },
    "bn1.bias": (b) => {
      for (const [c, shift] of shifts.entries()) if (shift > 0) b[c] = shift;
    },
    "bn1.running_mean": (m) => {
      for (const [c, shift] of shifts.entries()) if (shift > 0) m[c] = 0;
    },
    "conv2.weight": (w) => w.fill(0, 4 * 9, 5 * 9),
  });
  const weight = graph.weights.get("conv2.weight")!;
  const mask = Uint8Array.from(weight.data as Float32Array, (v) => (v === 0 ? 0 : 1));
  const masked = {
    ...graph,
    masks: new Map([["conv2.weight", { dtype: "bool", shape: weight.shape, data: mask }]]),
  } as Graph;
  const { graph: small, report } = await compact(masked);
  assert.equal(report.carried, [{ node: "conv2", channels: 2 }]);
  assert.equal(report.folded, []);
  assert.equal(shape(small, "conv1.weight"), [4, 4, 3, 3]);
  // Channel 4 holds most and carries 1 and 2; its first filter was masked and no longer is.
  const [w, v] = [weight.data, small.weights.get("conv2.weight")!.data] as [Float32Array, Float32Array];
  assert.is(w[4 * 9], 0);
  const sum = (0.5 / 2) * w[1 * 9]! + (0.25 / 2) * w[2 * 9]!;
  assert.ok(Math.abs(v[2 * 9]! - sum) < 1e-6, `${v[2 * 9]} for ${sum}`);
  assert.is(small.masks.get("conv2.weight")!.data[2 * 9], 1);
  sameOutputs(small, graph);
});

test("a constant read by the middle of a padded kernel alone never meets the border: it folds", async () => {
  const graph = changed(residualNet(), {
    "conv1.weight": (w) => w.fill(0, 36, 72),
    "bn1.bias": (b) => {
      b[1] = 0.5;
    },
    "bn1.running_mean": (m) => {
      m[1] = 0;
    },
    "conv2.weight": (w) => {
      for (let o = 0; o < 4; o++) for (let t = 0; t < 9; t++) if (t !== 4) w[(o * 6 + 1) * 9 + t] = 0;
    },
  });
  const { graph: small, report } = await compact(graph);
  assert.equal(report.folded, [{ node: "conv2", channels: 1 }]);
  assert.equal(shape(small, "conv2.bias"), [4]);
  sameOutputs(small, graph);
});

test("weights that only ever read padding are dead, where the image's size is known", async () => {
  const l = layers("border");
  const x = l.b.input("image", [null, 2, 1, 1]);
  l.head(
    l.relu("relu1", l.conv("conv1", l.relu("relu0", l.conv("conv0", x, [3, 2, 1, 1])), [2, 3, 3, 3])),
    2,
  );
  const graph = changed(l.b.build(), {
    "conv1.weight": (w) => {
      for (let o = 0; o < 2; o++) w[(o * 3 + 1) * 9 + 4] = 0;
    },
  });
  const { graph: small } = await compact(graph);
  assert.equal(shape(small, "conv1.weight"), [2, 2, 3, 3]);
  sameOutputs(small, graph);
  const open = { ...graph, inputs: [{ ...graph.inputs[0]!, shape: [null, 2, null, null] }] };
  assert.is((await compact(open)).report.removed, 0);
});

test("a row of a kept channel that nobody needs any more does not hold what it reads", async () => {
  // fc does not read channel 1, but conv1 does: conv2's filter 1 stays for its place in the sum, and what only it read goes.
  const graph = changed(residualNet(), {
    "fc.weight": (w) => {
      for (let o = 0; o < 3; o++) w[o * 4 + 1] = 0;
    },
    "conv2.weight": (w) => {
      for (const o of [0, 2, 3]) w.fill(0, (o * 6 + 5) * 9, (o * 6 + 6) * 9);
    },
  });
  const { graph: small } = await compact(graph);
  assert.equal(shape(small, "conv2.weight"), [4, 5, 3, 3]);
  sameOutputs(small, graph);
});

test("a mask counts even where the weight under it is no zero", async () => {
  const graph = residualNet();
  const mask = new Uint8Array(6 * 4 * 9).fill(1).fill(0, 2 * 36, 3 * 36);
  const masked = {
    ...changed(graph, { "bn1.bias": (b) => b.fill(-1), "bn1.running_mean": (m) => m.fill(0) }),
    masks: new Map([["conv1.weight", { dtype: "bool", shape: [6, 4, 3, 3], data: mask }]]),
  } as Graph;
  const { graph: small } = await compact(masked);
  assert.equal(shape(small, "conv1.weight"), [5, 4, 3, 3]);
  sameOutputs(small, masked);
});

test("inputs that a first product never reads are left out by a Gather, where they are many", async () => {
  const build = (unread: number): Graph => {
    const l = layers("inputs");
    const x = l.b.input("x", [null, 16]);
    const hidden = l.relu("relu", l.linear("fc1", x, 16, 5));
    l.b.output(l.linear("fc2", hidden, 5, 3), [null, 3]);
    return changed(l.b.build(), {
      "fc1.weight": (w) => {
        for (let o = 0; o < 5; o++) w.fill(0, o * 16 + 3, o * 16 + 3 + unread);
      },
    });
  };
  const { graph: small, report } = await compact(build(6));
  assert.equal(report.inputs, [{ node: "fc1", read: 10, of: 16 }]);
  assert.equal(
    small.nodes.map((n) => n.op),
    ["Gather", "Gemm", "Relu", "Gemm"],
  );
  assert.equal(shape(small, "fc1.weight"), [5, 10]);
  assert.equal(small.inputs, build(6).inputs);
  sameOutputs(small, build(6));
  assert.is((await compact(small)).graph, small);
  // One of sixteen is not worth another pass over the input.
  const few = build(1);
  assert.is((await compact(few)).graph, few);
});

test("the report says what went and what that saves", async () => {
  const graph = changed(residualNet(), {
    "conv2.weight": (w) => {
      for (let o = 0; o < 4; o++) w.fill(0, (o * 6 + 4) * 9, (o * 6 + 5) * 9);
    },
  });
  const { report } = await compact(graph);
  // One filter of conv1 (36 weights, 2 of bn1) and its column of conv2 (36 zeros); 25 pixels.
  assert.equal(report.removed, 1);
  assert.equal(
    report.layers.map((l) => [l.layer, l.units, l.removed, l.columns]),
    [
      ["conv0", 4, 0, 18],
      ["conv1", 6, 1, 36],
      ["conv2", 4, 0, 45],
      ["fc", 3, 0, 4],
    ],
  );
  const { before, after } = report;
  assert.equal(
    [before.parameters - after.parameters, before.nonzeros - after.nonzeros, before.macs - after.macs],
    [74, 38, 25 * 72],
  );
});

test("a constant folds into the biases of an unpadded convolution and of a Gemm, which may be new ones", async () => {
  const l = layers("fold");
  const x = l.b.input("image", [null, 2, 4, 4]);
  const a = l.relu("relu0", l.conv("conv0", x, [4, 2, 3, 3], {}, true));
  const b = l.relu("relu1", l.bn("bn1", l.conv("conv1", a, [5, 4, 3, 3], { pads: [0, 0, 0, 0] }), 5));
  l.head(b, 5);
  const graph = changed(l.b.build(), {
    "conv0.weight": (w) => w.fill(0, 18, 36),
    "conv0.bias": (w) => {
      w[1] = 0.7;
    },
    "conv1.weight": (w) => w.fill(0, 2 * 36, 3 * 36),
    "bn1.weight": (w) => {
      w[2] = 1;
    },
    "bn1.bias": (w) => {
      w[2] = 4;
    },
  });
  const { graph: small, report } = await compact(graph);
  assert.equal(report.folded, [
    { node: "conv1", channels: 1 },
    { node: "fc", channels: 1 },
  ]);
  assert.equal(shape(small, "conv1.weight"), [4, 3, 3, 3]);
  assert.equal(shape(small, "conv1.bias"), [4]);
  assert.equal(shape(small, "fc.weight"), [3, 4]);
  sameOutputs(small, graph);
});

test("a net that is all zero keeps one channel everywhere", async () => {
  const graph = residualNet();
  const blank = withWeights(
    graph,
    new Map(
      [...graph.weights].map(([n, w]) => [
        n,
        n.includes("running") ? w : { ...w, data: new Float32Array(w.data.length) },
      ]),
    ),
  );
  const { graph: small } = await compact(blank);
  for (const [name, w] of small.weights) assert.ok(w.data.length > 0, name);
  assert.equal(shape(small, "conv1.weight"), [1, 1, 3, 3]);
});

test("whatever an extreme random mask kills goes without changing the outputs", async () => {
  let removed = 0;
  for (const [, build] of handMade) {
    for (let seed = 0; seed < 6; seed++) {
      const options = {
        method: "random",
        granularity: "element",
        sparsity: 0.75 + 0.03 * seed,
        seed,
      } as const;
      const { graph } = await prune(build(), options);
      const { graph: small, report } = await compact(graph);
      removed += report.removed;
      sameOutputs(small, graph);
      assert.is((await compact(small)).report.removed, 0, "a second pass finds more");
    }
  }
  assert.ok(removed > 50, `only ${removed} channels died`);
});

test("negative zeros are zeros", async () => {
  const graph = changed(residualNet(), {
    "conv2.weight": (w) => {
      for (let o = 0; o < 4; o++) w.fill(-0, (o * 6 + 4) * 9, (o * 6 + 5) * 9);
    },
  });
  assert.is((await compact(graph)).report.removed, 1);
  assert.ok(Object.is(getNumber(graph.weights.get("conv2.weight")!.data, 36), -0));
});

test.run();
