import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type HostTensor, tensor, toNumbers } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import { assertClose } from "../support/close.ts";
import { type Attributes, evaluateOp, inferOp } from "../support/evaluate-op.ts";
import {
  indicesOf,
  type NaiveWindow,
  naiveConv,
  naiveConvTranspose,
  naiveWindows,
} from "../support/naive-windows.ts";

// Convolutions and pools against one sum per output element, written from the definitions, over random settings.
const test = suite("ops-nn-windows");
const random = seeded(5);
const close = { rel: 1e-11, abs: 1e-11 };
const filled = (shape: readonly number[]): HostTensor => {
  const size = shape.reduce((a, b) => a * b, 1);
  return tensor(
    Float64Array.from({ length: size }, () => random.normal()),
    shape,
  );
};
const between = (from: number, to: number): number => from + random.below(to - from + 1);
const draw = (rank: number, from: number, to: number): number[] =>
  Array.from({ length: rank }, () => between(from, to));

/** A random window that fits `spatial`, as attributes and as the naive side reads it. */
function drawWindow(spatial: readonly number[]): { window: NaiveWindow; attributes: Attributes } | undefined {
  const rank = spatial.length;
  const kernel = draw(rank, 1, 3);
  const window = {
    kernel,
    strides: draw(rank, 1, 3),
    dilations: draw(rank, 1, 2),
    pads: draw(2 * rank, 0, 2),
  };
  const fits = spatial.every(
    (d, i) => (kernel[i]! - 1) * window.dilations[i]! < d + window.pads[i]! + window.pads[rank + i]!,
  );
  const { strides, dilations, pads } = window;
  return fits ? { window, attributes: { kernel_shape: kernel, strides, dilations, pads } } : undefined;
}

test("Conv: random ranks, groups, strides, dilations and pads", () => {
  let run = 0;
  while (run < 60) {
    const spatial = draw(between(1, 3), 1, 5);
    const drawn = drawWindow(spatial);
    if (!drawn) continue;
    const groups = between(1, 3);
    const [width, perGroup, batch] = [between(1, 2), between(1, 3), between(1, 2)];
    const x = filled([batch, groups * width, ...spatial]);
    const w = filled([groups * perGroup, width, ...drawn.window.kernel]);
    const bias = filled([groups * perGroup]);
    const attributes = { ...drawn.attributes, group: groups };
    const [plain] = evaluateOp("Conv", [x, w], attributes);
    const expected = naiveConv(x, w, drawn.window, groups, plain!.shape);
    const what = JSON.stringify({ x: x.shape, w: w.shape, attributes });
    assertClose(plain!.data as Float64Array, expected, close, what);
    const [biased] = evaluateOp("Conv", [x, w, bias], attributes);
    const shifted = indicesOf(plain!.shape).map(([, m], i) => expected[i]! + Number(bias.data[m!]));
    assertClose(biased!.data as Float64Array, shifted, close, what);
    run++;
  }
});

test("ConvTranspose: random ranks, groups, strides, dilations, pads and output paddings", () => {
  let run = 0;
  while (run < 60) {
    const spatial = draw(between(1, 3), 1, 3);
    const drawn = drawWindow(spatial);
    if (!drawn) continue;
    const { window } = drawn;
    const padding = window.strides.map((s) => random.below(s));
    const sizes = spatial.map(
      (d, i) =>
        window.strides[i]! * (d - 1) +
        padding[i]! +
        (window.kernel[i]! - 1) * window.dilations[i]! +
        1 -
        window.pads[i]! -
        window.pads[spatial.length + i]!,
    );
    if (sizes.some((d) => d < 1)) continue;
    const groups = between(1, 2);
    const [width, perGroup] = [between(1, 2), between(1, 2)];
    const x = filled([between(1, 2), groups * width, ...spatial]);
    const w = filled([groups * width, perGroup, ...window.kernel]);
    const attributes = { ...drawn.attributes, group: groups, output_padding: padding };
    const [y] = evaluateOp("ConvTranspose", [x, w], attributes);
    assert.equal(y!.shape, [x.shape[0], groups * perGroup, ...sizes]);
    const expected = naiveConvTranspose(x, w, window, groups, y!.shape);
    assertClose(
      y!.data as Float64Array,
      expected,
      close,
      JSON.stringify({ x: x.shape, w: w.shape, attributes }),
    );
    run++;
  }
});

test("pools: random ranks, strides, dilations, pads and ceil mode", () => {
  let run = 0;
  while (run < 80) {
    const spatial = draw(between(1, 3), 1, 5);
    const drawn = drawWindow(spatial);
    if (!drawn) continue;
    const { window } = drawn;
    const ceil = random.below(2);
    const x = filled([between(1, 2), between(1, 2), ...spatial]);
    const attributes = { ...drawn.attributes, ceil_mode: ceil };
    const what = JSON.stringify({ x: x.shape, attributes });
    const [average] = evaluateOp("AveragePool", [x], attributes);
    const windows = naiveWindows(x, window, average!.shape);
    const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
    assertClose(
      average!.data as Float64Array,
      windows.map(({ values }) => (values.length === 0 ? 0 : sum(values) / values.length)),
      close,
      `AveragePool ${what}`,
    );
    const [padded] = evaluateOp("AveragePool", [x], { ...attributes, count_include_pad: 1 });
    assertClose(
      padded!.data as Float64Array,
      windows.map((w) => sum(w.values) / w.padded),
      close,
      `AveragePool with padding ${what}`,
    );
    const [norm] = evaluateOp("LpPool", [x], { ...attributes, p: 3 });
    assertClose(
      norm!.data as Float64Array,
      windows.map(({ values }) => Math.cbrt(sum(values.map((v) => Math.abs(v) ** 3)))),
      close,
      `LpPool ${what}`,
    );
    const [max, indices] = evaluateOp("MaxPool", [x], attributes, 2);
    const least = -3.4028234663852886e38;
    assertClose(
      max!.data as Float64Array,
      windows.map(({ values }) => Math.max(least, ...values)),
      close,
      `MaxPool ${what}`,
    );
    for (const [i, { values }] of windows.entries()) {
      if (values.length > 0) assert.is(x.data[Number(indices!.data[i])], max!.data[i], `indices ${what}`);
    }
    run++;
  }
});

test("output sizes: floor, ceil, and a last window that would start in the padding", () => {
  const size = (d: number, attributes: Attributes): number =>
    inferOp("MaxPool", [filled([1, 1, d])], attributes)[0]!.shape[2]!;
  assert.is(size(6, { kernel_shape: [3], strides: [2] }), 2);
  assert.is(size(6, { kernel_shape: [3], strides: [2], ceil_mode: 1 }), 3);
  // ceil((2 + 2 - 1) / 2) + 1 = 3 windows, but the third would start at 4 - 1 = 3, behind the data (2) and its padding.
  assert.is(size(2, { kernel_shape: [1], strides: [2], pads: [1, 1], ceil_mode: 1 }), 2);
  assert.is(size(7, { kernel_shape: [3], strides: [2], auto_pad: "SAME_UPPER" }), 4);
  assert.is(size(7, { kernel_shape: [3], strides: [2], auto_pad: "VALID", ceil_mode: 1 }), 3);
});

test("SAME pads: the odd one goes behind (UPPER) or in front (LOWER)", () => {
  const x = tensor([1, 2, 3, 4], [1, 1, 4], "f64");
  const w = tensor([1, 10], [1, 1, 2], "f64");
  const run = (auto_pad: string): number[] => toNumbers(evaluateOp("Conv", [x, w], { auto_pad })[0]!);
  assert.equal(run("SAME_UPPER"), [21, 32, 43, 4]);
  assert.equal(run("SAME_LOWER"), [10, 21, 32, 43]);
  assert.equal(run("VALID"), [21, 32, 43]);
});

test("ConvTranspose: output_shape beyond what is made ends in zeros; SAME is stride times the size", () => {
  const x = tensor([1, 2, 3], [1, 1, 3], "f64");
  const w = tensor([1, 10], [1, 1, 2], "f64");
  const run = (attributes: Attributes): number[] =>
    toNumbers(evaluateOp("ConvTranspose", [x, w], attributes)[0]!);
  // In full: 1 10 _ 2 20 _ 3 30 with stride 3.
  const full = [1, 10, 0, 2, 20, 0, 3, 30];
  assert.equal(run({ strides: [3] }), full);
  assert.equal(run({ strides: [3], output_shape: [10] }), [...full, 0, 0]);
  assert.equal(run({ strides: [3], auto_pad: "SAME_UPPER" }), [...full, 0]);
  assert.equal(run({ strides: [3], auto_pad: "SAME_LOWER" }), [...full, 0]);
  // One element too many is cut behind (UPPER) or in front.
  assert.equal(run({ strides: [1], auto_pad: "SAME_UPPER" }), [1, 12, 23]);
  assert.equal(run({ strides: [1], auto_pad: "SAME_LOWER" }), [12, 23, 30]);
});

test("MaxPool numbers maxima row by row or, with storage_order 1, column by column", () => {
  const x = tensor([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], [1, 2, 2, 3], "f64");
  const run = (storage_order: number): number[] =>
    toNumbers(evaluateOp("MaxPool", [x], { kernel_shape: [2, 2], storage_order }, 2)[1]!);
  assert.equal(run(0), [4, 5, 10, 11]);
  assert.equal(run(1), [3, 5, 9, 11]);
});

test("MaxPool of small integers keeps their type", () => {
  const [y] = evaluateOp("MaxPool", [tensor(Int8Array.of(-5, -7, 3, -1), [1, 1, 4])], {
    kernel_shape: [2],
    strides: [2],
  });
  assert.is(y!.dtype, "i8");
  assert.equal(toNumbers(y!), [-5, 3]);
});

test("empty batches and empty images give empty results", () => {
  const w = filled([3, 2, 3, 3]);
  assert.equal(evaluateOp("Conv", [filled([0, 2, 5, 5]), w])[0]!.shape, [0, 3, 3, 3]);
  assert.equal(evaluateOp("Conv", [filled([1, 2, 0, 5]), w])[0]!.shape, [1, 3, 0, 3]);
  assert.equal(
    evaluateOp("MaxPool", [filled([1, 0, 4, 4])], { kernel_shape: [2, 2] })[0]!.shape,
    [1, 0, 3, 3],
  );
  assert.equal(evaluateOp("GlobalAveragePool", [filled([0, 2, 4, 4])])[0]!.shape, [0, 2, 1, 1]);
});

test.run();
