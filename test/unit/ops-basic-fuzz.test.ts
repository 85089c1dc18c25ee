import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { SecateurError } from "../../src/errors.ts";
import type { Attribute } from "../../src/graph/graph.ts";
import { findOp } from "../../src/graph/ops/index.ts";
import type { DType } from "../../src/tensor/dtype.ts";
import { type HostTensor, tensor } from "../../src/tensor/host-tensor.ts";
import { evaluateOp, inferOp } from "../support/evaluate-op.ts";

// Whatever a file says, a basic op either refuses it with one of our errors or its reference keeps what infer promised.
const names = (
  "Abs Ceil Celu Elu Erf Gelu HardSigmoid LeakyRelu Neg Not Relu Round Selu Shrink Sign Swish ThresholdedRelu Clip Cast PRelu " +
  "Add And Div Equal Less Mod Mul Or Pow Sub Xor Max Mean Min Sum Where Flatten Reshape Transpose Concat Split Slice Pad Squeeze " +
  "Unsqueeze Expand Tile Gather Shape Size ConstantOfShape Range ReduceL2 ReduceLogSumExp ReduceMax ReduceMean ReduceProd " +
  "ReduceSum ArgMax ArgMin"
).split(" ");

const test = suite("ops-basic-fuzz");

const dtypes: readonly DType[] = ["f32", "i64", "i32", "bool", "u8"];
const numbers = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: -4, max: 5 }) },
  { weight: 1, arbitrary: fc.constantFrom(2 ** 31 - 1, -(2 ** 31), 2 ** 40, 2 ** 62, -(2 ** 62), 1e9) },
);
const shapes = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 });
const data: fc.Arbitrary<HostTensor> = fc
  .tuple(shapes, fc.constantFrom(...dtypes))
  .chain(([shape, dtype]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    return fc.array(numbers, { minLength: size, maxLength: size }).map((v) => tensor(v, shape, dtype));
  });
const lists: fc.Arbitrary<HostTensor> = fc
  .array(numbers, { maxLength: 6 })
  .map((v) => tensor(v, [v.length], "i64"));
const scalars: fc.Arbitrary<HostTensor> = fc
  .tuple(numbers, fc.constantFrom(...dtypes))
  .map(([v, dtype]) => tensor([v], [], dtype));
const operands = fc.oneof(data, lists, scalars, fc.constant(undefined));
const values: fc.Arbitrary<Attribute> = fc.oneof(
  numbers,
  fc.double(),
  fc.array(numbers, { maxLength: 4 }),
  fc.constantFrom("constant", "edge", "reflect", "wrap", "none", "tanh", ""),
  data,
);

const affordable = 50_000;

test("refuses or keeps its promise", () => {
  let ran = 0;
  let refused = 0;
  const property = fc.property(
    fc.constantFrom(...names),
    fc.array(operands, { minLength: 1, maxLength: 5 }),
    fc.array(values, { minLength: 3, maxLength: 3 }),
    fc.nat(7),
    fc.integer({ min: 1, max: 3 }),
    (name, all, given, chosen, outputs) => {
      const op = findOp(name)!;
      const inputs = all.slice(0, op.inputs[1]);
      if (inputs.length < op.inputs[0]) return;
      const keys = Object.keys(op.attributes).filter((_, i) => (chosen >> i) & 1);
      const attributes = Object.fromEntries(keys.map((key, i) => [key, given[i % given.length]!]));
      const count = Math.min(outputs, op.outputs[1]);
      try {
        const types = inferOp(name, inputs, attributes, count);
        const size = types.reduce((sum, t) => sum + t.shape.reduce((a, b) => a * b, 1), 0);
        if (size > affordable) return;
        evaluateOp(name, inputs, attributes, count);
        ran++;
      } catch (e) {
        if (!(e instanceof SecateurError) || e.code === "E_INTERNAL") {
          throw new Error(`${name}: ${e instanceof Error ? e.stack : String(e)}`);
        }
        refused++;
      }
    },
  );
  fc.assert(property, { numRuns: 20_000, seed: 42 });
  assert.ok(ran > 1000 && refused > 1000, `${ran} ran, ${refused} were refused`);
});

test.run();
