import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type ErrorCode, SecateurError } from "../../src/errors.ts";
import type { DType } from "../../src/tensor/dtype.ts";
import { type HostTensor, tensor } from "../../src/tensor/host-tensor.ts";
import { type Attributes, evaluateOp, inferOp } from "../support/evaluate-op.ts";

const test = suite("ops-basic-faults");

const list = (values: readonly number[], dtype: DType = "f64"): HostTensor =>
  tensor(values, [values.length], dtype);
const ints = (...values: number[]): HostTensor => list(values, "i64");

const huge = 2 ** 31 - 1;
const scalarOf = (v: number): HostTensor => tensor([v], [], "f64");
const f = (shape: readonly number[]): HostTensor =>
  tensor(new Float64Array(shape.reduce((a, b) => a * b, 1)), shape);
type Fault = readonly [ErrorCode, string, readonly (HostTensor | undefined)[], Attributes?, number?];
const faults: Readonly<Record<string, Fault>> = {
  "shapes that do not broadcast": ["E_SHAPE", "Add", [f([2, 3]), f([2])]],
  "two dtypes": ["E_GRAPH", "Add", [f([1]), ints(1)]],
  "a bool in arithmetic": ["E_GRAPH", "Add", [list([1], "bool"), list([1], "bool")]],
  "an integer in Sqrt": ["E_GRAPH", "Sqrt", [ints(4)]],
  "Gelu of an unknown kind": ["E_ATTRIBUTE", "Gelu", [f([1])], { approximate: "exact" }],
  "Mod of floats without fmod": ["E_ATTRIBUTE", "Mod", [f([1]), f([1])]],
  "an attribute of the wrong kind": ["E_ATTRIBUTE", "LeakyRelu", [f([1])], { alpha: "0.1" }],
  "a slope that is larger than the data": ["E_SHAPE", "PRelu", [f([1]), f([2])]],
  "Clip bounds that are no scalars": ["E_SHAPE", "Clip", [f([2]), f([2])]],
  "a Cast to text": ["E_UNSUPPORTED", "Cast", [f([1])], { to: 8 }],
  "Reshape with two -1": ["E_ATTRIBUTE", "Reshape", [f([4]), ints(-1, -1)]],
  "Reshape below -1": ["E_ATTRIBUTE", "Reshape", [f([4]), ints(-2, 2)]],
  "Reshape to another size": ["E_SHAPE", "Reshape", [f([4]), ints(3)]],
  "Reshape that does not divide": ["E_SHAPE", "Reshape", [f([4]), ints(3, -1)]],
  "Reshape that copies what is not there": ["E_SHAPE", "Reshape", [f([4]), ints(4, 0)]],
  "Reshape with -1 and 0": ["E_ATTRIBUTE", "Reshape", [f([0]), ints(0, -1)], { allowzero: 1 }],
  "Reshape by a matrix": ["E_SHAPE", "Reshape", [f([1]), tensor([1], [1, 1], "i64")]],
  "Reshape by floats": ["E_GRAPH", "Reshape", [f([1]), f([1])]],
  "Flatten outside": ["E_ATTRIBUTE", "Flatten", [f([2, 2])], { axis: 3 }],
  "perm that repeats": ["E_ATTRIBUTE", "Transpose", [f([2, 2])], { perm: [0, 0] }],
  "perm too short": ["E_ATTRIBUTE", "Transpose", [f([2, 2])], { perm: [0] }],
  "Concat without axis": ["E_ATTRIBUTE", "Concat", [f([1])]],
  "Concat of shapes that differ": ["E_SHAPE", "Concat", [f([2, 3]), f([3, 3])], { axis: 1 }],
  "Split sizes that do not add up": ["E_SHAPE", "Split", [f([5]), ints(2, 2)], {}, 2],
  "negative Split sizes": ["E_SHAPE", "Split", [f([5]), ints(-1, 6)], {}, 2],
  "Split into unequal parts": ["E_SHAPE", "Split", [f([5])], {}, 2],
  "Split told twice": ["E_ATTRIBUTE", "Split", [f([4]), ints(2, 2)], { num_outputs: 2 }, 2],
  "Slice with step 0": ["E_ATTRIBUTE", "Slice", [f([4]), ints(0), ints(4), ints(0), ints(0)]],
  "Slice with an axis twice": ["E_ATTRIBUTE", "Slice", [f([4, 4]), ints(0, 0), ints(1, 1), ints(0, -2)]],
  "Slice with too few ends": ["E_SHAPE", "Slice", [f([4, 4]), ints(0, 0), ints(1)]],
  "Pad of an unknown mode": ["E_ATTRIBUTE", "Pad", [f([4]), ints(1, 1)], { mode: "mirror" }],
  "too few pads": ["E_SHAPE", "Pad", [f([4, 4]), ints(1, 1)]],
  "reflect beyond the tensor": ["E_ATTRIBUTE", "Pad", [f([4]), ints(4, 0)], { mode: "reflect" }],
  "edge of nothing": ["E_ATTRIBUTE", "Pad", [f([0]), ints(1, 0)], { mode: "edge" }],
  "a crop of more than there is": ["E_SHAPE", "Pad", [f([4]), ints(-3, -3)]],
  "Squeeze of a real axis": ["E_SHAPE", "Squeeze", [f([2]), ints(0)]],
  "Unsqueeze twice at one place": ["E_ATTRIBUTE", "Unsqueeze", [f([2]), ints(0, -3)]],
  "Expand to a negative size": ["E_SHAPE", "Expand", [f([1]), ints(-1)]],
  "Tile with too few counts": ["E_SHAPE", "Tile", [f([1, 1]), ints(2)]],
  "Tile with a negative count": ["E_SHAPE", "Tile", [f([1]), ints(-1)]],
  "Gather outside": ["E_INDEX", "Gather", [f([3]), ints(3)]],
  "Gather outside, negative": ["E_INDEX", "Gather", [f([3]), ints(-4)]],
  "ConstantOfShape of two values": ["E_ATTRIBUTE", "ConstantOfShape", [ints(2)], { value: f([2]) }],
  "ConstantOfShape, negative": ["E_SHAPE", "ConstantOfShape", [ints(-2)]],
  "Range without a step": ["E_ATTRIBUTE", "Range", [scalarOf(0), scalarOf(1), scalarOf(0)]],
  "Range to NaN": ["E_ATTRIBUTE", "Range", [scalarOf(0), scalarOf(Number.NaN), scalarOf(1)]],
  "Range of lists": ["E_SHAPE", "Range", [f([2]), f([2]), f([2])]],
  "a reduced axis outside": ["E_ATTRIBUTE", "ReduceSum", [f([2]), ints(1)]],
  "a reduced axis twice": ["E_ATTRIBUTE", "ReduceSum", [f([2, 2]), ints(0, -2)]],
  "ArgMax of nothing": ["E_SHAPE", "ArgMax", [f([0])]],
  // Small files that ask for huge tensors.
  "Tile bomb": ["E_OVERFLOW", "Tile", [f([8]), ints(huge)]],
  "Tile bomb beyond 2^53": ["E_OVERFLOW", "Tile", [f([8]), ints(2 ** 60)]],
  "Expand bomb": ["E_OVERFLOW", "Expand", [f([1]), ints(huge, huge)]],
  "ConstantOfShape bomb": ["E_OVERFLOW", "ConstantOfShape", [ints(huge, 2)]],
  "Pad bomb": ["E_OVERFLOW", "Pad", [f([1]), ints(huge, huge)]],
  "Pad bomb by axes": [
    "E_OVERFLOW",
    "Pad",
    [f([1, 1, 1]), ints(9999, 9999, 9999, 0, 0, 0)],
    { mode: "edge" },
  ],
  "Range bomb": ["E_OVERFLOW", "Range", [scalarOf(0), scalarOf(1e12), scalarOf(1)]],
  "Range bomb beyond 2^53": ["E_SHAPE", "Range", [scalarOf(0), scalarOf(1e300), scalarOf(1e-9)]],
  "Unsqueeze to rank 9": ["E_SHAPE", "Unsqueeze", [f([1]), ints(0, 1, 2, 3, 4, 5, 6, 7)]],
  "outer sum bomb": ["E_OVERFLOW", "Add", [f([100_000, 1]), f([1, 100_000])]],
};
for (const [name, [code, op, inputs, attributes, outputs]] of Object.entries(faults)) {
  test(`refuses ${name}`, () => {
    assert.throws(
      () => inferOp(op, inputs, attributes, outputs),
      (e: unknown) => {
        assert.instance(e, SecateurError);
        assert.is((e as SecateurError).code, code, String(e));
        return true;
      },
    );
  });
}

test("values found only while running are checked too", () => {
  const code = (want: ErrorCode) => (e: unknown) => e instanceof SecateurError && e.code === want;
  assert.throws(() => evaluateOp("Div", [ints(1), ints(0)]), code("E_GRAPH"));
  assert.throws(() => evaluateOp("Mod", [ints(1), ints(0)]), code("E_GRAPH"));
});

test("a shape that is not known yet says so", () => {
  assert.throws(() => inferOp("Reshape", [f([4]), { dtype: "i64", shape: [1] }]), /must be known before/);
});

test.run();
