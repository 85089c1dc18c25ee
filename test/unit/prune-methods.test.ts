import { suite } from "uvu";
import * as assert from "uvu/assert";
import { graphBuilder } from "../../src/graph/builder.ts";
import type { Graph } from "../../src/graph/graph.ts";
import type { Evidence, EvidenceKind } from "../../src/prune/evidence.ts";
import { methods } from "../../src/prune/methods/index.ts";
import { type PruneOptions, prune } from "../../src/prune/prune.ts";
import { tensor } from "../../src/tensor/host-tensor.ts";
import { fails } from "../support/error.ts";

const test = suite("methods by hand");

/** Two fully connected layers without biases: 3 inputs, 2 hidden, 2 outputs. */
function net(): Graph {
  const b = graphBuilder("net");
  const w1 = tensor([1, -2, 3, -4, 5, 6], [2, 3]);
  const w2 = tensor([2, -1, 1, 3], [2, 2]);
  const hidden = b.node("Relu", [
    b.node("Gemm", [b.input("x", [null, 3]), b.weight("w1", w1)], { transB: 1 }),
  ]);
  b.output(b.node("Gemm", [hidden, b.weight("w2", w2)], { transB: 1 }, { outputs: ["logits"] }), [null, 2]);
  return b.build();
}

const evidenceFor = (
  kind: EvidenceKind,
  w1: readonly number[],
  w2: readonly number[],
  shapes: readonly (readonly number[])[] = [
    [2, 3],
    [2, 2],
  ],
): Evidence => ({
  [kind]: new Map([
    ["w1", tensor(w1, shapes[0]!, "f64")],
    ["w2", tensor(w2, shapes[1]!, "f64")],
  ]),
});

/** Both masks in one line: 1 where a weight stays. */
async function masks(options: PruneOptions): Promise<string> {
  const { graph } = await prune(net(), options);
  return ["w1", "w2"]
    .map((name) =>
      Array.from(graph.weights.get(name)!.data as Float32Array, (w) => (w === 0 ? 0 : 1)).join(""),
    )
    .join(" ");
}

test("snip keeps the largest |g · w|", async () => {
  // |g w|: 6 0.2 3 | 0.4 0.5 12 and 2 5 0.1 0.3.
  const evidence = evidenceFor("gradients", [-6, 0.1, 1, 0.1, -0.1, 2], [1, 5, -0.1, 0.1]);
  assert.is(await masks({ method: "snip", sparsity: 0.5, evidence }), "101001 1100");
  assert.is(await masks({ method: "snip", sparsity: 0.5, scope: "layer", evidence }), "101001 1100");
  // Blocks of two rows: 6.4 0.7 15 and 2.1 5.3.
  assert.is(await masks({ method: "snip", granularity: "block2x1", sparsity: 0.4, evidence }), "101101 0101");
});

test("wanda weighs |w| with the norm of its input and compares inside rows", async () => {
  // w1 · norms (10, 1, 2): 10 2 6 | 40 5 12; w2 · norms (1, 5): 2 5 | 1 15.
  const evidence = evidenceFor(
    "inputNorms",
    [10, 1, 2],
    [1, 5],
    [
      [1, 3],
      [1, 2],
    ],
  );
  assert.is(await masks({ method: "wanda", sparsity: 1 / 3, evidence }), "101101 0101");
  assert.is(await masks({ method: "wanda", sparsity: 0.5, evidence }), "100100 0101");
  assert.is(await masks({ method: "wanda", granularity: "1:2", evidence }), "101101 0101");
});

test("obd takes the curvature into account: h w² / 2", async () => {
  // 0.5 2 0 | 0.8 12.5 1.8 and 0.02 50 0.5 4.5.
  const evidence = evidenceFor("curvature", [1, 1, 0, 0.1, 1, 0.1], [0.01, 100, 1, 1]);
  assert.is(await masks({ method: "obd", sparsity: 0.5, evidence }), "010011 0101");
});

test("grasp removes what lowers the gradient's norm least, w · (H g) lowest first", async () => {
  // 1 -2 3 | 4 -5 6 and -2 1 0 3.
  const evidence = evidenceFor("hessianGradients", [1, 1, 1, -1, -1, 1], [-1, -1, 0, 1]);
  assert.is(await masks({ method: "grasp", sparsity: 0.4, evidence }), "101101 0101");
});

test("karnin removes the lowest sensitivity, those below zero first", async () => {
  const evidence = evidenceFor("shadowSensitivity", [1, -2, 3, -4, 5, 6], [7, 8, 9, 0.5]);
  assert.is(await masks({ method: "karnin", sparsity: 0.4, evidence }), "001011 1110");
});

test("methods refuse missing, short and broken evidence by name", async () => {
  // Methods that look at the layers behind have a test of their own.
  for (const method of methods.filter((m) => m.needs.length > 0 && !m.defaults?.recover)) {
    const run = (evidence?: Evidence): Promise<unknown> =>
      prune(net(), { method: method.name, sparsity: 0.5, evidence });
    const [kind] = method.needs;
    const words = new RegExp(`${method.name} needs.*${kind}.*collectEvidence.*--data`);
    await fails(() => run(), "E_INPUT", words);
    await fails(() => run({ [kind!]: new Map() }), "E_INPUT", /"w1"/);
    const broken = tensor([Number.NaN, 1, 1, 1, 1, 1], [2, 3], "f64");
    await fails(() => run({ [kind!]: new Map([["w1", broken]]) }), "E_INPUT", /"w[12]"/);
  }
});

test("every method says where it is published and what it decides by", () => {
  assert.is(new Set(methods.map((m) => m.name)).size, methods.length);
  for (const m of methods) {
    assert.ok(m.reference.length > 20 && m.granularities.length > 0, m.name);
    assert.is(m.kind === "data", m.needs.length > 0, m.name);
  }
});

test.run();
