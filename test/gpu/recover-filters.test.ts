import { suite } from "uvu";
import * as assert from "uvu/assert";
import { preprocess } from "../../src/data/dataset.ts";
import { collectEvidence } from "../../src/evidence/collect.ts";
import { type Graph, makeGraph } from "../../src/graph/graph.ts";
import { prune } from "../../src/prune/prune.ts";
import { runReference } from "../../src/run/reference.ts";
import { toNumbers } from "../../src/tensor/host-tensor.ts";
import { gpuTest } from "../support/gpu.ts";
import { plain, randomImages } from "../support/linear-case.ts";
import { handMade, residualNet } from "../support/prune-graphs.ts";
import { sameOutputs } from "../support/prune-outputs.ts";

const test = suite("recovery of filters");
const kinds = ["inputMoments", "inputMeans"] as const;
const shapeOf = (graph: Graph): [number, number, number] => {
  const [, c, h, w] = graph.inputs[0]!.shape;
  return [c!, h!, w!];
};

gpuTest(test, "through every coupling the smaller net is the masked one, fitted alike", async (gpu) => {
  let fitted = 0;
  for (const [name, build] of handMade) {
    const graph = build();
    const images = randomImages(8, shapeOf(graph), 3);
    const evidence = await collectEvidence(gpu, graph, images, kinds, { preprocessing: plain });
    for (const method of ["magnitude", "thinet"]) {
      const options = { method, granularity: "filter", sparsity: 0.4, evidence } as const;
      const small = await prune(graph, { ...options, recover: "least-squares" });
      sameOutputs(
        small.graph,
        (await prune(graph, { ...options, recover: "least-squares", keepShape: true })).graph,
      );
      const plainly = await prune(graph, { ...options, recover: "none" });
      const changed = [...plainly.graph.weights].filter(([w, t]) => {
        const other = small.graph.weights.get(w)!;
        assert.equal(other.shape, t.shape, `${name} ${w}`);
        return toNumbers(other).some((v, i) => v !== toNumbers(t)[i]);
      });
      if (changed.length > 0) fitted++;
    }
  }
  assert.ok(fitted >= 2 * handMade.length - 2, `only ${fitted} of ${2 * handMade.length} nets were fitted`);
});

gpuTest(
  test,
  "what a layer gives on the images it was fitted on: least squares before bias before nothing",
  async (gpu) => {
    const graph = residualNet();
    const images = randomImages(24, [2, 5, 5], 3);
    const evidence = await collectEvidence(gpu, graph, images, kinds, { preprocessing: plain });
    const x = preprocess(images, 0, 24, plain);
    // conv2 reads the filters of conv1; bn2 takes the shift.
    const outputs = (g: Graph): number[] => {
      const seen = makeGraph({ ...g, outputs: [{ name: "bn2", dtype: "f32", shape: [] }] });
      return toNumbers(runReference(seen, { image: x })["bn2"]!);
    };
    const want = outputs(graph);
    const mean = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0) / list.length;
    const errors: number[] = [];
    for (const recover of ["none", "bias", "least-squares"] as const) {
      const { graph: pruned } = await prune(graph, {
        method: "magnitude",
        granularity: "filter",
        sparsity: { conv1: 0.5 },
        evidence,
        recover,
      });
      const got = outputs(pruned);
      errors.push(mean(got.map((v, i) => (v - want[i]!) ** 2)));
      if (recover === "none") continue;
      // The mean of every channel is what it was.
      for (let c = 0; c < 4; c++) {
        const own = (list: readonly number[]): number =>
          mean(list.filter((_, i) => Math.floor(i / 25) % 4 === c));
        assert.ok(Math.abs(own(got) - own(want)) < 1e-3, `channel ${c}: mean ${own(got)}, not ${own(want)}`);
      }
    }
    assert.ok(errors[2]! < 0.8 * errors[1]! && errors[1]! < 0.95 * errors[0]!, `errors ${errors}`);
  },
);

test.run();
