import { suite } from "uvu";
import * as assert from "uvu/assert";
import { graphBuilder } from "../../src/graph/builder.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { compact } from "../../src/prune/compact.ts";
import { prune } from "../../src/prune/prune.ts";
import { maskPicture } from "../../src/report/svg.ts";
import { type HostTensor, tensor } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import { fails } from "../support/error.ts";

const svg = suite("report: mask pictures");

/** Weights of which about half are zero. */
function sparse(shape: readonly number[], seed: number): HostTensor {
  const random = seeded(seed);
  const size = shape.reduce((n, d) => n * d, 1);
  return tensor(
    Float32Array.from({ length: size }, () => (random.uniform() < 0.5 ? 0 : random.normal())),
    shape,
  );
}

/** The squares of a picture as drawn: opacity by place. */
function drawn(text: string): { rows: number; columns: number; at: (r: number, c: number) => number } {
  const [, width, height] = /translate\(8 24\)"><rect width="(\d+)" height="(\d+)"/.exec(text)!;
  const [rows, columns] = [Number(height) / 4, Number(width) / 4];
  const grid = new Float64Array(rows * columns);
  for (const [, opacity, d] of text.matchAll(/<path fill="#124"(?: fill-opacity="([\d.]+)")? d="([^"]*)"/g)) {
    for (const [, x, y, w] of d!.matchAll(/M(\d+) (\d+)h(\d+)v4h-\d+z/g)) {
      for (let c = 0; c < Number(w) / 4; c++)
        grid[(Number(y) / 4) * columns + Number(x) / 4 + c]! += Number(opacity ?? 1);
    }
  }
  return { rows, columns, at: (r, c) => grid[r * columns + c]! };
}

function matrixNet(): Graph {
  const b = graphBuilder("matrices");
  const x = b.input("x", [null, 5]);
  const y = b.node("MatMul", [x, b.weight("first.weight", sparse([5, 7], 1))], {}, { name: "first" });
  const z = b.node(
    "Gemm",
    [y, b.weight("second.weight", sparse([3, 7], 2))],
    { transB: 1 },
    { name: "second" },
  );
  b.output(z, [null, 3]);
  return b.build();
}

svg("a row is an output channel, a column one of its weights, for every op and orientation", () => {
  const graph = matrixNet();
  const first = drawn(maskPicture(graph, "first"));
  assert.equal([first.rows, first.columns], [7, 5]);
  const w1 = graph.weights.get("first.weight")!.data;
  for (let r = 0; r < 7; r++)
    for (let c = 0; c < 5; c++) assert.is(first.at(r, c), w1[c * 7 + r] === 0 ? 0 : 1);
  const second = drawn(maskPicture(graph, "second.weight"));
  assert.equal([second.rows, second.columns], [3, 7]);
  const w2 = graph.weights.get("second.weight")!.data;
  for (let r = 0; r < 3; r++)
    for (let c = 0; c < 7; c++) assert.is(second.at(r, c), w2[r * 7 + c] === 0 ? 0 : 1);
});

svg("a pruned convolution: what is drawn and what is written agree with the weights", async () => {
  const { graph } = await prune(buildNet("glyphnet"), {
    method: "magnitude",
    granularity: "element",
    sparsity: 0.9,
  });
  const text = maskPicture(graph, "layer2.1.conv2");
  const weight = graph.weights.get("layer2.1.conv2.weight")!.data;
  const picture = drawn(text);
  assert.equal([picture.rows, picture.columns], [64, 576]);
  let kept = 0;
  for (let i = 0; i < weight.length; i++) {
    const on = weight[i] === 0 ? 0 : 1;
    kept += on;
    if (picture.at(Math.floor(i / 576), i % 576) !== on) assert.unreachable(`weight ${i} is drawn wrongly`);
  }
  assert.match(text, `${kept} of 36864 kept`);
});

svg("a mask hides weights that are not zero", () => {
  const plain = matrixNet();
  const masks = new Map([["second.weight", tensor(new Uint8Array(21), [3, 7], "bool")]]);
  const text = maskPicture({ ...plain, masks }, "second");
  assert.match(text, "0 of 21 kept (0.0 %)");
  assert.not.match(text, /<path fill="#124"/);
});

svg("a large weight is drawn in shaded squares, and the picture says so", () => {
  const b = graphBuilder("large");
  const weight = sparse([1501, 2003], 3);
  // All of the last, smaller square is kept.
  weight.data[1500 * 2003 + 2002] = 1;
  const y = b.node(
    "Gemm",
    [b.input("x", [null, 2003]), b.weight("w", weight)],
    { transB: 1 },
    { name: "big" },
  );
  b.output(y, [null, 1501]);
  const text = maskPicture(b.build(), "big");
  assert.match(text, "a square is 4 x 4 weights");
  assert.ok(text.length < 2 ** 23, `${text.length} bytes`);
  const picture = drawn(text);
  assert.equal([picture.rows, picture.columns], [376, 501]);
  for (const [r, c] of [
    [0, 0],
    [17, 300],
    [375, 500],
    [375, 0],
    [0, 500],
  ] as const) {
    let kept = 0;
    let all = 0;
    for (let y = r * 4; y < Math.min(1501, r * 4 + 4); y++) {
      for (let x = c * 4; x < Math.min(2003, c * 4 + 4); x++, all++) {
        if (weight.data[y * 2003 + x] !== 0) kept++;
      }
    }
    const share = picture.at(r, c);
    assert.ok(Math.abs(share - kept / all) <= 1 / 8, `square ${r}, ${c}: ${share} for ${kept} of ${all}`);
    assert.is(share === 0, kept === 0);
    assert.is(share === 1, kept === all);
  }
});

svg("what is no layer with a weight is refused, and the layers are listed", async () => {
  const net = buildNet("glyphnet");
  for (const name of ["image", "relu1", "bn1", "bn1.weight", "linear.bias", "nowhere", ""])
    await fails(() => maskPicture(net, name), "E_INPUT", /the layers are conv1, layer1\.0\.conv1.*linear\./);
});

svg("a layer that reads a flattened image shows its bands and what reads each pixel", () => {
  const b = graphBuilder("bands");
  const image = b.input("image", [null, 1, 4, 5]);
  const flat = b.node("Flatten", [image], { axis: 1 }, { name: "flatten" });
  // Three filters; only the middle pixels of each row of five are read, pixel (2, 1) by all three.
  const weight = tensor(new Float32Array(3 * 20), [3, 20]);
  for (const y of [0, 1, 2, 3]) weight.data[y * 5 + 2] = 1;
  weight.data[20 + 7] = 1;
  weight.data[40 + 7] = 1;
  b.output(b.node("Gemm", [flat, b.weight("w", weight)], { transB: 1 }, { name: "ip1" }), [null, 3]);
  const text = maskPicture(b.build(), "ip1");
  assert.match(text, "kept per column: at most 3 of 3; a mark where a row of pixels begins (every 5)");
  const ticks = /stroke-width="0.5" fill="none" d="([^"]*)"/.exec(text)![1]!;
  assert.equal(
    [...ticks.matchAll(/M(\d+) /g)].map((m) => Number(m[1]) / 4),
    [0, 5, 10, 15],
  );
  // Bars of 16, 48, 16 and 16 pixels at columns 2, 7, 12 and 17.
  const bars = /<path fill="#357" d="([^"]*)"/.exec(text)![1]!;
  assert.equal(
    [...bars.matchAll(/M(\d+) \d+h4v(\d+)/g)].map((m) => [Number(m[1]) / 4, Number(m[2])]),
    [
      [2, 16],
      [7, 48],
      [12, 16],
      [17, 16],
    ],
  );
  assert.match(text, "16 of 20 pixels are read by none");
  const pixels = [
    ...text.matchAll(/<rect x="(\d+)" y="(\d+)" width="6" height="6" fill="#124" fill-opacity="([\d.]+)"/g),
  ];
  assert.equal(
    pixels.map(([, x, y, opacity]) => [Number(x) / 6, (Number(y) - 16) / 6, Number(opacity)]),
    [
      [2, 0, 0.33],
      [2, 1, 1],
      [2, 2, 0.33],
      [2, 3, 0.33],
    ],
  );
});

svg("names are escaped", () => {
  const b = graphBuilder("names");
  const y = b.node("MatMul", [b.input("x", [null, 2]), b.weight('<a & "b">', sparse([2, 2], 4))]);
  b.output(y, [null, 2]);
  const text = maskPicture(b.build(), '<a & "b">');
  assert.match(text, "&#60;a &#38; &#34;b&#34;&#62;: ");
  assert.not.match(text, "<a");
});

svg("columns that compaction has left out are drawn where they were, empty", async () => {
  const b = graphBuilder("bands");
  const image = b.input("image", [null, 1, 4, 5]);
  const flat = b.node("Flatten", [image], { axis: 1 }, { name: "flatten" });
  const weight = tensor(new Float32Array(3 * 20), [3, 20]);
  for (const y of [0, 1, 2, 3]) for (const r of [0, 1, 2]) weight.data[r * 20 + y * 5 + 1 + r] = 1;
  b.output(b.node("Gemm", [flat, b.weight("w", weight)], { transB: 1 }, { name: "ip1" }), [null, 3]);
  const whole = b.build();
  const { graph: small } = await compact(whole);
  assert.equal(small.weights.get("w")!.shape, [3, 12]);
  assert.is(
    maskPicture(small, "ip1"),
    maskPicture(whole, "ip1").replace("12 of 60 kept (20.0 %)", "12 of 36 kept (33.3 %)"),
  );
});

svg.run();
