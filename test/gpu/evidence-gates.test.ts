import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Dataset, preprocess } from "../../src/data/dataset.ts";
import { collectEvidence } from "../../src/evidence/collect.ts";
import { type Graph, withWeights } from "../../src/graph/graph.ts";
import { runReference } from "../../src/run/reference.ts";
import { type HostTensor, toNumbers } from "../../src/tensor/host-tensor.ts";
import { assertClose } from "../support/close.ts";
import { gpuTest } from "../support/gpu.ts";
import { linearCases, linearNet, plain, randomImages, softmax } from "../support/linear-case.ts";
import { layers } from "../support/prune-graphs.ts";

const test = suite("evidence of gates");

gpuTest(test, "a linear classifier's gates: Σ over images of (p - t) z, batch by batch", async (gpu) => {
  const graph = linearNet();
  const data = randomImages(12, [1, 2, 2], 3);
  const w = toNumbers(graph.weights.get("w")!);
  const want = new Float64Array(3 * 3);
  const relevance = new Float64Array(3);
  for (const [n, { x, p, label }] of linearCases(graph, data).entries()) {
    const z = [0, 1, 2].map((c) => x.reduce((sum, v, k) => sum + v * w[c * 4 + k]!, 0));
    // Σ |t - p| is 2 (1 - p_t), and dp_t/dz_c = p_t ((c = t) - p_c).
    for (let c = 0; c < 3; c++) {
      const t = c === label ? 1 : 0;
      want[Math.floor(n / 4) * 3 + c]! += ((p[c]! - t) * z[c]!) / 4;
      relevance[c]! += (2 * p[label]! * (t - p[c]!) * z[c]!) / 12;
    }
  }
  // With seed 0 the twelve images come in another order, which the mean does not see, but the batches do.
  const evidence = await collectEvidence(gpu, graph, data, ["gateGradients", "gateRelevance"], {
    preprocessing: plain,
    batch: 12,
  });
  const whole = Float64Array.from([0, 1, 2], (c) => (want[c]! + want[3 + c]! + want[6 + c]!) / 3);
  const near = { abs: 1e-5 * Math.max(...whole.map(Math.abs)) };
  assert.equal(evidence.gateGradients!.get("w")!.shape, [1, 3]);
  assertClose(toNumbers(evidence.gateGradients!.get("w")!), whole, near, "cross-entropy");
  assertClose(toNumbers(evidence.gateRelevance!.get("w")!), relevance, near, "absolute error");
  const split = await collectEvidence(gpu, graph, data, "taylor", { preprocessing: plain, batch: 4 });
  const rows = split.gateGradients!.get("w")!;
  assert.equal(rows.shape, [3, 3]);
  const means = [0, 1, 2].map((c) => [0, 3, 6].reduce((s, r) => s + Number(rows.data[r + c]) / 3, 0));
  assertClose(means, whole, near, "mean of the batches");
});

/** conv0 is normalised, conv1 not; both feed a sum. */
function net(): Graph {
  const l = layers("gates", 6);
  const x = l.b.input("image", [null, 2, 5, 7]);
  const stem = l.relu("relu0", l.bn("bn0", l.conv("conv0", x, [4, 2, 3, 3]), 4));
  const body = l.conv("conv1", stem, [4, 4, 3, 3], {}, true);
  l.head(l.relu("relu1", l.b.node("Add", [body, stem], {}, { name: "add" })), 4, 4);
  return l.b.build();
}

function meanError(graph: Graph, data: Dataset, linear: boolean): number {
  let sum = 0;
  for (let n = 0; n < data.length; n++) {
    const [logits] = Object.values(runReference(graph, { image: preprocess(data, n, 1, plain) }));
    const p = softmax(toNumbers(logits!));
    const label = data.labels[n]!;
    sum += linear ? p.reduce((s, v, c) => s + Math.abs(v - (c === label ? 1 : 0)), 0) : -Math.log(p[label]!);
  }
  return sum / data.length;
}

/** What the gate of a channel multiplies: the scale and shift of its normalisation, or its own filter and bias. */
function gatedBy(graph: Graph, names: readonly string[], channel: number, gate: number): Graph {
  const changed = names.map((name): [string, HostTensor] => {
    const t = graph.weights.get(name)!;
    const size = t.data.length / 4;
    const data = Float64Array.from(t.data as Float32Array, (v, i) =>
      Math.floor(i / size) === channel ? v * gate : v,
    );
    return [name, { ...t, data: data as unknown as Float32Array<ArrayBuffer> }];
  });
  return withWeights(graph, new Map(changed));
}

gpuTest(
  test,
  "gates behind normalisation, and on a layer of its own, by differences of the loss",
  async (gpu) => {
    const graph = net();
    const data = randomImages(6);
    const evidence = await collectEvidence(gpu, graph, data, ["gateGradients", "gateRelevance"], {
      preprocessing: plain,
    });
    for (const [weight, gated] of [
      ["conv0.weight", ["bn0.weight", "bn0.bias"]],
      ["conv1.weight", ["conv1.weight", "conv1.bias"]],
    ] as const) {
      for (let channel = 0; channel < 4; channel++) {
        const slope = (linear: boolean): number => {
          const at = (gate: number): number => meanError(gatedBy(graph, gated, channel, gate), data, linear);
          return (at(1 + 1e-5) - at(1 - 1e-5)) / 2e-5;
        };
        const entropy = Number(evidence.gateGradients!.get(weight)!.data[channel]);
        const relevance = Number(evidence.gateRelevance!.get(weight)!.data[channel]);
        assert.ok(Math.abs(entropy) > 1e-4, "nothing to compare");
        assertClose(
          [entropy, -relevance],
          [slope(false), slope(true)],
          { rel: 1e-3, abs: 1e-5 },
          `${weight} ${channel}`,
        );
      }
    }
  },
);

test.run();
