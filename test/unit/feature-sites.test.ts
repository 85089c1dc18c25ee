import { suite } from "uvu";
import * as assert from "uvu/assert";
import { graphBuilder } from "../../src/graph/builder.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { layerFeatures } from "../../src/prune/feature-sites.ts";
import { prunableLayers } from "../../src/prune/layers.ts";
import { staticTypes } from "../../src/prune/types.ts";
import { seeded } from "../../src/tensor/random.ts";
import { layers, noise, residualNet } from "../support/prune-graphs.ts";

const test = suite("where features are seen");

/** Per layer `norm affine activated@from`, one for every node that reads its weight. */
function sites(graph: Graph): Record<string, string[]> {
  const types = staticTypes(graph);
  return Object.fromEntries(
    prunableLayers(graph, types).map((layer) => [
      layer.name,
      layerFeatures(graph, types, layer).map(
        ({ norm, affine, activated: a }) =>
          `${norm?.name ?? "-"} ${affine.value} ${a.value}@${a.from}${a.axis === 1 ? "" : ` axis ${a.axis}`}`,
      ),
    ]),
  );
}

test("behind normalisation and additions, up to the first nonlinearity", () => {
  assert.equal(sites(residualNet()), {
    conv0: ["bn0 bn0 relu0@0"],
    conv1: ["bn1 bn1 relu1@0"],
    // As HRank hooks it: behind the sum with the shortcut.
    conv2: ["bn2 bn2 relu2@0"],
    fc: ["- fc fc@0"],
  });
});

test("of a concatenation only the channels that the layer has just made", () => {
  // Two layers of a DenseNet: normalise, activate, convolve, join.
  const l = layers("dense");
  const x = l.conv("conv0", l.b.input("image", [null, 2, 4, 4]), [4, 2, 3, 3]);
  const a = l.conv("conv1", l.relu("relu1", l.bn("bn1", x, 4)), [3, 4, 3, 3]);
  const one = l.b.node("Concat", [x, a], { axis: 1 }, { name: "join1" });
  const b = l.conv("conv2", l.relu("relu2", l.bn("bn2", one, 7)), [3, 7, 3, 3]);
  const two = l.b.node("Concat", [one, b], { axis: 1 }, { name: "join2" });
  l.head(l.relu("relu3", l.bn("bn3", two, 10)), 10);
  const found = sites(l.b.build());
  assert.equal(found["conv0"], ["- conv0 relu1@0"]);
  assert.equal(found["conv1"], ["- conv1 relu2@4"]);
  assert.equal(found["conv2"], ["- conv2 relu3@7"]);
});

test("behind a pool, and where nothing is activated the layer's own output", () => {
  const found = sites(buildNet("lenet5", { init: "zeros" }));
  // LeNet-5 in Caffe's form activates only its first fully connected layer.
  assert.match(found["conv1"]![0]!, /^- conv1\S* conv1\S*@0$/);
  assert.match(found["ip1"]![0]!, /^- ip1\S* relu1\S*@0$/);
  const l = layers("pooled");
  const x = l.conv("conv0", l.b.input("image", [null, 2, 4, 4]), [4, 2, 3, 3]);
  const pool = l.b.node("MaxPool", [x], { kernel_shape: [2, 2], strides: [2, 2] }, { name: "pool0" });
  l.head(l.relu("relu0", pool), 4);
  assert.equal(sites(l.b.build())["conv0"], ["- conv0 relu0@0"]);
});

test("a weight read twice has two places; channels of MatMul lie on the last axis", () => {
  const b = graphBuilder("shared");
  const random = seeded(3);
  const x = b.input("x", [2, 5, 4]);
  b.weight("w", noise([4, 4], random));
  const first = b.node("Relu", [b.node("MatMul", [x, "w"], {}, { name: "one" })], {}, { name: "relu1" });
  const second = b.node("Relu", [b.node("MatMul", [first, "w"], {}, { name: "two" })], {}, { name: "relu2" });
  b.output(second, [2, 5, 4]);
  assert.equal(sites(b.build()), { one: ["- one relu1@0 axis 2", "- two relu2@0 axis 2"] });
});

test.run();
