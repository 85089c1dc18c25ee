import { suite } from "uvu";
import * as assert from "uvu/assert";
import { collectEvidence } from "../../src/evidence/collect.ts";
import { moved, resampled, weightsOf } from "../../src/evidence/particles.ts";
import { type Graph, withWeights } from "../../src/graph/graph.ts";
import { prune } from "../../src/prune/prune.ts";
import { tensor, toNumbers } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import { assertClose } from "../support/close.ts";
import { fails } from "../support/error.ts";
import { gpuTest } from "../support/gpu.ts";
import { layers } from "../support/prune-graphs.ts";

const test = suite("particle filter");

test("weights fall by e with every two points of error; better particles are drawn more often", () => {
  assertClose(
    weightsOf([{ errors: 0.5 }, { errors: 0.52 }]),
    [1, 1 / Math.E].map((w) => w / (1 + 1 / Math.E)),
    {
      rel: 1e-9,
    },
  );
  // 0.73 and 0.27 of four: the first is drawn three times at any offset up to 0.92, else twice or more.
  const two = [{ errors: 0.5 }, { errors: 0.52 }, { errors: 9 }, { errors: 9 }];
  for (let seed = 0; seed < 20; seed++) {
    const drawn = resampled(two, seeded(seed)).map((p) => two.indexOf(p));
    const firsts = drawn.filter((i) => i === 0).length;
    assert.ok(firsts >= 2 && firsts <= 3 && !drawn.includes(2), `${drawn}`);
    assert.equal(drawn, [...drawn].sort(), "systematic: in order");
  }
});

test("about a fifth of the places are drawn anew", () => {
  const kept = new Map([["w", Uint8Array.from({ length: 1000 }, (_, i) => i % 2)]]);
  const value = moved({ kept }, seeded(3));
  const values = Array.from({ length: 1000 }, (_, row) => value("w", row));
  const changed = values.filter((v, i) => v !== i % 2).length;
  assert.ok(changed > 150 && changed < 250, `${changed}`);
  assert.ok(values.every((v) => v >= 0 && v <= 1));
});

/** Only filters 1 and 4 of six matter: the class is which of the two pixels is brighter, and a third one where nothing is said. */
function twoPixels(): Graph {
  const l = layers("two pixels");
  const x = l.b.input("image", [null, 1, 1, 2]);
  const hidden = l.relu("relu0", l.conv("conv0", x, [6, 1, 1, 2], { pads: [0, 0, 0, 0] }, true));
  l.head(hidden, 6, 3);
  const filters = [0.01, 0.02, 1, -1, 0.02, 0.01, 0.01, 0.01, -1, 1, 0.02, 0.02];
  const classifier = [0.1, 5, -0.1, 0.1, -5, 0.1, -0.1, -5, 0.1, 0.1, 5, 0.1, 0, 0, 0, 0, 0, 0];
  return withWeights(
    l.b.build(),
    new Map([
      ["conv0.weight", tensor(filters, [6, 1, 1, 2])],
      ["conv0.bias", tensor(Array(6).fill(0), [6])],
      ["fc.weight", tensor(classifier, [3, 6])],
      ["fc.bias", tensor([0, 0, 0.01], [3])],
    ]),
  );
}

gpuTest(
  test,
  "finds the two filters of six that a net needs, whatever the seed; and does so again",
  async (gpu) => {
    const graph = twoPixels();
    const random = seeded(6);
    const images = Uint8Array.from({ length: 128 }, () => random.below(256));
    const labels = Uint8Array.from({ length: 64 }, (_, i) => (images[2 * i]! > images[2 * i + 1]! ? 0 : 1));
    const data = { name: "glyphs", classes: 3, shape: [1, 1, 2], images, labels, length: 64 } as const;
    const options = {
      images: 64,
      batch: 64,
      sparsity: 0.66,
      preprocessing: { scale: 1 / 255, mean: [0], std: [1] },
    };
    for (const seed of [1, 2, 3]) {
      const evidence = await collectEvidence(gpu, graph, data, "particle", { ...options, seed });
      const again = await collectEvidence(gpu, graph, data, "particle", { ...options, seed });
      assert.equal(evidence.particles, again.particles);
      const scores = toNumbers(evidence.particles!.get("conv0.weight")!);
      assert.equal(
        scores.flatMap((s, row) => (s >= 1 ? [row] : [])),
        [1, 4],
      );
      assert.ok(scores.every((s) => s >= 0 && s <= 1.5));
      const { graph: pruned } = await prune(graph, { method: "particle", sparsity: 0.66, evidence });
      assertClose(toNumbers(pruned.weights.get("conv0.weight")!), [1, -1, -1, 1], {});
    }
    // Patterns are judged with as many filters as will stay: four where counts are multiples of four.
    const budget = { roundTo: 4 };
    const four = await collectEvidence(gpu, graph, data, "particle", { ...options, budget, seed: 1 });
    const kept = toNumbers(four.particles!.get("conv0.weight")!).filter((s) => s >= 1);
    assert.is(kept.length, 4);
    await fails(
      () => collectEvidence(gpu, graph, data, "particle", { preprocessing: options.preprocessing }),
      "E_INPUT",
      /pass it to collectEvidence/,
    );
  },
);

test.run();
