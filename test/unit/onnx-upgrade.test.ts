import type { NodeProto, TensorProto } from "onnx-buf";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { findOp } from "../../src/graph/ops/index.ts";
import { readOnnx } from "../../src/io/onnx/read.ts";
import { type HostTensor, tensor, toNumbers } from "../../src/tensor/host-tensor.ts";
import { refuses, runGraph } from "../support/files.ts";
import { type Dim, floats, longs, node, onnxModel, valueInfo } from "../support/onnx-build.ts";
import { skip } from "../support/skip.ts";

const test = suite("onnx: older opsets");

interface Case {
  readonly opset: number;
  readonly nodes: readonly NodeProto[];
  readonly x: HostTensor;
  /** Declared shape of x where it differs from the tensor's: "N" leaves a dimension open. */
  readonly declared?: readonly Dim[];
  readonly weights?: readonly TensorProto[];
}

/** Value y of a model given x. */
function run(c: Case): HostTensor {
  const graph = readOnnx(
    onnxModel({
      opset: c.opset,
      nodes: c.nodes,
      inputs: [valueInfo("x", c.declared ?? c.x.shape)],
      outputs: [valueInfo("y", undefined)],
      initializers: c.weights ?? [],
    }),
  );
  return runGraph(graph, new Map([["x", c.x]])).get("y")!;
}

function close(
  actual: HostTensor,
  shape: readonly number[],
  expected: readonly number[],
  what: string,
): void {
  assert.equal([...actual.shape], [...shape], `${what}: shape`);
  for (const [i, v] of toNumbers(actual).entries()) {
    assert.ok(
      Math.abs(v - expected[i]!) <= 1e-6 * (1 + Math.abs(expected[i]!)),
      `${what}: [${i}] ${v}, not ${expected[i]}`,
    );
  }
}

/** Runs only where the ops exist; says so where they do not. */
function needs(ops: readonly string[], what: string): boolean {
  const missing = ops.filter((op) => !findOp(op));
  if (missing.length > 0) skip(what, `no op ${missing.join(", ")}`);
  return missing.length === 0;
}

const iota = (shape: readonly number[], from = 0): HostTensor =>
  tensor(
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i + from),
    shape,
  );

test("arithmetic of opset 6 aligns its second operand at an axis", () => {
  const x = iota([2, 3, 2]);
  const add = (attributes: Record<string, bigint>, w: TensorProto, declared?: Dim[]): HostTensor =>
    run({
      opset: 6,
      nodes: [node("Add", ["x", "w"], ["y"], attributes)],
      x,
      weights: [w],
      ...(declared && { declared }),
    });
  const perChannel = [0, 1, 12, 13, 24, 25, 6, 7, 18, 19, 30, 31];
  const w = floats("w", [3], [0, 10, 20]);
  close(add({ broadcast: 1n, axis: 1n }, w), [2, 3, 2], perChannel, "axis 1");
  close(add({ broadcast: 1n, axis: -2n }, w), [2, 3, 2], perChannel, "axis -2");
  close(add({ broadcast: 1n, axis: 1n }, w, ["N", 3, "M"]), [2, 3, 2], perChannel, "axis 1, open dimensions");
  close(
    add({ broadcast: 1n }, floats("w", [2], [0, 10])),
    [2, 3, 2],
    [0, 11, 2, 13, 4, 15, 6, 17, 8, 19, 10, 21],
    "no axis",
  );
  close(
    add({ broadcast: 1n, axis: 0n }, floats("w", [2, 3], [0, 1, 2, 3, 4, 5])),
    [2, 3, 2],
    [0, 1, 3, 4, 6, 7, 9, 10, 12, 13, 15, 16],
    "axis 0",
  );
});

test("arithmetic of opset 6 aligns a computed operand too", () => {
  const nodes = [
    node("ReduceSum", ["x"], ["s"], { axes: [1n], keepdims: 0n }),
    node("Sub", ["x", "s"], ["y"], { broadcast: 1n, axis: 0n }),
  ];
  close(run({ opset: 6, nodes, x: iota([2, 3]) }), [2, 3], [-3, -2, -1, -9, -8, -7], "x - sum over rows");
});

test("Clip, Pad, Slice, Squeeze, Unsqueeze and reductions take their attributes as inputs", () => {
  const x = iota([2, 3]);
  close(
    run({ opset: 6, nodes: [node("Clip", ["x"], ["y"], { min: 1, max: 3 })], x }),
    [2, 3],
    [1, 1, 2, 3, 3, 3],
    "Clip",
  );
  close(
    run({ opset: 6, nodes: [node("Clip", ["x"], ["y"], { max: 2 })], x }),
    [2, 3],
    [0, 1, 2, 2, 2, 2],
    "Clip max",
  );
  close(run({ opset: 6, nodes: [node("Clip", ["x"], ["y"])], x }), [2, 3], [0, 1, 2, 3, 4, 5], "Clip open");
  close(
    run({ opset: 10, nodes: [node("Pad", ["x"], ["y"], { pads: [0n, 1n, 0n, 0n], value: 9 })], x }),
    [2, 4],
    [9, 0, 1, 2, 9, 3, 4, 5],
    "Pad",
  );
  close(
    run({ opset: 2 + 4, nodes: [node("Pad", ["x"], ["y"], { pads: [1n, 0n, 0n, 0n] })], x }),
    [3, 3],
    [0, 0, 0, 0, 1, 2, 3, 4, 5],
    "Pad 0",
  );
  const slice = { starts: [0n, 1n], ends: [9223372036854775807n, -1n] };
  close(run({ opset: 9, nodes: [node("Slice", ["x"], ["y"], slice)], x }), [2, 1], [1, 4], "Slice");
  close(
    run({ opset: 9, nodes: [node("Slice", ["x"], ["y"], { starts: [1n], ends: [3n], axes: [1n] })], x }),
    [2, 2],
    [1, 2, 4, 5],
    "Slice axes",
  );
  const squeeze = [
    node("Unsqueeze", ["x"], ["u"], { axes: [0n, 3n] }),
    node("Squeeze", ["u"], ["y"], { axes: [0n] }),
  ];
  close(run({ opset: 12, nodes: squeeze, x }), [2, 3, 1], [0, 1, 2, 3, 4, 5], "Squeeze of Unsqueeze");
  close(
    run({ opset: 12, nodes: [squeeze[0]!, node("Squeeze", ["u"], ["y"])], x }),
    [2, 3],
    [0, 1, 2, 3, 4, 5],
    "Squeeze of all",
  );
  for (const [op, expected] of [
    ["ReduceMean", [1, 4]],
    ["ReduceMax", [2, 5]],
    ["ReduceSum", [3, 12]],
  ] as const) {
    const given = { axes: [1n], keepdims: 0n };
    close(run({ opset: 12, nodes: [node(op, ["x"], ["y"], given)], x }), [2], expected, op);
    close(
      run({ opset: 11, nodes: [node(op, ["x"], ["y"], { axes: [-1n] })], x }),
      [2, 1],
      expected,
      `${op} keeping dims`,
    );
  }
  close(
    run({ opset: 17, nodes: [node("ReduceL1", ["x"], ["y"], { keepdims: 0n })], x }),
    [],
    [15],
    "ReduceL1 over all",
  );
});

test("Split gets its parts as an input, or their number", () => {
  const x = iota([2, 6]);
  const split = (
    opset: number,
    attributes: Record<string, bigint | bigint[]>,
    inputs: string[],
    weights: TensorProto[] = [],
  ) =>
    run({
      opset,
      nodes: [node("Split", inputs, ["a", "b"], attributes), node("Concat", ["b", "a"], ["y"], { axis: 1n })],
      x,
      weights,
    });
  close(
    split(11, { axis: 1n, split: [1n, 5n] }, ["x"]),
    [2, 6],
    [1, 2, 3, 4, 5, 0, 7, 8, 9, 10, 11, 6],
    "opset 11",
  );
  close(split(11, { axis: 1n }, ["x"]), [2, 6], [3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8], "opset 11, even");
  close(split(13, { axis: 1n }, ["x"]), [2, 6], [3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8], "opset 13, even");
  close(
    split(13, { axis: 1n }, ["x", "s"], [longs("s", [2, 4])]),
    [2, 6],
    [2, 3, 4, 5, 0, 1, 8, 9, 10, 11, 6, 7],
    "opset 13",
  );
});

function softmaxRows(values: readonly number[], columns: number): number[] {
  const out: number[] = [];
  for (let r = 0; r < values.length; r += columns) {
    const row = values.slice(r, r + columns).map((v) => Math.exp(v - 10));
    const sum = row.reduce((a, b) => a + b, 0);
    out.push(...row.map((v) => v / sum));
  }
  return out;
}

test("Softmax before opset 13 works on rows of everything from its axis on", () => {
  if (!needs(["Softmax", "Flatten", "Shape", "Reshape"], "old Softmax")) return;
  const x = iota([2, 2, 3]);
  const soft = (axis: bigint | undefined, declared?: Dim[]): HostTensor =>
    run({
      opset: 11,
      nodes: [node("Softmax", ["x"], ["y"], axis === undefined ? {} : { axis })],
      x,
      ...(declared && { declared }),
    });
  close(soft(undefined), [2, 2, 3], softmaxRows(toNumbers(x), 6), "default axis 1");
  close(soft(1n, ["N", 2, 3]), [2, 2, 3], softmaxRows(toNumbers(x), 6), "open batch");
  close(soft(0n), [2, 2, 3], softmaxRows(toNumbers(x), 12), "axis 0");
  close(soft(2n), [2, 2, 3], softmaxRows(toNumbers(x), 3), "last axis");
  close(soft(-1n), [2, 2, 3], softmaxRows(toNumbers(x), 3), "axis -1");
  const flat = readOnnx(
    onnxModel({ opset: 11, nodes: [node("Softmax", ["x"], ["y"])], inputs: [valueInfo("x", ["N", 10])] }),
  );
  assert.is(flat.nodes.length, 1, "a matrix needs no detour");
});

test("Softmax from opset 13 on works along its axis", () => {
  if (!needs(["Softmax"], "Softmax 13")) return;
  const x = tensor([0, 1, 2, 3], [2, 2]);
  const y = run({ opset: 13, nodes: [node("Softmax", ["x"], ["y"], { axis: 0n })], x });
  const e = 1 / (1 + Math.exp(2));
  close(y, [2, 2], [e, e, 1 - e, 1 - e], "axis 0");
});

test("PRelu of opset 6 has one slope per channel", () => {
  const x = tensor([-1, -2, -3, -4, 5, 6, -7, -8], [1, 2, 2, 2]);
  const prelu = (w: TensorProto): HostTensor =>
    run({ opset: 6, nodes: [node("PRelu", ["x", "w"], ["y"])], x, weights: [w] });
  close(
    prelu(floats("w", [2], [0.5, 0.25])),
    [1, 2, 2, 2],
    [-0.5, -1, -1.5, -2, 5, 6, -1.75, -2],
    "per channel",
  );
  close(prelu(floats("w", [1], [0.5])), [1, 2, 2, 2], [-0.5, -1, -1.5, -2, 5, 6, -3.5, -4], "one for all");
});

test("GroupNormalization of opset 18 scales groups", () => {
  if (!needs(["GroupNormalization"], "old GroupNormalization")) return;
  const x = tensor([0, 2, 4, 6, 10, 14, 18, 22], [1, 4, 2]);
  const weights = [floats("s", [2], [1, 10]), floats("b", [2], [0, 100])];
  const nodes = [node("GroupNormalization", ["x", "s", "b"], ["y"], { num_groups: 2n, epsilon: 0 })];
  const z = [-1.3416407865, -0.4472135955, 0.4472135955, 1.3416407865];
  const expected = [...z, ...z.map((v) => 10 * v + 100)];
  const close5 = (y: HostTensor, what: string): void => {
    for (const [i, v] of toNumbers(y).entries())
      assert.ok(Math.abs(v - expected[i]!) < 1e-4, `${what}: ${v}, not ${expected[i]}`);
  };
  close5(run({ opset: 18, nodes, x, weights }), "known channels");
  if (!needs(["InstanceNormalization"], "GroupNormalization of unknown channels")) return;
  close5(run({ opset: 18, nodes, x, weights, declared: ["N", "C", "L"] }), "unknown channels");
});

test("Upsample and the first Resize become today's Resize", () => {
  if (!needs(["Resize"], "Upsample")) return;
  const x = tensor([1, 2, 3, 4], [1, 1, 2, 2]);
  const twice = [1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4];
  const scales = floats("scales", [4], [1, 1, 2, 2]);
  const attribute = { mode: "nearest", scales: [1, 1, 2, 2] };
  close(
    run({ opset: 7, nodes: [node("Upsample", ["x"], ["y"], attribute)], x }),
    [1, 1, 4, 4],
    twice,
    "Upsample 7",
  );
  close(
    run({ opset: 9, nodes: [node("Upsample", ["x", "scales"], ["y"])], x, weights: [scales] }),
    [1, 1, 4, 4],
    twice,
    "Upsample 9",
  );
  close(
    run({ opset: 10, nodes: [node("Resize", ["x", "scales"], ["y"])], x, weights: [scales] }),
    [1, 1, 4, 4],
    twice,
    "Resize 10",
  );
  const empty = [floats("roi", [0], []), floats("none", [0], []), longs("sizes", [1, 1, 4, 4])];
  const asymmetric = { coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" };
  const resize = node("Resize", ["x", "roi", "none", "sizes"], ["y"], asymmetric);
  close(run({ opset: 11, nodes: [resize], x, weights: empty }), [1, 1, 4, 4], twice, "Resize 11");
});

test("BatchNormalization and Dropout of inference load, those of training are refused", () => {
  if (!needs(["BatchNormalization", "Dropout"], "old BatchNormalization and Dropout")) return;
  const weights = ["s", "b", "m", "v"].map((name, i) => floats(name, [2], i === 3 ? [4, 4] : [i + 1, i + 1]));
  const x = iota([1, 2, 2]);
  const bn = (opset: number, attributes: Record<string, bigint | number>, outputs: string[]): Case => ({
    opset,
    nodes: [node("BatchNormalization", ["x", "s", "b", "m", "v"], outputs, { epsilon: 0, ...attributes })],
    x,
    weights,
  });
  const expected = [0.5, 1, 1.5, 2];
  close(run(bn(6, { is_test: 1n, spatial: 1n }, ["y"])), [1, 2, 2], expected, "opset 6");
  close(
    run(bn(6, { is_test: 1n }, ["y", "m1", "v1", "sm", "sv"])),
    [1, 2, 2],
    expected,
    "opset 6, unread outputs",
  );
  close(run(bn(9, {}, ["y"])), [1, 2, 2], expected, "opset 9");
  refuses(() => run(bn(9, {}, ["y", "m1", "v1"])), "E_UNSUPPORTED", "training outputs");
  refuses(() => run(bn(7, { spatial: 0n }, ["y"])), "E_UNSUPPORTED", "spatial 0");
  const drop = (opset: number, attributes: Record<string, bigint | number>, outputs = ["y"]): Case => ({
    opset,
    nodes: [node("Dropout", ["x"], outputs, attributes)],
    x,
  });
  close(run(drop(6, { is_test: 1n, ratio: 0.5 })), [1, 2, 2], [0, 1, 2, 3], "Dropout 6");
  close(run(drop(7, { ratio: 0.5 }, ["y", "mask"])), [1, 2, 2], [0, 1, 2, 3], "Dropout 7");
  close(run(drop(12, { seed: 1n })), [1, 2, 2], [0, 1, 2, 3], "Dropout 12");
  refuses(() => run(drop(6, { ratio: 0.5 })), "E_UNSUPPORTED", "Dropout in training");
});

test("Gemm of opset 6 drops its broadcast attribute", () => {
  const weights = [floats("w", [3, 2], [1, 0, 0, 1, 1, 1]), floats("c", [2], [10, 20])];
  const nodes = [node("Gemm", ["x", "w", "c"], ["y"], { broadcast: 1n })];
  close(run({ opset: 6, nodes, x: iota([2, 3]), weights }), [2, 2], [12, 23, 18, 29], "Gemm");
});

test("attributes left from before opset 6 are passed over", () => {
  close(
    run({
      opset: 6,
      nodes: [node("Relu", ["x"], ["y"], { consumed_inputs: [0n] })],
      x: tensor([-1, 1], [2]),
    }),
    [2],
    [0, 1],
    "Relu",
  );
});

test.run();
