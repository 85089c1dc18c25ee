import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ErrorCode } from "../../src/errors.ts";
import { findOp } from "../../src/graph/ops/index.ts";
import { modelFromBytes } from "../../src/io/model.ts";
import { refuses } from "../support/files.ts";
import {
  type Dim,
  floats,
  longs,
  node,
  onnxModel,
  tensorProto,
  type Value,
  valueInfo,
} from "../support/onnx-build.ts";
import { skip } from "../support/skip.ts";

/** Models whose bytes are fine and whose contents are not: refused when loaded, before anything large is allocated. */
const test = suite("hostile graphs");

type Weights = readonly ReturnType<typeof tensorProto>[];

function one(
  op: string,
  shape: readonly Dim[],
  attributes: Readonly<Record<string, Value>>,
  weights: Weights = [],
  inputs: readonly string[] = ["x", ...weights.map((w) => w.name)],
  opset = 22,
): Uint8Array {
  return onnxModel({
    opset,
    nodes: [node(op, inputs, ["y"], attributes)],
    inputs: [valueInfo("x", shape)],
    outputs: [valueInfo("y", undefined)],
    initializers: weights,
  });
}

const image: Dim[] = [1, 2, 6, 6];
const kernel = floats("w", [2, 2, 3, 3], Array(36).fill(1));
const conv = (attributes: Readonly<Record<string, Value>>, w = kernel): Uint8Array =>
  one("Conv", image, attributes, [w]);
const pool = (attributes: Readonly<Record<string, Value>>): Uint8Array =>
  one("MaxPool", image, { kernel_shape: [2n, 2n], ...attributes });
const attribute: readonly ErrorCode[] = ["E_ATTRIBUTE"];
const shape: readonly ErrorCode[] = ["E_SHAPE", "E_ATTRIBUTE", "E_GRAPH"];
const bomb: readonly ErrorCode[] = ["E_LIMIT", "E_OVERFLOW", "E_ATTRIBUTE"];
const huge = 2 ** 31 - 1;

const cases: readonly (readonly [string, string, readonly ErrorCode[], () => Uint8Array])[] = [
  ["stride 0", "Conv", attribute, () => conv({ strides: [0n, 1n] })],
  ["stride -1", "Conv", attribute, () => conv({ strides: [-1n, 1n] })],
  ["one stride for two dimensions", "Conv", attribute, () => conv({ strides: [1n] })],
  ["stride 2^62", "Conv", attribute, () => conv({ strides: [2n ** 62n, 1n] })],
  ["negative pads", "Conv", attribute, () => conv({ pads: [-1n, 0n, 0n, 0n] })],
  ["pads of 2^40", "Conv", bomb, () => conv({ pads: [2n ** 40n, 2n ** 40n, 0n, 0n] })],
  ["dilation 0", "Conv", attribute, () => conv({ dilations: [0n, 1n] })],
  ["group 0", "Conv", attribute, () => conv({ group: 0n })],
  ["group -1", "Conv", attribute, () => conv({ group: -1n })],
  ["group that does not divide", "Conv", shape, () => conv({ group: 3n })],
  [
    "kernel larger than the image",
    "Conv",
    shape,
    () => conv({}, floats("w", [2, 2, 9, 9], Array(324).fill(1))),
  ],
  ["kernel_shape unlike the weight", "Conv", shape, () => conv({ kernel_shape: [5n, 5n] })],
  ["channels unlike the weight", "Conv", shape, () => conv({}, floats("w", [2, 5, 3, 3], Array(90).fill(1)))],
  ["auto_pad unknown", "Conv", attribute, () => conv({ auto_pad: "SIDEWAYS" })],
  ["stride a text", "Conv", attribute, () => conv({ strides: "1,1" })],
  [
    "weight of another dtype",
    "Conv",
    ["E_GRAPH"],
    () => conv({}, tensorProto("w", 7, [2, 2, 3, 3], { raw: new BigInt64Array(36) })),
  ],
  ["pool kernel 0", "MaxPool", attribute, () => pool({ kernel_shape: [0n, 2n] })],
  ["pool stride 0", "MaxPool", attribute, () => pool({ strides: [0n, 0n] })],
  ["pool kernel missing", "MaxPool", attribute, () => one("MaxPool", image, {})],
  ["softmax axis", "Softmax", attribute, () => one("Softmax", [2, 3], { axis: 2n })],
  ["softmax axis below", "Softmax", attribute, () => one("Softmax", [2, 3], { axis: -3n })],
  ["old softmax axis", "Softmax", attribute, () => one("Softmax", [2, 3], { axis: 7n }, [], ["x"], 11)],
  ["flatten axis", "Flatten", attribute, () => one("Flatten", [2, 3], { axis: 3n })],
  ["concat axis", "Concat", attribute, () => one("Concat", [2, 3], { axis: 2n })],
  ["concat axis 2^53", "Concat", attribute, () => one("Concat", [2, 3], { axis: 2n ** 53n })],
  ["gather axis", "Gather", attribute, () => one("Gather", [2, 3], { axis: 2n }, [longs("i", [0])])],
  [
    "gather index beyond",
    "Gather",
    ["E_INDEX"],
    () => one("Gather", [2, 3], { axis: 1n }, [longs("i", [3])]),
  ],
  [
    "gather index below",
    "Gather",
    ["E_INDEX"],
    () => one("Gather", [2, 3], { axis: 1n }, [longs("i", [-4])]),
  ],
  ["gather by fractions", "Gather", ["E_GRAPH"], () => one("Gather", [2, 3], {}, [floats("i", [1], [0.5])])],
  ["reduce axis", "ReduceSum", attribute, () => one("ReduceSum", [2, 3], {}, [longs("a", [2])])],
  [
    "reduce axis 2^62",
    "ReduceSum",
    attribute,
    () => one("ReduceSum", [2, 3], { axes: [2n ** 62n] }, [], ["x"], 11),
  ],
  ["reduce axis twice", "ReduceSum", attribute, () => one("ReduceSum", [2, 3], {}, [longs("a", [1, -1])])],
  ["squeeze of a dimension not 1", "Squeeze", shape, () => one("Squeeze", [2, 3], {}, [longs("a", [0])])],
  [
    "unsqueeze to rank 9",
    "Unsqueeze",
    shape,
    () => one("Unsqueeze", [1, 1, 1, 1, 1, 1, 1, 1], {}, [longs("a", [0])]),
  ],
  ["transpose with a repeat", "Transpose", attribute, () => one("Transpose", [2, 3], { perm: [0n, 0n] })],
  [
    "transpose of another rank",
    "Transpose",
    attribute,
    () => one("Transpose", [2, 3], { perm: [0n, 1n, 2n] }),
  ],
  ["reshape with two -1", "Reshape", shape, () => one("Reshape", [2, 3], {}, [longs("s", [-1, -1])])],
  ["reshape with -2", "Reshape", shape, () => one("Reshape", [2, 3], {}, [longs("s", [-2, 3])])],
  ["reshape to another size", "Reshape", shape, () => one("Reshape", [2, 3], {}, [longs("s", [4])])],
  [
    "reshape to a wrapping size",
    "Reshape",
    ["E_SHAPE", "E_OVERFLOW"],
    () => one("Reshape", [2, 3], {}, [longs("s", [2 ** 32, 2 ** 32])]),
  ],
  [
    "reshape beyond the input's rank by 0",
    "Reshape",
    shape,
    () => one("Reshape", [2, 3], {}, [longs("s", [2, 3, 0])]),
  ],
  [
    "slice with step 0",
    "Slice",
    shape,
    () => one("Slice", [2, 3], {}, [longs("b", [0]), longs("e", [1]), longs("a", [0]), longs("s", [0])]),
  ],
  [
    "slice with unequal lists",
    "Slice",
    shape,
    () => one("Slice", [2, 3], {}, [longs("b", [0, 0]), longs("e", [1])]),
  ],
  ["split that does not add up", "Split", shape, () => one("Split", [2, 3], { axis: 1n }, [longs("s", [5])])],
  [
    "split with a negative part",
    "Split",
    shape,
    () =>
      onnxModel({
        nodes: [node("Split", ["x", "s"], ["y", "z"], { axis: 1n })],
        initializers: [longs("s", [-1, 4])],
      }),
  ],
  ["add of shapes that do not fit", "Add", shape, () => one("Add", [2, 3], {}, [floats("w", [2], [1, 2])])],
  ["add of two dtypes", "Add", ["E_GRAPH"], () => one("Add", [2, 3], {}, [longs("w", [1, 2, 3])])],
  [
    "matmul of shapes that do not fit",
    "MatMul",
    shape,
    () => one("MatMul", [2, 3], {}, [floats("w", [2, 2], [1, 2, 3, 4])]),
  ],
  ["gemm of rank 3", "Gemm", shape, () => one("Gemm", [2, 3, 4], {}, [floats("w", [2, 2], [1, 2, 3, 4])])],
  [
    "cast to a type we lack",
    "Cast",
    [...attribute, "E_DTYPE", "E_UNSUPPORTED"],
    () => one("Cast", [2], { to: 16n }),
  ],
  ["cast to nothing", "Cast", [...attribute, "E_DTYPE", "E_UNSUPPORTED"], () => one("Cast", [2], { to: 0n })],
  ["tile bomb", "Tile", bomb, () => one("Tile", [1], {}, [longs("r", [huge])])],
  [
    "tile bomb of many dimensions",
    "Tile",
    bomb,
    () => one("Tile", [1, 1, 1, 1], {}, [longs("r", [9999, 9999, 9999, 9999])]),
  ],
  ["tile with a negative repeat", "Tile", shape, () => one("Tile", [1], {}, [longs("r", [-1])])],
  ["expand bomb", "Expand", bomb, () => one("Expand", [1], {}, [longs("s", [huge])])],
  ["expand bomb that wraps", "Expand", bomb, () => one("Expand", [1], {}, [longs("s", [2 ** 32, 2 ** 32])])],
  [
    "constant bomb",
    "ConstantOfShape",
    bomb,
    () => one("ConstantOfShape", [1], {}, [longs("s", [huge])], ["s"]),
  ],
  [
    "constant bomb, read by a node",
    "ConstantOfShape",
    bomb,
    () =>
      onnxModel({
        nodes: [node("ConstantOfShape", ["s"], ["c"]), node("Add", ["x", "c"], ["y"])],
        initializers: [longs("s", [50_000, 50_000])],
      }),
  ],
  ["pad bomb", "Pad", bomb, () => one("Pad", [1], {}, [longs("p", [0, huge])])],
  ["pad that removes everything and more", "Pad", shape, () => one("Pad", [1], {}, [longs("p", [-2, 0])])],
  [
    "range bomb",
    "Range",
    [...bomb, "E_SHAPE"],
    () =>
      one(
        "Range",
        [1],
        {},
        ["a", "b", "c"].map((name, i) =>
          tensorProto(name, 7, [], { raw: BigInt64Array.of([0n, 2n ** 62n, 1n][i]!) }),
        ),
        ["a", "b", "c"],
      ),
  ],
  [
    "range without an end",
    "Range",
    [...bomb, "E_SHAPE"],
    () =>
      one(
        "Range",
        [1],
        {},
        ["a", "b", "c"].map((name, i) =>
          tensorProto(name, 7, [], { raw: BigInt64Array.of([0n, 5n, 0n][i]!) }),
        ),
        ["a", "b", "c"],
      ),
  ],
  [
    "resize bomb",
    "Resize",
    bomb,
    () => one("Resize", [1, 1, 2, 2], {}, [longs("z", [1, 1, 60_000, 60_000])], ["x", "", "", "z"]),
  ],
  [
    "resize by 1e30",
    "Resize",
    bomb,
    () => one("Resize", [1, 1, 2, 2], {}, [floats("f", [4], [1, 1, 1e30, 1])], ["x", "", "f"]),
  ],
  [
    "resize by NaN",
    "Resize",
    [...bomb, "E_SHAPE"],
    () => one("Resize", [1, 1, 2, 2], {}, [floats("f", [4], [1, 1, Number.NaN, 1])], ["x", "", "f"]),
  ],
  [
    "upsample by -1",
    "Resize",
    [...bomb, "E_SHAPE"],
    () => one("Upsample", [1, 1, 2, 2], { scales: [1, 1, -1, 1] }, [], ["x"], 7),
  ],
];
for (const [what, op, codes, make] of cases) {
  test(`${op}: ${what}`, () => {
    if (!findOp(op)) return skip(`${op}: ${what}`, `no op ${op}`);
    const bytes = make();
    refuses(() => modelFromBytes(bytes, { name: "evil.onnx" }), codes, what);
  });
}

test("bombs in a chain: each doubles the one before", () => {
  const nodes = Array.from({ length: 40 }, (_, i) =>
    node("Concat", [i ? `v${i}` : "x", i ? `v${i}` : "x"], [`v${i + 1}`], { axis: 0n }),
  );
  const bytes = onnxModel({ nodes, outputs: [valueInfo("v40", undefined)] });
  refuses(() => modelFromBytes(bytes), ["E_LIMIT", "E_OVERFLOW"], "doubling");
});

test("bombs of constants: each doubles the one before", () => {
  const nodes = Array.from({ length: 40 }, (_, i) =>
    node("Concat", [i ? `v${i}` : "w", i ? `v${i}` : "w"], [`v${i + 1}`], { axis: 0n }),
  );
  nodes.push(node("Relu", ["x"], ["y"]));
  const bytes = onnxModel({ nodes, initializers: [floats("w", [1000], Array(1000).fill(1))] });
  refuses(() => modelFromBytes(bytes), ["E_LIMIT", "E_OVERFLOW"], "doubling constants");
});

test("a graph with open dimensions is left for compile", () => {
  const bytes = one("Conv", ["N", 2, 6, 6], { strides: [1n, 1n] }, [kernel]);
  if (!findOp("Conv")) return skip("open dimensions", "no op Conv");
  assert.equal(modelFromBytes(bytes).outputs[0]!.shape, [null, 2, 4, 4]);
});

test.run();
