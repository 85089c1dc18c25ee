import { suite } from "uvu";
import * as assert from "uvu/assert";
import { preprocess } from "../../src/data/dataset.ts";
import { evidenceAgain } from "../../src/evidence/again.ts";
import { collectEvidence } from "../../src/evidence/collect.ts";
import { graphBuilder } from "../../src/graph/builder.ts";
import { type Graph, makeGraph, withWeights } from "../../src/graph/graph.ts";
import { prunableLayers } from "../../src/prune/layers.ts";
import { prune } from "../../src/prune/prune.ts";
import { replay } from "../../src/prune/replay.ts";
import { staticTypes } from "../../src/prune/types.ts";
import { pruneInRounds } from "../../src/recipes/rounds.ts";
import { runReference } from "../../src/run/reference.ts";
import { toNumbers } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import { fails } from "../support/error.ts";
import { gpuTest } from "../support/gpu.ts";
import { linearCases, linearNet, plain, randomImages, softmax } from "../support/linear-case.ts";
import { noise } from "../support/prune-graphs.ts";
import { residualNet } from "../support/training-nets.ts";

const test = suite("evidence");
function close(got: ArrayLike<number | bigint>, want: ArrayLike<number>, tolerance = 1e-5): void {
  assert.is(got.length, want.length);
  const scale = Math.max(...Array.from(want, Math.abs), 1e-30);
  for (let i = 0; i < want.length; i++) {
    assert.ok(
      Math.abs(Number(got[i]) - want[i]!) <= tolerance * scale,
      `element ${i} is ${got[i]}, not ${want[i]}`,
    );
  }
}

gpuTest(test, "gradients of a linear classifier are (p - t) xᵀ, whatever the batch", async (gpu) => {
  const graph = linearNet();
  const data = randomImages(12, [1, 2, 2], 3);
  const want = new Float64Array(12);
  for (const { x, p, label } of linearCases(graph, data)) {
    for (let i = 0; i < 12; i++) {
      const c = Math.floor(i / 4);
      want[i]! += ((p[c]! - (c === label ? 1 : 0)) * x[i % 4]!) / 12;
    }
  }
  for (const batch of [12, 5, 1]) {
    const evidence = await collectEvidence(gpu, graph, data, "snip", { preprocessing: plain, batch });
    close(evidence.gradients!.get("w")!.data, want);
  }
});

gpuTest(
  test,
  "gradients through convolutions and normalisation agree with differences of the loss",
  async (gpu) => {
    const graph = residualNet(3);
    const data = randomImages(6);
    const loss = (g: Graph): number => {
      let sum = 0;
      for (let n = 0; n < 6; n++) {
        const { logits } = runReference(g, { image: preprocess(data, n, 1, plain) });
        sum -= Math.log(softmax(toNumbers(logits!))[data.labels[n]!]!) / 6;
      }
      return sum;
    };
    for (const norms of ["running", "batch"] as const) {
      const evidence = await collectEvidence(gpu, graph, data, "snip", { preprocessing: plain, norms });
      assert.equal([...evidence.gradients!.keys()], ["conv1", "conv2", "fc"]);
      if (norms === "batch") continue;
      for (const [name, gradient] of evidence.gradients!) {
        const weight = graph.weights.get(name)!;
        for (const i of [0, 7, weight.data.length - 1]) {
          const moved = (by: number): number => {
            const data = Float64Array.from(weight.data as Float32Array);
            data[i]! += by;
            const wide = { ...weight, data: Float32Array.from(data) };
            const real = wide.data[i]! - (weight.data[i] as number);
            return (loss(withWeights(graph, new Map([[name, wide]]))) - loss(graph)) / real;
          };
          const slope = (moved(1e-3) + moved(-1e-3)) / 2;
          assert.ok(
            Math.abs(slope - Number(gradient.data[i])) < 2e-3 * (Math.abs(slope) + 0.05),
            `${name} ${i}`,
          );
        }
      }
    }
  },
);

/** What every column of a convolution's weight is multiplied by: [groups][positions][columns], by the definition. */
function columnsOf(
  x: readonly number[],
  [n, c, h, w]: readonly number[],
  k: readonly [number, number],
  stride: number,
  pads: readonly number[],
  groups: number,
): number[][][] {
  const width = c! / groups;
  const out = [
    Math.floor((h! + pads[0]! + pads[2]! - k[0]) / stride) + 1,
    Math.floor((w! + pads[1]! + pads[3]! - k[1]) / stride) + 1,
  ];
  return Array.from({ length: groups }, (_, g) => {
    const rows: number[][] = [];
    for (let image = 0; image < n!; image++) {
      for (let oy = 0; oy < out[0]!; oy++) {
        for (let ox = 0; ox < out[1]!; ox++) {
          const row: number[] = [];
          for (let channel = 0; channel < width; channel++) {
            for (let ky = 0; ky < k[0]; ky++) {
              for (let kx = 0; kx < k[1]; kx++) {
                const [y, z] = [oy * stride + ky - pads[0]!, ox * stride + kx - pads[1]!];
                const inside = y >= 0 && z >= 0 && y < h! && z < w!;
                const at = ((image * c! + g * width + channel) * h! + y) * w! + z;
                row.push(inside ? x[at]! : 0);
              }
            }
          }
          rows.push(row);
        }
      }
    }
    return rows;
  });
}

/** A strided, padded convolution in two groups, then a MatMul on turned rows. */
function probedNet(): Graph {
  const b = graphBuilder("probed");
  const random = seeded(9);
  const x = b.input("image", [null, 2, 5, 7]);
  const grouped = b.node("Conv", [x, b.weight("grouped", noise([4, 1, 3, 2], random))], {
    group: 2,
    strides: [2, 2],
    pads: [1, 0, 1, 1],
  });
  const flat = b.node("Flatten", [grouped]);
  const head = b.weight("head", noise([48, 4], random));
  b.output(b.node("MatMul", [flat, head], {}, { outputs: ["logits"] }), [null, 4]);
  return b.build();
}

gpuTest(
  test,
  "norms, means and second moments of inputs by their definition, groups and padding included",
  async (gpu) => {
    const graph = probedNet();
    const data = randomImages(6);
    const evidence = await collectEvidence(gpu, graph, data, ["inputNorms", "inputMeans", "inputMoments"], {
      preprocessing: plain,
      batch: 4,
    });
    const x = preprocess(data, 0, 6, plain);
    const inner = runReference(
      makeGraph({ ...graph, outputs: [{ name: "Conv_0", dtype: "f32", shape: [null, 4, 3, 4] }] }),
      { image: x },
    );
    const layers = new Map([
      ["grouped", columnsOf(toNumbers(x), [6, 2, 5, 7], [3, 2], 2, [1, 0, 1, 1], 2)],
      ["head", [Array.from({ length: 6 }, (_, n) => toNumbers(inner["Conv_0"]!).slice(n * 48, n * 48 + 48))]],
    ]);
    for (const [name, groups] of layers) {
      const count = groups[0]!.length;
      const cols = groups[0]![0]!.length;
      const per = (of: (rows: number[][]) => number[]): number[] => groups.flatMap(of);
      const columns = Array.from({ length: cols }, (_, k) => k);
      const sum = (rows: number[][], of: (row: number[]) => number): number =>
        rows.reduce((s, row) => s + of(row), 0);
      const norms = per((rows) => columns.map((k) => Math.sqrt(sum(rows, (r) => r[k]! ** 2))));
      const means = per((rows) => columns.map((k) => sum(rows, (r) => r[k]!) / count));
      const moments = per((rows) =>
        columns.flatMap((j) => columns.map((k) => sum(rows, (r) => r[j]! * r[k]!) / count)),
      );
      assert.equal(evidence.inputNorms!.get(name)!.shape, [groups.length, cols]);
      assert.equal(evidence.inputMoments!.get(name)!.shape, [groups.length, cols, cols]);
      close(evidence.inputNorms!.get(name)!.data as Float64Array, norms);
      close(evidence.inputMeans!.get(name)!.data as Float64Array, means);
      close(evidence.inputMoments!.get(name)!.data as Float64Array, moments);
    }
  },
);

gpuTest(
  test,
  "the same call gathers the same evidence, another seed other images, and it replays",
  async (gpu) => {
    const graph = residualNet(3);
    const data = randomImages(40);
    const options = { preprocessing: plain, images: 8, seed: 5 };
    const first = await collectEvidence(gpu, graph, data, "wanda", options);
    const again = await collectEvidence(gpu, graph, data, "wanda", options);
    const other = await collectEvidence(gpu, graph, data, "wanda", { ...options, seed: 6 });
    assert.equal(first, again);
    assert.not.equal(first.inputNorms, other.inputNorms);
    assert.is(first.source!.images, 8);
    assert.is(first.source!.data!.images, 40);
    const { graph: pruned, record } = await prune(graph, { method: "wanda", sparsity: 0.5, evidence: first });
    const step = record.steps[0]!;
    assert.ok(step.kind === "prune" && step.evidence?.adapter === gpu.adapter.key);
    assert.equal([...(await replay(record, graph, again)).masks], [...pruned.masks]);
  },
);

gpuTest(test, "several rounds, each with evidence of its own, replay to the same bytes", async (gpu) => {
  const graph = residualNet(3);
  const data = randomImages(24);
  for (const options of [
    { method: "obd", rounds: 2, recover: "bias" },
    { method: "synflow", rounds: 2 },
    { method: "sparsegpt", granularity: "2:4" },
  ] as const) {
    const { graph: pruned, record } = await pruneInRounds(gpu, graph, data, {
      ...options,
      ...(options.method !== "sparsegpt" && { sparsity: 0.6 }),
      seed: 3,
      skip: ["Conv_0"],
      collect: { preprocessing: plain, images: 6, ...(options.method === "synflow" && { rounds: 5 }) },
    });
    // sparsegpt: a step for each of the layers that are not skipped.
    const layers = prunableLayers(graph, staticTypes(graph)).length - 1;
    assert.is(record.steps.length, options.method === "sparsegpt" ? layers : 2);
    const again = await replay(record, graph, evidenceAgain(gpu, data, plain));
    for (const [name, w] of pruned.weights) assert.equal(again.weights.get(name), w, name);
    assert.equal([...again.masks], [...pruned.masks]);
  }
});

gpuTest(test, "data with another number of classes are refused", async (gpu) => {
  const data = randomImages(4, [1, 2, 2], 5);
  await fails(() => collectEvidence(gpu, linearNet(), data, "snip"), "E_INPUT", /\[4,\s*3\].*5 classes/);
});

gpuTest(test, "methods without images need no data, others say so", async (gpu) => {
  assert.equal(await collectEvidence(gpu, linearNet(), undefined, "magnitude"), {});
  try {
    await collectEvidence(gpu, linearNet(), undefined, "wanda");
    assert.unreachable();
  } catch (error) {
    assert.is((error as { code: string }).code, "E_INPUT");
    assert.match((error as Error).message, "--data");
  }
});

test.run();
