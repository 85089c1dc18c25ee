import { Matrix, solve } from "ml-matrix";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { graphBuilder } from "../../src/graph/builder.ts";
import { type Graph, makeGraph } from "../../src/graph/graph.ts";
import { contributions } from "../../src/prune/channel-readers.ts";
import type { Evidence } from "../../src/prune/evidence.ts";
import { prunableLayers } from "../../src/prune/layers.ts";
import { entryPenalties } from "../../src/prune/methods/channel-lasso.ts";
import { greedyOrder } from "../../src/prune/methods/thinet.ts";
import { prune } from "../../src/prune/prune.ts";
import { replay } from "../../src/prune/replay.ts";
import { staticTypes } from "../../src/prune/types.ts";
import { runReference } from "../../src/run/reference.ts";
import { tensor, toNumbers } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import { assertClose } from "../support/close.ts";
import { fails } from "../support/error.ts";
import { layers, noise } from "../support/prune-graphs.ts";

const test = suite("reconstruction");

const square = (rows: readonly (readonly number[])[]) => ({
  classes: rows.map((_, i) => i),
  gram: Float64Array.from(rows.flat()),
});

test("thinet's greedy order looks at what channels do together", () => {
  // First 0, the smallest (2). With 1 the sum would be 2 + 2.1 = 4.1, with 2 (which undoes it) 2 + 3 - 2·2 = 1: then 2.
  const scores = greedyOrder(
    square([
      [2, 0, -2],
      [0, 2.1, 0],
      [-2, 0, 3],
    ]),
  );
  assertClose(scores, [1 / 3, 1, 2 / 3], { abs: 1e-12 });
  // Channels that contribute nothing go first, in their order.
  assertClose(
    greedyOrder(
      square([
        [1, 0, 0],
        [0, 0, 0],
        [0, 0, 0],
      ]),
    ),
    [1, 1 / 3, 2 / 3],
    { abs: 1e-12 },
  );
});

test("the lasso's path: where each channel enters, worked out by hand", () => {
  // G·1 = (7, 6.1, 5). Below 7 channel 0 is alone: β0 = (7 - λ)/4. Channel 1's correlation is then 6.1 - 3 β0 = 0.85 + 0.75 λ, which
  // meets λ at 3.4; channel 2's stays 5. So channel 1 comes last, though only channel 2's is smaller at first.
  const scores = entryPenalties(
    square([
      [4, 3, 0],
      [3, 3.1, 0],
      [0, 0, 5],
    ]),
  );
  // The path is followed in steps of 4.5 %.
  assertClose(scores, [1, 3.4 / 7, 5 / 7], { rel: 0.05 });
  assert.ok(scores[0]! > scores[2]! && scores[2]! > scores[1]!);
  assertClose(
    entryPenalties(
      square([
        [0, 0],
        [0, 0],
      ]),
    ),
    [0, 0],
    {},
  );
});

/** conv0 makes 4 channels, which grouped (2 groups) and a 3×3 convolution read. */
function readers(): Graph {
  const l = layers("readers", 3);
  const x = l.b.input("image", [null, 2, 4, 4]);
  const a = l.relu("relu0", l.conv("conv0", x, [4, 2, 1, 1], {}, true));
  const b = l.relu("relu1", l.conv("conv1", a, [5, 4, 3, 3], {}, true));
  l.head(b, 5);
  return l.b.build();
}

test("contributions follow from weights and second moments as from the data", () => {
  const graph = readers();
  const random = seeded(8);
  const [layer] = prunableLayers(graph, staticTypes(graph)).filter((l) => l.name === "conv1");
  const { cols } = layer!;
  const x = Array.from({ length: 50 }, () => Array.from({ length: cols }, () => random.normal() + 0.5));
  const moments = new Float64Array(cols * cols);
  for (const row of x) {
    for (let a = 0; a < cols; a++)
      for (let b = 0; b < cols; b++) moments[a * cols + b]! += (row[a]! * row[b]!) / 50;
  }
  const evidence: Evidence = {
    inputMoments: new Map([[layer!.weight, { dtype: "f64", shape: [1, cols, cols], data: moments }]]),
  };
  const classes = Int32Array.from({ length: cols }, (_, k) => Math.floor(k / 9));
  const { gram } = contributions(graph, { layer: layer!, classes }, evidence);
  const w = toNumbers(graph.weights.get("conv1.weight")!);
  const part = (row: readonly number[], m: number, c: number): number =>
    Array.from({ length: 9 }, (_, k) => w[m * cols + c * 9 + k]! * row[c * 9 + k]!).reduce(
      (s, v) => s + v,
      0,
    );
  const want = Array.from({ length: 16 }, (_, at) => {
    const [a, b] = [Math.floor(at / 4), at % 4];
    return x.reduce((s, row) => {
      for (let m = 0; m < 5; m++) s += (part(row, m, a) * part(row, m, b)) / 50;
      return s;
    }, 0);
  });
  assertClose(gram, want, { rel: 1e-9, abs: 1e-9 });
});

/** Two fully connected layers; the second reads 4 hidden values as they come. */
function twoLayers(hidden: readonly (readonly number[])[]): Graph {
  const b = graphBuilder("two layers");
  const h = b.node(
    "Gemm",
    [
      b.input("x", [null, 3]),
      b.weight("w1", tensor(hidden.flat(), [4, 3])),
      b.weight("b1", tensor([0.5, -1, 2, 0], [4])),
    ],
    { transB: 1 },
    { name: "one" },
  );
  const w2 = b.weight("w2", noise([4, 2], seeded(5)));
  const out = b.node(
    "Gemm",
    [h, w2, b.weight("b2", tensor([1, 2], [2]))],
    {},
    { name: "two", outputs: ["y"] },
  );
  b.output(out, [null, 2]);
  return b.build();
}

/** Evidence about w2 from 40 inputs, in double precision. */
function gathered(graph: Graph, inputs: Float32Array) {
  const { one } = runReference(
    makeGraph({ ...graph, outputs: [{ name: "one", dtype: "f32", shape: [null, 4] }] }),
    {
      x: tensor(inputs, [40, 3]),
    },
  );
  const rows = Array.from({ length: 40 }, (_, n) => toNumbers(one!).slice(n * 4, n * 4 + 4));
  const mean = (of: (r: number[]) => number): number => rows.reduce((s, r) => s + of(r) / 40, 0);
  const four = [0, 1, 2, 3];
  const evidence: Evidence = {
    inputMeans: new Map([
      [
        "w2",
        tensor(
          four.map((a) => mean((r) => r[a]!)),
          [1, 4],
          "f64",
        ),
      ],
    ]),
    inputMoments: new Map([
      [
        "w2",
        tensor(
          four.flatMap((a) => four.map((b) => mean((r) => r[a]! * r[b]!))),
          [1, 4, 4],
          "f64",
        ),
      ],
    ]),
  };
  return { rows, evidence };
}

const inputs = (() => {
  const random = seeded(12);
  return Float32Array.from({ length: 120 }, () => random.normal());
})();
const output = (graph: Graph): number[] =>
  toNumbers(runReference(graph, { x: tensor(inputs, [40, 3]) })["y"]!);
const squares = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((s, v, i) => s + (v - b[i]!) ** 2, 0);

test("least squares with an intercept, against the normal equations of the data", async () => {
  // The smallest filter is the last; it depends on nothing else exactly.
  const graph = twoLayers([
    [2, 1, 0],
    [0, 2, 2],
    [-2, 0, 1],
    [0.3, 0.2, 0.1],
  ]);
  const { rows, evidence } = gathered(graph, inputs);
  const options = { method: "magnitude", granularity: "filter", sparsity: { one: 0.25 }, evidence } as const;
  const cut = await prune(graph, options);
  const fitted = await prune(graph, { ...options, recover: "least-squares" });
  const shifted = await prune(graph, { ...options, recover: "bias" });
  assert.equal(cut.graph.weights.get("w2")!.shape, [3, 2]);

  // Ridge regression of what the removed value adds, on the three kept ones centred; the same damping, as extra rows.
  const centre = [0, 1, 2, 3].map((k) => rows.reduce((s, r) => s + r[k]! / 40, 0));
  const x = rows.map((r) => [0, 1, 2].map((k) => (r[k]! - centre[k]!) / Math.sqrt(40)));
  const trace = x.reduce((s, r) => s + r.reduce((t, v) => t + v * v, 0), 0);
  const ridge = Math.sqrt((0.01 * trace) / 3);
  for (let k = 0; k < 3; k++) x.push([0, 1, 2].map((j) => (j === k ? ridge : 0)));
  const gone = [...rows.map((r) => [(r[3]! - centre[3]!) / Math.sqrt(40)]), [0], [0], [0]];
  const change = solve(new Matrix(x), new Matrix(gone), true).to1DArray();
  const w2 = toNumbers(graph.weights.get("w2")!);
  const want = [0, 1, 2].flatMap((k) => [0, 1].map((m) => w2[k * 2 + m]! + change[k]! * w2[6 + m]!));
  assertClose(toNumbers(fitted.graph.weights.get("w2")!), want, { abs: 1e-6 });
  const bias = [0, 1].map((m) => {
    const missing = centre[3]! - change.reduce((s, c, k) => s + c * centre[k]!, 0);
    return m + 1 + w2[6 + m]! * missing;
  });
  assertClose(toNumbers(fitted.graph.weights.get("b2")!), bias, { abs: 1e-6 });
  assertClose(
    toNumbers(shifted.graph.weights.get("b2")!),
    [0, 1].map((m) => m + 1 + w2[6 + m]! * centre[3]!),
    { abs: 1e-6 },
  );
  assert.equal(shifted.graph.weights.get("w2"), cut.graph.weights.get("w2"));
  const errors = [cut, shifted, fitted].map(({ graph: g }) => squares(output(g), output(graph)));
  assert.ok(errors[0]! > errors[1]! && errors[1]! > errors[2]!, `errors ${errors}`);
  // Recorded, and done again from the record.
  assert.ok(
    fitted.record.steps[0]!.kind === "prune" && fitted.record.steps[0]!.options.recover === "least-squares",
  );
  assert.equal((await replay(fitted.record, graph, evidence)).weights, fitted.graph.weights);
});

test("a channel that others make up for exactly costs next to nothing", async () => {
  // The last hidden value is half the first less the second.
  const graph = twoLayers([
    [2, 1, 0],
    [0, 2, 2],
    [-2, 0, 1],
    [1, -1.5, -2],
  ]);
  const { evidence } = gathered(graph, inputs);
  const errors: number[] = [];
  for (const recover of ["none", "least-squares"] as const) {
    const options = { granularity: "filter", sparsity: { one: 0.25 }, evidence, recover } as const;
    const { graph: pruned } = await prune(graph, { method: "channel-lasso", ...options });
    errors.push(squares(output(pruned), output(graph)));
  }
  assert.ok(errors[1]! < errors[0]! / 1000, `${errors[1]} of ${errors[0]}`);
});

test("behind a convolution without bias the running mean takes the shift; grouped layers are fitted group by group", async () => {
  const l = layers("shifted", 7);
  const x = l.b.input("image", [null, 2, 3, 3]);
  const a = l.relu("relu0", l.conv("conv0", x, [4, 2, 1, 1], {}, true));
  const b = l.relu("relu1", l.bn("bn1", l.conv("conv1", a, [6, 2, 1, 1], { group: 2 }), 6));
  l.head(b, 6);
  const graph = l.b.build();
  const means = [1, 2, 3, 4];
  const evidence: Evidence = { inputMeans: new Map([["conv1.weight", tensor(means, [2, 2], "f64")]]) };
  for (const name of ["fc.weight", "conv0.weight"]) {
    const cols = graph.weights.get(name)!.data.length / graph.weights.get(name)!.shape[0]!;
    (evidence.inputMeans as Map<string, unknown>).set(name, tensor(Array(cols).fill(0), [1, cols], "f64"));
  }
  const { graph: pruned } = await prune(graph, {
    method: "magnitude",
    granularity: "filter",
    sparsity: { conv0: 0.5 },
    recover: "bias",
    evidence,
  });
  const kept = pruned.weights.get("conv1.weight")!;
  assert.equal(kept.shape, [6, 1, 1, 1]);
  const w = toNumbers(graph.weights.get("conv1.weight")!);
  // Channels 0 and 2 are coupled, and 1 and 3: which pair went shows in what is left.
  const stays = w[0] === Number(kept.data[0]) ? 0 : 1;
  const gone = 1 - stays;
  const before = toNumbers(graph.weights.get("bn1.running_mean")!);
  const want = before.map((m, row) => m - w[row * 2 + gone]! * means[(row < 3 ? 0 : 2) + gone]!);
  assertClose(toNumbers(pruned.weights.get("bn1.running_mean")!), want, { abs: 1e-6 });
});

test("methods that look at the layers behind name the one whose evidence is missing or broken", async () => {
  const cols = 36;
  const means = new Map([["conv1.weight", tensor(Array(cols).fill(1), [1, cols], "f64")]]);
  const broken = tensor(Array(cols * cols).fill(Number.NaN), [1, cols, cols], "f64");
  for (const method of ["thinet", "channel-lasso"]) {
    const run = (evidence: Evidence): Promise<unknown> =>
      prune(readers(), { method, sparsity: 0.5, evidence });
    await fails(() => run({}), "E_INPUT", new RegExp(`${method} needs.*inputMoments.*inputMeans`));
    await fails(() => run({ inputMoments: new Map(), inputMeans: means }), "E_INPUT", /"conv1\.weight"/);
    const inputMoments = new Map([["conv1.weight", broken]]);
    await fails(
      () => run({ inputMoments, inputMeans: means }),
      "E_INPUT",
      /"conv1\.weight" are not all finite/,
    );
  }
});

test("layers that are skipped are neither looked at nor fitted", async () => {
  const graph = readers();
  const cols = 5;
  const identity = Array.from({ length: 25 }, (_, i) => (i % 6 === 0 ? 1 : 0));
  const evidence: Evidence = {
    inputMeans: new Map([["fc.weight", tensor(Array(cols).fill(0), [1, cols], "f64")]]),
    inputMoments: new Map([["fc.weight", tensor(identity, [1, cols, cols], "f64")]]),
  };
  const options = { method: "thinet", sparsity: 0.4, evidence, skip: ["conv1"] } as const;
  await fails(
    () => prune(graph, options),
    "E_PRUNE",
    /no layer that is not skipped reads what "conv0" makes/,
  );
  const { graph: pruned } = await prune(graph, { ...options, skip: ["conv0"] });
  // conv1 reads what conv0 makes, of which nothing goes; the classifier reads conv1.
  assert.equal(pruned.weights.get("conv1.weight")!.shape, [3, 4, 3, 3]);
  assert.equal(pruned.weights.get("conv0.weight"), graph.weights.get("conv0.weight"));
});

test("recovery without its evidence is refused, unless it is switched off", async () => {
  const graph = readers();
  const options = { method: "magnitude", granularity: "filter", sparsity: 0.5 } as const;
  await fails(() => prune(graph, { ...options, recover: "bias" }), "E_INPUT", /inputMeans/);
  await fails(
    () => prune(graph, { ...options, recover: "least-squares" }),
    "E_INPUT",
    /inputMoments and inputMeans/,
  );
  await fails(() => prune(graph, { ...options, recover: "magic" as "bias" }), "E_INPUT", /least-squares/);
});

test.run();
