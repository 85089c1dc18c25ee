import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { type AttributeProto, ModelProtoSchema, type TensorProto, TensorProtoSchema } from "onnx-buf";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Attribute } from "../../src/graph/graph.ts";
import { type DType, viewBytes } from "../../src/tensor/dtype.ts";
import { getNumber, type HostTensor, tensor } from "../../src/tensor/host-tensor.ts";
import { checkAsGraph, evaluateOp } from "../support/evaluate-op.ts";
import { skip } from "../support/skip.ts";

// The ONNX project's own cases for the basic ops, against the f64 references. Decoded by the protobuf library alone, so that
// a fault in our reader cannot hide one in an op.
const root = join(import.meta.dirname, "../../../shared/onnx-conformance");
const ops = new Set(
  (
    "Abs Ceil Celu Cos Elu Erf Exp Floor Gelu HardSigmoid HardSwish LeakyRelu Log Mish Neg Not Reciprocal Relu Round Selu " +
    "Shrink Sigmoid Sign Sin Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu Clip Cast PRelu Add And Div Equal Greater " +
    "GreaterOrEqual Less LessOrEqual Mod Mul Or Pow Sub Xor Max Mean Min Sum Where Flatten Reshape Transpose Concat Split " +
    "Slice Pad Squeeze Unsqueeze Expand Tile Gather Shape Size ConstantOfShape Range ReduceL1 ReduceL2 ReduceLogSum " +
    "ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare ArgMax ArgMin"
  ).split(" "),
);

const dtypes: Readonly<Record<number, DType>> = {
  1: "f32",
  2: "u8",
  3: "i8",
  6: "i32",
  7: "i64",
  9: "bool",
  10: "f16",
  11: "f64",
  12: "u32",
};

function decodeTensor(t: TensorProto): HostTensor {
  const dtype = dtypes[t.dataType];
  if (!dtype) throw new Error(`dtype ${t.dataType}`);
  const shape = t.dims.map(Number);
  const size = shape.reduce((a, b) => a * b, 1);
  if (t.rawData.length > 0 || size === 0) {
    return { dtype: dtype!, shape, data: viewBytes(dtype, t.rawData, 0, size) };
  }
  const values = [t.floatData, t.doubleData, t.int64Data, t.int32Data].find((list) => list.length > 0) ?? [];
  return tensor(Array.from(values, Number), shape, dtype);
}

function decodeAttribute(a: AttributeProto): Attribute {
  switch (a.type) {
    case 1:
      return a.f;
    case 2:
      return Number(a.i);
    case 3:
      return new TextDecoder().decode(a.s);
    case 4:
      return decodeTensor(a.t!);
    case 6:
      return a.floats;
    case 7:
      return a.ints.map(Number);
    default:
      throw new Error(`attribute type ${a.type}`);
  }
}

const test = suite("ops-basic-conformance");
if (existsSync(root)) {
  const manifest = JSON.parse(readFileSync(join(root, "manifest.json"), "utf8")) as {
    case: string;
    ops: string[];
  }[];
  const cases = manifest.filter((c) => c.ops.length === 1 && ops.has(c.ops[0]!));
  for (const { case: path } of cases) test(path, () => runCase(join(root, path)));
  test("covers the cases it should", () => assert.ok(cases.length >= 150, `${cases.length} cases`));
} else test("the ONNX project's cases", () => skip("ops-basic-conformance", `${root} is absent`));

function runCase(folder: string): void {
  const { graph } = fromBinary(ModelProtoSchema, readFileSync(join(folder, "model.onnx")));
  const [node, ...more] = graph!.node;
  assert.is(more.length, 0);
  const attributes = Object.fromEntries(node!.attribute.map((a) => [a.name, decodeAttribute(a)]));
  const data = join(folder, "test_data_set_0");
  const read = (file: string): HostTensor =>
    decodeTensor(fromBinary(TensorProtoSchema, readFileSync(join(data, file))));
  const files = readdirSync(data).length;
  const given = graph!.input.map((v, i) => [v.name, read(`input_${i}.pb`)] as const);
  const values = new Map([...given, ...graph!.initializer.map((t) => [t.name, decodeTensor(t)] as const)]);
  const inputs = node!.input.map((name) => values.get(name));
  const expected = node!.output.map((_, i) => read(`output_${i}.pb`));
  assert.is(files, given.length + expected.length);
  const results = evaluateOp(node!.opType, inputs, attributes, expected.length);
  for (const [i, want] of expected.entries()) compare(results[i]!, want);
  if (inputs.every((t) => t !== undefined) && expected.length === 1) {
    checkAsGraph(node!.opType, inputs as HostTensor[], attributes);
  }
}

/** The expected floats are f32, so 1e-6 relative (plus 1e-7) is what their own rounding allows after a few steps. */
function compare(got: HostTensor, want: HostTensor): void {
  assert.equal(got.shape, want.shape);
  for (let i = 0; i < want.data.length; i++) {
    const a = getNumber(got.data, i);
    const b = getNumber(want.data, i);
    if (Object.is(a, b) || a === b) continue;
    assert.ok(Math.abs(a - b) <= 1e-6 * Math.abs(b) + 1e-7, `element ${i}: ${a} instead of ${b}`);
  }
}

test.run();
