import { suite } from "uvu";
import * as assert from "uvu/assert";
import { preprocess } from "../../src/data/dataset.ts";
import { collectEvidence } from "../../src/evidence/collect.ts";
import { type Graph, makeGraph } from "../../src/graph/graph.ts";
import { rankOf } from "../../src/graph/ops/matrix-rank.ts";
import { runReference } from "../../src/run/reference.ts";
import { toNumbers } from "../../src/tensor/host-tensor.ts";
import { assertClose } from "../support/close.ts";
import { gpuTest } from "../support/gpu.ts";
import { plain, randomImages } from "../support/linear-case.ts";
import { layers } from "../support/prune-graphs.ts";

const test = suite("evidence of feature maps");

/** A residual block, a concatenation, maps of several sizes, a fully connected layer with ReLU. */
function net(): Graph {
  const l = layers("features", 4);
  const x = l.b.input("image", [null, 2, 5, 7]);
  const stem = l.relu("relu0", l.bn("bn0", l.conv("conv0", x, [4, 2, 3, 3]), 4));
  const sum = l.b.node(
    "Add",
    [l.bn("bn1", l.conv("conv1", stem, [4, 4, 3, 3]), 4), stem],
    {},
    { name: "add" },
  );
  const block = l.relu("relu1", sum);
  const wide = l.conv("conv2", block, [6, 4, 3, 3], { strides: [2, 2] }, true);
  const thin = l.conv("conv3", block, [3, 4, 1, 1], { strides: [2, 2] }, true);
  const both = l.b.node("Concat", [wide, thin], { axis: 1 }, { name: "join" });
  const flat = l.b.node("Flatten", [l.relu("relu2", l.bn("bn2", both, 9))], {}, { name: "flat" });
  const hidden = l.relu("relu3", l.linear("fc1", flat, 9 * 12, 5));
  l.b.output(l.linear("fc2", hidden, 5, 4), [null, 4]);
  return l.b.build();
}

/** Value, first channel and number of channels of every layer. */
const places: readonly (readonly [string, string, number, number])[] = [
  ["conv0.weight", "relu0", 0, 4],
  ["conv1.weight", "relu1", 0, 4],
  ["conv2.weight", "relu2", 0, 6],
  ["conv3.weight", "relu2", 6, 3],
  ["fc1.weight", "relu3", 0, 5],
  ["fc2.weight", "fc2", 0, 4],
];

gpuTest(test, "ranks and shares of zeros of every layer's own channels, by their definition", async (gpu) => {
  const graph = net();
  const data = randomImages(12);
  const evidence = await collectEvidence(gpu, graph, data, ["featureRanks", "zeroShares"], {
    preprocessing: plain,
    batch: 4,
  });
  const names = [...new Set(places.map(([, value]) => value))];
  const outputs = names.map((name) => ({ name, dtype: "f32" as const, shape: [] }));
  const values = runReference(makeGraph({ ...graph, outputs }), { image: preprocess(data, 0, 12, plain) });
  for (const [weight, value, from, channels] of places) {
    const { shape, data: own } = values[value]!;
    const [height, width] = [shape[2] ?? 1, shape[3] ?? 1];
    const size = height * width;
    const ranks = new Float64Array(channels);
    const zeros = new Float64Array(channels);
    for (let n = 0; n < 12; n++) {
      for (let c = 0; c < channels; c++) {
        const at = (n * shape[1]! + from + c) * size;
        const map = Float64Array.from((own as Float64Array).subarray(at, at + size));
        ranks[c]! += rankOf(map, height, width) / (12 * Math.min(height, width));
        zeros[c]! += map.filter((v) => v === 0).length / (12 * size);
      }
    }
    const near = { abs: 1e-12 };
    assertClose(toNumbers(evidence.featureRanks!.get(weight)!), ranks, near, `ranks of ${weight}`);
    assertClose(toNumbers(evidence.zeroShares!.get(weight)!), zeros, near, `zeros of ${weight}`);
    if (value !== "fc2")
      assert.ok(
        zeros.some((z) => z > 0 && z < 1),
        `${weight}: nothing to tell apart`,
      );
  }
});

test.run();
