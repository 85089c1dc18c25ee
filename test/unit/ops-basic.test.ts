import { suite } from "uvu";
import * as assert from "uvu/assert";
import { erf } from "../../src/graph/ops/support/erf.ts";
import type { DType } from "../../src/tensor/dtype.ts";
import { type HostTensor, tensor, toNumbers } from "../../src/tensor/host-tensor.ts";
import { type Attributes, evaluateOp, inferOp } from "../support/evaluate-op.ts";

const test = suite("ops-basic");

const list = (values: readonly number[], dtype: DType = "f64"): HostTensor =>
  tensor(values, [values.length], dtype);
const ints = (...values: number[]): HostTensor => list(values, "i64");
const floats = (shape: readonly number[]): HostTensor =>
  tensor(
    Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i),
    shape,
  );
const one = (op: string, x: readonly number[], attributes: Attributes = {}, dtype: DType = "f64"): number[] =>
  toNumbers(evaluateOp(op, [list(x, dtype)], attributes)[0]!);
const two = (op: string, a: HostTensor, b: HostTensor, attributes: Attributes = {}): number[] =>
  toNumbers(evaluateOp(op, [a, b], attributes)[0]!);

function near(got: readonly number[], want: readonly number[], tolerance = 1e-14): void {
  assert.is(got.length, want.length);
  for (const [i, w] of want.entries()) {
    const g = got[i]!;
    assert.ok(
      Object.is(g, w) || g === w || Math.abs(g - w) <= tolerance * Math.max(1, Math.abs(w)),
      `${i}: ${g}, not ${w}`,
    );
  }
}

test("erf is right to 1e-15 from the smallest argument to saturation", () => {
  const known = [
    [1e-10, 1.1283791670955126e-10],
    [0.1, 0.1124629160182849],
    [0.5, 0.5204998778130465],
    [1, 0.8427007929497149],
    [1.5, 0.9661051464753108],
    [2, 0.9953222650189527],
    [2.5, 0.999593047982555],
    [3, 0.9999779095030014],
    [4, 0.9999999845827421],
    [5, 0.9999999999984626],
  ] as const;
  for (const [x, y] of known) {
    assert.ok(Math.abs(erf(x) - y) <= 1e-15);
    assert.is(erf(-x), -erf(x));
  }
  assert.equal([erf(0), erf(40), erf(-40), erf(Number.NaN)], [0, 1, -1, Number.NaN]);
});

test("functions of one element", () => {
  const e = Math.E;
  near(one("Relu", [-1, 0, 2, Number.NaN]), [0, 0, 2, Number.NaN]);
  near(
    one("Round", [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.49999999999999994, 2.4, -2.6]),
    [0, 2, 2, 0, -2, -2, 0, 2, -3],
  );
  near(one("Sigmoid", [0, 1000, -1000, 1]), [0.5, 1, 0, 1 / (1 + 1 / e)]);
  near(one("Softplus", [0, 1000, -1000]), [Math.LN2, 1000, 0]);
  near(one("Gelu", [0, 1, -1]), [0, 0.8413447460685429, -0.15865525393145707]);
  near(one("Gelu", [1], { approximate: "tanh" }), [0.8411919906082768]);
  near(one("Mish", [0, 1, 1000]), [0, Math.tanh(Math.log(1 + e)), 1000]);
  near(one("Swish", [1, 2], { alpha: 0.5 }), [1 / (1 + e ** -0.5), 2 / (1 + 1 / e)]);
  near(one("HardSwish", [-4, -3, 0, 1, 3, 5]), [0, 0, 0, 2 / 3, 3, 5]);
  near(one("HardSigmoid", [-9, 0, 1, 9]), [0, 0.5, 0.7, 1]);
  near(one("LeakyRelu", [-2, 3], { alpha: 0.25 }), [-0.5, 3]);
  near(one("Elu", [-1, 1], { alpha: 2 }), [2 * (1 / e - 1), 1]);
  near(one("Celu", [-2, 1], { alpha: 2 }), [2 * (1 / e - 1), 1]);
  near(one("Selu", [-1, 2]), [-1.1113307412864784, 2.1014020442962646]);
  near(one("Shrink", [-2, -1, 0, 1, 2], { lambd: 1.5, bias: 0.5 }), [-1.5, 0, 0, 0, 1.5]);
  near(one("ThresholdedRelu", [0.5, 1, 1.5]), [0, 0, 1.5]);
  near(one("Softsign", [1, -3, Number.POSITIVE_INFINITY]), [0.5, -0.75, 1]);
  near(one("Sign", [-2, 0, 3]), [-1, 0, 1]);
  near(one("Reciprocal", [4, 0]), [0.25, Number.POSITIVE_INFINITY]);
  near(one("Not", [0, 1], {}, "bool"), [1, 0]);
  near(one("Neg", [3, -4], {}, "i64"), [-3, 4]);
});

test("integers: division cuts towards zero, arithmetic wraps, infinities saturate", () => {
  near(two("Div", ints(7, -7, 7, -7), ints(2, 2, -2, -2)), [3, -3, -3, 3]);
  near(two("Mod", ints(7, -7, 7, -7), ints(3, 3, -3, -3)), [1, 2, -2, -1]);
  near(two("Mod", ints(7, -7, 7, -7), ints(3, 3, -3, -3), { fmod: 1 }), [1, -1, 1, -1]);
  near(two("Add", list([250], "u8"), list([10], "u8")), [4]);
  near(two("Pow", ints(3, 2), ints(4, -1)), [81, 0]);
  near(two("Pow", list([2, 9], "f32"), list([3, 2], "i32")), [8, 81]);
  const cast = (x: readonly number[], to: number): number[] => one("Cast", x, { to }, "f32");
  near(cast([1.9, -1.9, 0], 7), [1, -1, 0]);
  near(cast([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN], 6), [
    2 ** 31 - 1,
    -(2 ** 31),
    0,
  ]);
  near(cast([Number.POSITIVE_INFINITY, Number.NaN, -2.5], 7), [2 ** 63, 0, -2]);
  near(cast([0, 0.5, Number.NaN], 9), [0, 1, 1]);
});

test("broadcasting goes both ways", () => {
  near(two("Sub", tensor([1, 2], [2, 1], "f64"), list([10, 20, 30])), [-9, -19, -29, -8, -18, -28]);
  near(two("Less", tensor([1, 5], [2, 1], "f64"), list([3])), [1, 0]);
  const [y] = evaluateOp("Sum", [list([1, 2]), tensor([10, 20], [2, 1], "f64"), list([100])]);
  assert.equal(y!.shape, [2, 2]);
  near(toNumbers(y!), [111, 112, 121, 122]);
  const condition = tensor(new Uint8Array([1, 0]), [2, 1], "bool");
  near(toNumbers(evaluateOp("Where", [condition, list([1, 2]), list([-1, -2])])[0]!), [1, 2, -1, -2]);
});

test("Clip takes either bound, and max where the bounds cross", () => {
  const x = list([-5, 0, 5]);
  const clip = (low?: number, high?: number): number[] => {
    const bound = (v?: number): HostTensor | undefined =>
      v === undefined ? undefined : tensor([v], [], "f64");
    return toNumbers(evaluateOp("Clip", [x, bound(low), bound(high)])[0]!);
  };
  near(clip(-1, 2), [-1, 0, 2]);
  near(clip(undefined, 2), [-5, 0, 2]);
  near(clip(-1), [-1, 0, 5]);
  near(clip(3, 1), [1, 1, 1]);
});

test("reductions of nothing give the neutral element", () => {
  const empty = tensor(new Float64Array(0), [2, 0]);
  const infinity = Number.POSITIVE_INFINITY;
  const expected = {
    ReduceSum: 0,
    ReduceProd: 1,
    ReduceMax: -infinity,
    ReduceMin: infinity,
    ReduceL1: 0,
    ReduceL2: 0,
    ReduceSumSquare: 0,
    ReduceLogSum: -infinity,
    ReduceLogSumExp: -infinity,
    ReduceMean: Number.NaN,
  };
  for (const [op, value] of Object.entries(expected))
    near(two(op, empty, ints(1), { keepdims: 0 }), [value, value]);
  near(two("ReduceMax", tensor(new Int32Array(0), [1, 0]), ints(1)), [-(2 ** 31)]);
});

test("reductions: axes, keepdims, no axes at all, large exponents", () => {
  const x = floats([2, 3, 2]);
  assert.equal(inferOp("ReduceSum", [x, ints(-1, 0)], { keepdims: 0 })[0]!.shape, [3]);
  near(two("ReduceSum", x, ints(-1, 0), { keepdims: 0 }), [14, 22, 30]);
  assert.equal(inferOp("ReduceMean", [x])[0]!.shape, [1, 1, 1]);
  near(toNumbers(evaluateOp("ReduceMean", [x])[0]!), [5.5]);
  near(toNumbers(evaluateOp("ReduceSumSquare", [list([2, -3])], { noop_with_empty_axes: 1 })[0]!), [4, 9]);
  near(toNumbers(evaluateOp("ReduceLogSumExp", [list([1000, 1000])])[0]!), [1000 + Math.LN2]);
  near(toNumbers(evaluateOp("ArgMax", [list([1, 3, 3])])[0]!), [1]);
  near(toNumbers(evaluateOp("ArgMin", [list([1, 3, 1])], { select_last_index: 1, keepdims: 0 })[0]!), [2]);
});

test("Slice: negative bounds and steps, clamping, nothing left", () => {
  const x = floats([10]);
  const slice = (start: number, end: number, step: number): number[] =>
    toNumbers(evaluateOp("Slice", [x, ints(start), ints(end), ints(0), ints(step)])[0]!);
  near(slice(2, 8, 3), [2, 5]);
  near(slice(-3, 99, 1), [7, 8, 9]);
  near(slice(-1, -99, -4), [9, 5, 1]);
  near(slice(99, -(2 ** 62), -1), [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
  near(slice(5, 5, 1), []);
  near(slice(8, 2, 1), []);
  near(slice(0, 2 ** 62, 2), [0, 2, 4, 6, 8]);
});

test("Pad: every mode, crops, and both at once", () => {
  const x = floats([4]);
  const pad = (before: number, after: number, mode: string, value?: number): number[] => {
    const fill = value === undefined ? undefined : tensor([value], [], "f64");
    return toNumbers(evaluateOp("Pad", [x, ints(before, after), fill], { mode })[0]!);
  };
  near(pad(2, 1, "constant", 9), [9, 9, 0, 1, 2, 3, 9]);
  near(pad(2, 3, "edge"), [0, 0, 0, 1, 2, 3, 3, 3, 3]);
  near(pad(3, 2, "reflect"), [3, 2, 1, 0, 1, 2, 3, 2, 1]);
  near(pad(5, 6, "wrap"), [3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1]);
  near(pad(-1, -2, "constant"), [1]);
  near(pad(-2, 2, "constant", 7), [2, 3, 7, 7]);
  near(pad(-2, 1, "reflect"), [2, 3, 2]);
  near(pad(-4, 0, "edge"), []);
});

test("shapes: Reshape, Squeeze, Unsqueeze, Shape, Split, Expand, Tile, Gather, Range", () => {
  const shape = (
    op: string,
    inputs: readonly (HostTensor | undefined)[],
    a: Attributes = {},
  ): readonly number[] => inferOp(op, inputs, a)[0]!.shape;
  const x = floats([2, 3, 4]);
  assert.equal(shape("Reshape", [x, ints(0, -1)]), [2, 12]);
  assert.equal(shape("Reshape", [floats([0, 3, 4]), ints(0, -1)]), [0, 12]);
  assert.equal(shape("Reshape", [floats([0, 3]), ints(3, 0)], { allowzero: 1 }), [3, 0]);
  assert.equal(shape("Reshape", [floats([1]), ints()]), []);
  assert.equal(shape("Squeeze", [floats([1, 3, 1])]), [3]);
  assert.equal(shape("Unsqueeze", [x, ints(-1, 0)]), [1, 2, 3, 4, 1]);
  assert.equal(shape("Expand", [floats([3, 1]), ints(2, 1, 4)]), [2, 3, 4]);
  near(toNumbers(evaluateOp("Shape", [x], { start: -2 })[0]!), [3, 4]);
  near(toNumbers(evaluateOp("Size", [x])[0]!), [24]);
  assert.equal(
    inferOp("Split", [floats([7])], { num_outputs: 3 }, 3).map((t) => t.shape[0]),
    [3, 3, 1],
  );
  near(toNumbers(evaluateOp("Tile", [floats([1, 2]), ints(2, 2)])[0]!), [0, 1, 0, 1, 0, 1, 0, 1]);
  near(toNumbers(evaluateOp("Gather", [floats([3, 2]), ints(-1, 0)])[0]!), [4, 5, 0, 1]);
  near(toNumbers(evaluateOp("Gather", [floats([2, 3]), tensor([2], [], "i64")], { axis: 1 })[0]!), [2, 5]);
  const range = (...v: number[]): number[] =>
    toNumbers(
      evaluateOp(
        "Range",
        v.map((n) => tensor([n], [], "f64")),
      )[0]!,
    );
  near(range(1, 2, 0.25), [1, 1.25, 1.5, 1.75]);
  near(range(3, 0, -2), [3, 1]);
  near(range(3, 0, 1), []);
});

test.run();
