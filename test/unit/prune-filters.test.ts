import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Graph } from "../../src/graph/graph.ts";
import { type PruneOptions, prune } from "../../src/prune/prune.ts";
import {
  concatNet,
  depthwiseNet,
  groupedNet,
  handMade,
  layers,
  residualNet,
  shortcutNet,
  splitNet,
} from "../support/prune-graphs.ts";
import { sameOutputs } from "../support/prune-outputs.ts";

const test = suite("prune filters");
const base: PruneOptions = { method: "magnitude", granularity: "filter", sparsity: 0.5 };
const shape = (graph: Graph, name: string): readonly number[] => graph.weights.get(name)!.shape;

for (const [name, build] of handMade) {
  test(`${name}: the smaller net equals the net with the same channels masked`, async () => {
    const graph = build();
    const plain = graph.nodes.length;
    for (const options of [
      base,
      { ...base, sparsity: 0.3, norm: "l2" as const },
      { ...base, sparsity: 0.9 },
      { ...base, sparsity: 0.4, scope: "global" as const },
      { ...base, method: "random", seed: 5 },
    ]) {
      const small = await prune(graph, options);
      const masked = await prune(graph, { ...options, keepShape: true });
      sameOutputs(small.graph, masked.graph);
      assert.is(small.graph.nodes.length, plain);
      const cut = [...graph.weights].filter(([w, t]) => String(shape(small.graph, w)) !== String(t.shape));
      assert.ok(cut.length > 0, "nothing was removed");
      for (const [w, t] of graph.weights) assert.equal(shape(masked.graph, w), t.shape);
    }
  });
}

test("counts follow the published rule, in every coupled layer", async () => {
  const { graph } = await prune(shortcutNet(), { ...base, sparsity: 0.3 });
  // trunc(4 · 0.7) = 2 and trunc(8 · 0.7) = 5.
  assert.equal(shape(graph, "conv0.weight"), [2, 2, 3, 3]);
  assert.equal(shape(graph, "conv1.weight"), [5, 2, 3, 3]);
  assert.equal(shape(graph, "fc.weight"), [3, 5]);
  const removed = await prune(shortcutNet(), { ...base, sparsity: 0.3, rounding: "removed" });
  assert.equal(shape(removed.graph, "conv1.weight"), [6, 3, 3, 3]);
});

test("the filters with the smallest norms go, lowest index first among equals", async () => {
  const l = layers("ordered");
  const x = l.b.input("image", [null, 1, 3, 3]);
  const conv = l.relu("relu", l.conv("conv0", x, [4, 1, 1, 1]));
  l.head(conv, 4);
  const graph = l.b.build();
  const data = graph.weights.get("conv0.weight")!.data as Float32Array;
  data.set([0.3, -0.1, 2, 0.1]);
  const left = async (sparsity: number): Promise<number[]> =>
    [
      ...((await prune(graph, { ...base, sparsity })).graph.weights.get("conv0.weight")!
        .data as Float32Array),
    ].map((v) => Math.round(v * 10) / 10);
  assert.equal(await left(0.25), [0.3, 2, 0.1]);
  assert.equal(await left(0.5), [0.3, 2]);
  assert.equal(await left(0.99), [2]);
});

test("no layer loses its last channel, whatever the rate", async () => {
  for (const [, build] of handMade) {
    for (const scope of ["layer", "global"] as const) {
      const { graph } = await prune(build(), { ...base, sparsity: 0.999, scope });
      for (const [name, w] of graph.weights) assert.ok(w.dtype !== "f32" || w.data.length > 0, name);
      sameOutputs(graph, (await prune(build(), { ...base, sparsity: 0.999, scope, keepShape: true })).graph);
    }
  }
});

test("the output layer keeps its filters, and asking for them is refused", async () => {
  const { graph } = await prune(residualNet(), { ...base, sparsity: 0.9 });
  assert.is(shape(graph, "fc.weight")[0], 3);
  try {
    await prune(residualNet(), { ...base, sparsity: { fc: 0.5 } });
    assert.unreachable();
  } catch (error) {
    assert.is((error as { code: string }).code, "E_PRUNE");
  }
});

test("a skipped layer keeps its filters, and so does what is coupled to it", async () => {
  const { graph } = await prune(residualNet(), { ...base, skip: ["conv2"] });
  assert.equal(shape(graph, "conv0.weight"), [4, 2, 3, 3]);
  assert.equal(shape(graph, "conv1.weight"), [3, 4, 3, 3]);
});

test("shares per layer are met exactly, contradictions between coupled layers refused", async () => {
  const { graph } = await prune(residualNet(), {
    ...base,
    sparsity: { conv0: 0.25, conv1: 0.5, conv2: 0.25 },
  });
  assert.equal(shape(graph, "conv1.weight"), [3, 3, 3, 3]);
  const alone = await prune(residualNet(), { ...base, sparsity: { conv2: 0.5 } });
  assert.equal(shape(alone.graph, "conv0.weight"), [2, 2, 3, 3]);
  try {
    await prune(residualNet(), { ...base, sparsity: { conv0: 0, conv2: 0.5 } });
    assert.unreachable();
  } catch (error) {
    const e = error as { code: string; message: string };
    assert.is(e.code, "E_PRUNE", e.message);
    assert.ok(e.message.includes("conv2") && e.message.includes("same sparsity"), e.message);
  }
});

test("roundTo keeps multiples, in both scopes", async () => {
  for (const scope of ["layer", "global"] as const) {
    const { graph } = await prune(groupedNet(), { ...base, sparsity: 0.4, roundTo: 4, scope });
    for (const name of ["conv0.weight", "group.weight"])
      assert.is(shape(graph, name)[0]! % 4, 0, `${scope} ${name}`);
  }
});

test("depthwise and grouped convolutions stay valid", async () => {
  const depth = (await prune(depthwiseNet(), base)).graph;
  assert.is(depth.nodes.find((n) => n.name === "depth")!.attributes.get("group"), 3);
  assert.equal(shape(depth, "depth.weight"), [3, 1, 3, 3]);
  const grouped = (await prune(groupedNet(), base)).graph;
  assert.equal(shape(grouped, "group.weight"), [6, 2, 3, 3]);
  assert.equal(shape(grouped, "conv0.weight"), [4, 2, 3, 3]);
});

test("split sizes and concat places follow", async () => {
  const { graph } = await prune(splitNet(), { ...base, method: "random", seed: 2 });
  const sizes = [...(graph.weights.get("sizes")!.data as BigInt64Array)].map(Number);
  assert.is(sizes[0]! + sizes[1]!, 3);
  assert.ok(sizes.every((s) => s > 0));
  const joined = (await prune(concatNet(), base)).graph;
  assert.is(
    shape(joined, "convC.weight")[1],
    shape(joined, "convA.weight")[0]! + shape(joined, "convB.weight")[0]!,
  );
});

test("masking zeroes filter, bias, BatchNormalization scale and shift, and masks all of them", async () => {
  const { graph, record } = await prune(residualNet(), { ...base, keepShape: true });
  const names = ["conv1.weight", "bn1.weight", "bn1.bias"];
  for (const name of names) {
    const mask = graph.masks.get(name)!.data as Uint8Array;
    const w = graph.weights.get(name)!.data as Float32Array;
    assert.is(mask.filter((m) => m === 0).length, mask.length / 2, name);
    for (let i = 0; i < w.length; i++) assert.is(w[i] === 0, mask[i] === 0);
  }
  assert.not.ok(graph.masks.has("bn1.running_var"));
  const step = record.steps[0]!;
  assert.ok(step.kind === "prune" && step.structure.weights.length === 0);
});

test("masked filters are the first to be removed afterwards", async () => {
  const masked = (await prune(residualNet(), { ...base, method: "random", keepShape: true })).graph;
  const small = (await prune(masked, base)).graph;
  assert.equal(shape(small, "conv1.weight"), [3, 2, 3, 3]);
  sameOutputs(small, masked);
  for (const [name, mask] of small.masks)
    assert.ok(
      (mask.data as Uint8Array).every((m) => m === 1),
      name,
    );
});

test("a channel that would leave a non-zero constant behind is kept, with a note", async () => {
  const l = layers("sigmoid");
  const x = l.b.input("image", [null, 2, 4, 4]);
  const a = l.b.node("Sigmoid", [l.conv("conv0", x, [4, 2, 3, 3], {}, true)], {}, { name: "sigmoid" });
  const b = l.relu("relu1", l.conv("conv1", a, [6, 4, 3, 3], {}, true));
  l.head(b, 6);
  const { graph, record } = await prune(l.b.build(), base);
  assert.equal(shape(graph, "conv0.weight"), [4, 2, 3, 3]);
  assert.equal(shape(graph, "conv1.weight"), [3, 4, 3, 3]);
  const step = record.steps[0]!;
  assert.ok(step.kind === "prune" && step.notes[0]?.includes("conv1") && step.notes[0].includes("0.5"));
});

test("a gated channel is exact: zero times anything is zero", async () => {
  const l = layers("gate");
  const x = l.b.input("image", [null, 2, 4, 4]);
  const a = l.relu("relu0", l.conv("conv0", x, [6, 2, 3, 3], {}, true));
  const squeezed = l.b.node("GlobalAveragePool", [a], {}, { name: "squeeze" });
  const down = l.relu("relu1", l.conv("down", squeezed, [4, 6, 1, 1], {}, true));
  const gate = l.b.node("Sigmoid", [l.conv("up", down, [6, 4, 1, 1], {}, true)], {}, { name: "gate" });
  l.head(l.conv("conv1", l.b.node("Mul", [a, gate], {}, { name: "mul" }), [4, 6, 3, 3], {}, true), 4);
  const graph = l.b.build();
  const small = (await prune(graph, base)).graph;
  assert.equal(shape(small, "conv0.weight"), [3, 2, 3, 3]);
  assert.equal(shape(small, "up.weight"), [3, 2, 1, 1]);
  sameOutputs(small, (await prune(graph, { ...base, keepShape: true })).graph);
});

test("unknown image sizes are no obstacle; given ones have to fit the model", async () => {
  const l = layers("any");
  const x = l.b.input("image", [null, 2, null, null]);
  l.head(l.relu("relu0", l.conv("conv0", x, [4, 2, 3, 3], {}, true)), 4);
  const graph = l.b.build();
  const free = await prune(graph, base);
  assert.equal(shape(free.graph, "conv0.weight"), [2, 2, 3, 3]);
  const told = await prune(graph, { ...base, inputShapes: { image: [3, 2, 9, 9] } });
  assert.equal(told.graph.weights.get("conv0.weight"), free.graph.weights.get("conv0.weight"));
  const wrong: Record<string, number[]>[] = [
    { image: [1, 3, 9, 9] },
    { picture: [1, 2, 9, 9] },
    { image: [1, 2] },
  ];
  for (const inputShapes of wrong) {
    try {
      await prune(graph, { ...base, inputShapes });
      assert.unreachable();
    } catch (error) {
      assert.is((error as { code: string }).code, "E_INPUT");
    }
  }
});

test.run();
