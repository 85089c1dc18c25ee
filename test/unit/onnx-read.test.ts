import type { TensorProto } from "onnx-buf";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { readOnnx } from "../../src/io/onnx/read.ts";
import type { HostTensor } from "../../src/tensor/host-tensor.ts";
import { refuses } from "../support/files.ts";
import { floats, node, onnxModel, tensorProto, valueInfo } from "../support/onnx-build.ts";

const test = suite("onnx: reading");

const elements = (t: HostTensor): (number | bigint)[] => Array.from(t.data as Iterable<number | bigint>);

test("Constant nodes become weights, exactly", () => {
  const nodes = [
    node("Constant", [], ["a"], { value: floats("", [2], [1, 2]) }, { domain: "ai.onnx" }),
    node("Constant", [], ["b"], { value_float: 0.5 }),
    node("Constant", [], ["c"], { value_floats: [1.5, 2.5] }),
    node("Constant", [], ["d"], { value_int: 9223372036854775807n }),
    node("Constant", [], ["e"], { value_ints: [-1n, 9007199254740993n] }),
    node("Constant", [], ["f"], { value: tensorProto("", 10, [2], { int32s: [0x3c00, 0xc000] }) }),
    node("Relu", ["x"], ["y"]),
  ];
  const g = readOnnx(onnxModel({ opset: 13, nodes }));
  assert.equal([...g.weights.keys()], ["a", "b", "c", "d", "e", "f"]);
  const data = (name: string) => elements(g.weights.get(name)!);
  assert.equal(data("d"), [9223372036854775807n]);
  assert.equal(data("e"), [-1n, 9007199254740993n]);
  assert.equal(data("f"), [1, -2]);
  assert.equal(g.weights.get("b")!.shape, []);
  assert.equal(data("c"), [1.5, 2.5]);
  refuses(
    () => readOnnx(onnxModel({ nodes: [node("Constant", [], ["a"], { value_string: "x" })] })),
    "E_UNSUPPORTED",
    "text",
  );
  refuses(() => readOnnx(onnxModel({ nodes: [node("Constant", [], ["a"])] })), "E_UNSUPPORTED", "no value");
});

test("typed data fields of every dtype are read", () => {
  const protos: [TensorProto, unknown[]][] = [
    [tensorProto("a", 1, [2], { floats: [1.5, -0] }), [1.5, -0]],
    [tensorProto("b", 11, [1], { doubles: [0.1] }), [0.1]],
    [tensorProto("c", 6, [2], { int32s: [-1, 2147483647] }), [-1, 2147483647]],
    [tensorProto("d", 7, [1], { int64s: [-(2n ** 63n)] }), [-(2n ** 63n)]],
    [tensorProto("e", 12, [1], { uint64s: [4294967295n] }), [4294967295]],
    [tensorProto("f", 2, [1], { int32s: [255] }), [255]],
    [tensorProto("g", 3, [1], { int32s: [-128] }), [-128]],
    [tensorProto("h", 9, [3], { int32s: [0, 1, 7] }), [0, 1, 1]],
    [tensorProto("i", 10, [1], { int32s: [0x7bff] }), [65504]],
    [tensorProto("j", 9, [2], { raw: Uint8Array.of(0, 2) }), [0, 1]],
  ];
  const g = readOnnx(
    onnxModel({ nodes: [node("Relu", ["x"], ["y"])], initializers: protos.map(([p]) => p) }),
  );
  for (const [proto, expected] of protos)
    assert.equal(elements(g.weights.get(proto.name)!), expected, proto.name);
});

test("what the graph declares: weights among the inputs, open dimensions, outputs without shapes", () => {
  const g = readOnnx(
    onnxModel({
      ir: 3,
      opset: 27,
      nodes: [node("Add", ["x", "w"], ["h"]), node("Concat", ["h", "h"], ["y"], { axis: 1n })],
      inputs: [valueInfo("x", ["N", 3]), valueInfo("w", [3])],
      outputs: [valueInfo("y", undefined)],
      initializers: [floats("w", [3], [1, 2, 3])],
      metadata: [
        ["author", "someone"],
        ["__proto__", "x"],
      ],
    }),
  );
  assert.equal(g.inputs, [{ name: "x", dtype: "f32", shape: [null, 3] }]);
  assert.equal(g.outputs, [{ name: "y", dtype: "f32", shape: [null, 6] }]);
  assert.equal(
    [...g.metadata],
    [
      ["author", "someone"],
      ["__proto__", "x"],
    ],
  );
});

test.run();
