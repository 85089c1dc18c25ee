import { suite } from "uvu";
import * as assert from "uvu/assert";
import { withWeights } from "../../src/graph/graph.ts";
import { inspectGraph, nonzeros } from "../../src/graph/statistics.ts";
import { tensor } from "../../src/tensor/host-tensor.ts";
import { layers, residualNet } from "../support/prune-graphs.ts";

const test = suite("statistics");

test("learned values count, running statistics and settings do not", () => {
  const s = inspectGraph(residualNet());
  const weights = 4 * 2 * 9 + 6 * 4 * 9 + 4 * 6 * 9 + 3 * 4;
  assert.is(s.parameters, weights + 3 + 2 * (4 + 6 + 4));
  assert.is(s.nonzeros, s.parameters);
  assert.is(s.macs, 25 * (weights - 12) + 12);
  assert.is(s.bytes, 4 * (s.parameters + 2 * (4 + 6 + 4)));
  assert.equal(
    s.layers.map((l) => [l.name, l.op, l.parameters, l.macs]),
    [
      ["conv0", "Conv", 72, 1800],
      ["bn0", "BatchNormalization", 8, 0],
      ["conv1", "Conv", 216, 5400],
      ["bn1", "BatchNormalization", 12, 0],
      ["conv2", "Conv", 216, 5400],
      ["bn2", "BatchNormalization", 8, 0],
      ["fc", "Gemm", 15, 12],
    ],
  );
  assert.equal(s.layers[0]!.shape, [4, 2, 3, 3]);
});

test("a stored zero is no parameter that counts, negative zero included", () => {
  const graph = residualNet();
  const data = new Float32Array(12).fill(1);
  data[3] = 0;
  data[5] = -0;
  const s = inspectGraph(withWeights(graph, new Map([["fc.weight", tensor(data, [3, 4])]])));
  assert.is(s.parameters - s.nonzeros, 2);
  assert.is(nonzeros(tensor(data, [12])), 10);
});

test("a shared weight counts once, a scalar and a bound not at all", () => {
  const l = layers("shared");
  const x = l.b.input("image", [null, 2, 4, 4]);
  const a = l.conv("conv0", x, [2, 2, 1, 1]);
  const b = l.b.node("Conv", [a, "conv0.weight"], {}, { name: "again" });
  const half = l.b.node("Mul", [b, l.b.constant(tensor([0.5], []))], {}, { name: "half" });
  l.b.output(l.b.node("Clip", [half, "", l.b.constant(tensor([6], []))], {}, { name: "clip" }), [
    null,
    2,
    4,
    4,
  ]);
  const s = inspectGraph(l.b.build());
  assert.is(s.parameters, 4);
  assert.is(s.macs, 2 * 4 * 16);
  assert.equal(
    s.layers.map((layer) => [layer.name, layer.parameters]),
    [
      ["conv0", 4],
      ["again", 0],
    ],
  );
});

test("unknown image sizes can be given", () => {
  const l = layers("any");
  const x = l.b.input("image", [null, 2, null, null]);
  l.b.output(l.conv("conv0", x, [3, 2, 3, 3]), [null, 3, null, null]);
  const graph = l.b.build();
  assert.is(inspectGraph(graph, { image: [1, 2, 5, 5] }).macs, 25 * 54);
  assert.throws(
    () => inspectGraph(graph),
    (e: { code: string }) => e.code === "E_INPUT",
  );
});

test.run();
