import { suite } from "uvu";
import * as assert from "uvu/assert";
import { SecateurError } from "../../src/errors.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { compact } from "../../src/prune/compact.ts";
import { prune } from "../../src/prune/prune.ts";
import { recordOf } from "../../src/prune/record.ts";
import { replay } from "../../src/prune/replay.ts";
import { seeded } from "../../src/tensor/random.ts";
import { layers } from "../support/prune-graphs.ts";
import { sameOutputs } from "../support/prune-outputs.ts";

const test = suite("prune random nets");

interface Feature {
  readonly value: string;
  readonly channels: number;
}

const activations = ["Relu", "LeakyRelu", "HardSwish", "Tanh", "Sigmoid", "Softplus"];

/** A seeded net of convolutions, normalisations, activations and everything that routes channels, on 4x4 images. */
function randomNet(seed: number): Graph {
  const random = seeded(seed);
  const l = layers(`random${seed}`, seed);
  const pick = <T>(list: readonly T[]): T => list[random.below(list.length)]!;
  let count = 0;
  const name = (what: string): string => `${what}${count++}`;
  const conv = (x: Feature, out: number, group = 1): Feature => {
    const k = pick([1, 3]);
    const value = l.conv(
      name("conv"),
      x.value,
      [out, x.channels / group, k, k],
      { group },
      random.below(2) === 0,
    );
    return { value, channels: out };
  };
  const node = (op: string, inputs: string[], attributes: Record<string, number> = {}): string =>
    l.b.node(op, inputs, attributes, { name: name(op) });
  const features: Feature[] = [conv({ value: l.b.input("image", [null, 2, 4, 4]), channels: 2 }, 4)];
  for (let step = 0; step < 10; step++) {
    const x = pick(features);
    const { channels: n } = x;
    const twins = features.filter((f) => f.channels === n && f !== x);
    const steps: (() => Feature)[] = [
      () => conv(x, pick([3, 4, 6, 8])),
      () => conv(x, x.channels, x.channels),
      () => (n % 2 === 0 ? conv(x, pick([4, 6]), 2) : conv(x, 4)),
      () => ({ value: l.bn(name("bn"), x.value, n), channels: n }),
      () => ({ value: node(pick(activations), [x.value]), channels: n }),
      () =>
        twins.length > 0
          ? { value: node(pick(["Add", "Mul", "Sub"]), [x.value, pick(twins).value]), channels: n }
          : conv(x, n),
      () => {
        const y = pick(features);
        return { value: node("Concat", [x.value, y.value], { axis: 1 }), channels: n + y.channels };
      },
      () => {
        const pads = l.b.constant([0, 1, 0, 0, 0, 2, 0, 0]);
        return { value: node("Pad", [x.value, pads]), channels: n + 3 };
      },
      () => {
        const [start, end] = [1, n].map((k) => l.b.constant([k]));
        return { value: node("Slice", [x.value, start!, end!, l.b.constant([1])]), channels: n - 1 };
      },
      () => {
        const gate = node("GlobalAveragePool", [x.value]);
        const wide = conv({ value: gate, channels: n }, n).value;
        return { value: node("Mul", [x.value, node("Sigmoid", [wide])]), channels: n };
      },
    ];
    const made = pick(steps)();
    if (made.channels >= 2 && made.channels <= 24) features.push(made);
  }
  // Everything that was made last is read, through one more convolution.
  const tail = features.slice(-3);
  const joined = {
    value: node(
      "Concat",
      tail.map((f) => f.value),
      { axis: 1 },
    ),
    channels: 0,
  };
  const total = tail.reduce((sum, f) => sum + f.channels, 0);
  l.head(node("Relu", [conv({ ...joined, channels: total }, 5).value]), 5);
  return l.b.build();
}

test("removal equals masking, compaction changes nothing, replay gives the same bytes", async () => {
  let cut = 0;
  let dead = 0;
  let refused = 0;
  for (let seed = 1; seed <= 80; seed++) {
    const graph = randomNet(seed);
    const options = {
      method: seed % 2 === 0 ? "random" : "magnitude",
      granularity: "filter",
      sparsity: 0.2 + (seed % 4) * 0.2,
      scope: seed % 3 === 0 ? "global" : "layer",
      seed,
    } as const;
    try {
      const small = await prune(graph, options);
      const masked = await prune(graph, { ...options, keepShape: true });
      sameOutputs(small.graph, masked.graph);
      sameOutputs((await compact(masked.graph)).graph, masked.graph);
      const again = await replay(recordOf(small.graph), graph);
      assert.equal(again.weights, small.graph.weights);
      cut += [...small.graph.weights].filter(
        ([name, w]) => w.data.length < graph.weights.get(name)!.data.length,
      ).length;
    } catch (error) {
      // A net in which an activation holds every channel is rightly refused; anything else is a fault.
      if (!(error instanceof SecateurError) || error.code !== "E_PRUNE")
        throw new Error(`seed ${seed}: ${String(error)}`);
      assert.ok(
        error.message.includes("no filter of this model can be removed"),
        `seed ${seed}: ${error.message}`,
      );
      refused++;
    }
    const sparse = await prune(graph, { method: "random", granularity: "element", sparsity: 0.9, seed });
    const { graph: compacted, report } = await compact(sparse.graph);
    sameOutputs(compacted, sparse.graph);
    dead += report.removed;
  }
  assert.ok(
    cut > 300 && dead > 100 && refused < 20,
    `${cut} weights cut, ${dead} channels dead, ${refused} nets refused`,
  );
});

test.run();
