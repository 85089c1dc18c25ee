import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type GraphBuilder, graphBuilder } from "../../src/graph/builder.ts";
import { gradientGraph } from "../../src/graph/gradient.ts";
import { noGradient } from "../../src/graph/gradient-rule.ts";
import { ops } from "../../src/graph/ops/index.ts";
import { readOnnx } from "../../src/io/onnx/read.ts";
import { writePruned } from "../../src/io/pruned-file.ts";
import { scalar, tensor } from "../../src/tensor/host-tensor.ts";
import { ROOT } from "../support/child.ts";
import { type Attributes, inferOp } from "../support/evaluate-op.ts";
import { refuses } from "../support/files.ts";
import { binaryCases } from "../support/gradient-cases-binary.ts";
import { groupCases } from "../support/gradient-cases-groups.ts";
import { movementCases } from "../support/gradient-cases-movement.ts";
import { unaryCases } from "../support/gradient-cases-unary.ts";
import { filesBelow } from "../support/imports.ts";
import { node, oneNode } from "../support/onnx-build.ts";

const test = suite("gradients: which ops have one");

/** Ops of models that cannot be trained through, and why not. */
const without: Readonly<Record<string, string>> = {
  LpPool: "its windows would have to be unfolded; no net that anyone trains has one",
};

/** A value that depends on x [3] and through one node of `op` only, cast to f32; x is no small whole number. */
const locallyConstant: Readonly<Record<string, (b: GraphBuilder, op: string) => string>> = {
  ...Object.fromEntries(["Ceil", "Floor", "Round", "Sign"].map((op) => [op, (b) => b.node(op, ["x"])])),
  ...Object.fromEntries(
    ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"].map((op) => [
      op,
      (b) => b.node(op, ["x", b.constant(scalar(1))]),
    ]),
  ),
  ...Object.fromEntries(
    ["And", "Or", "Xor"].map((op) => [
      op,
      (b) => b.node(op, [b.node("Cast", ["x"], { to: 9 }), b.constant(tensor([1, 0, 1], [3], "bool"))]),
    ]),
  ),
  Not: (b) => b.node("Not", [b.node("Cast", ["x"], { to: 9 })]),
  ArgMax: (b) => b.node("ArgMax", ["x"]),
  ArgMin: (b) => b.node("ArgMin", ["x"]),
  Shape: (b) => b.node("Shape", ["x"]),
  Size: (b) => b.node("Size", ["x"]),
  ConstantOfShape: (b) => b.node("ConstantOfShape", [b.node("Shape", ["x"])]),
  Range: (b) => {
    const size = b.node("Cast", [b.node("Size", ["x"])], { to: 1 });
    return b.node("Range", [b.constant(scalar(0)), size, b.constant(scalar(1))]);
  },
};

test("every op of models has a rule, or a reason for having none", () => {
  const missing = ops.filter((op) => !op.gradient && !op.internal && !without[op.name]).map((op) => op.name);
  assert.equal(missing, []);
  const stale = Object.keys(without).filter((name) => ops.find((op) => op.name === name)?.gradient);
  assert.equal(stale, []);
});

test("every rule is held against differences", () => {
  const cases = new Set(
    [...unaryCases, ...binaryCases, ...movementCases, ...groupCases].map((c) => `"${c.op}"`),
  );
  const texts = filesBelow(ROOT, "test/unit", ".test.ts")
    .filter((file) => /\/gradients-(?!coverage)[a-z-]+\.test\.ts$/.test(file))
    .map((file) => readFileSync(join(ROOT, file), "utf8"));
  const unchecked = ops
    .filter((op) => op.gradient && op.gradient !== noGradient)
    .map((op) => `"${op.name}"`)
    .filter((name) => !cases.has(name) && !texts.some((text) => text.includes(name)));
  assert.equal(unchecked, []);
});

test("nothing flows through ops that are locally constant, and nothing stops at them", () => {
  const constant = ops.filter((op) => op.gradient === noGradient && !op.internal).map((op) => op.name);
  assert.equal(constant.filter((name) => !locallyConstant[name]).sort(), []);
  for (const [op, make] of Object.entries(locallyConstant)) {
    const b = graphBuilder(op);
    b.input("x", [3]);
    const stepped = b.node("Cast", [make(b, op)], { to: 1 });
    b.node("ReduceSum", [b.node("Mul", [stepped, b.constant(scalar(2))])], { keepdims: 0 }, { name: "loss" });
    b.output("loss", []);
    assert.is(gradientGraph(b.build(), { loss: "loss", wrt: ["x"] }).of.size, 0, op);
  }
});

/** A value that depends on w [] or x [1, 2, 4] in a way that has no gradient. */
const refused: readonly (readonly [string, RegExp, (b: GraphBuilder) => string])[] = [
  [
    "an op without a rule",
    /LpPool .* the op has no gradient/,
    (b) => b.node("LpPool", ["x"], { kernel_shape: [2] }),
  ],
  ["a bound of Clip", /bounds must be constants/, (b) => b.node("Clip", ["x", "", "w"])],
  [
    "the value of Pad",
    /padding value must be a constant/,
    (b) => b.node("Pad", ["x", b.constant([0, 0, 0, 0, 1, 1]), "w"]),
  ],
  [
    "the mean that LayerNormalization gives out",
    /mean and deviation have no gradient/,
    (b) => {
      b.node("LayerNormalization", ["x", b.constant(scalar(1))], {}, { outputs: ["y", "mean"] });
      return "mean";
    },
  ],
];
for (const [what, message, make] of refused) {
  test(`refused: ${what}`, () => {
    const b = graphBuilder("refused");
    b.input("x", [1, 2, 4]);
    b.weight("w", scalar(1));
    b.node("ReduceSum", [make(b)], { keepdims: 0 }, { name: "loss" });
    b.output("loss", []);
    const graph = b.build();
    const error = refuses(
      () => gradientGraph(graph, { loss: "loss", wrt: ["x", "w"] }),
      "E_UNSUPPORTED",
      what,
    );
    assert.match(error.message, message);
  });
}

test("files cannot hold the ops that only training makes", () => {
  const own = ops.filter((op) => op.internal).map((op) => op.name);
  assert.ok(own.includes("ReluGrad") && own.includes("Unslice"));
  for (const name of own) {
    const error = refuses(() => readOnnx(oneNode(node(name, ["x"], ["y"]))), "E_UNSUPPORTED", name);
    assert.match(error.message, `op ${name} (node`);
  }
  const b = graphBuilder("of our own");
  b.input("x", [2, 3]);
  b.output(b.node("ReluGrad", ["x", "x"]), [2, 3]);
  const graph = b.build();
  assert.match(refuses(() => writePruned(graph), "E_UNSUPPORTED", "safetensors").message, "ReluGrad");
});

test("ops behind Relu and Slice check their operands", () => {
  const type = (...shape: number[]) => ({ dtype: "f32", shape }) as const;
  const place = (shape: number[], starts: number[], steps: number[]) => ({ shape, starts, steps });
  const unslice = (attributes: Attributes) => () => inferOp("Unslice", [type(2, 3)], attributes);
  assert.equal(unslice(place([4, 7], [3, 0], [-3, 3]))()[0]!.shape, [4, 7]);
  assert.equal(inferOp("Unslice", [type(0)], place([2], [2], [1]))[0]!.shape, [2]);
  for (const [starts, steps] of [
    [
      [0, 0],
      [4, 1],
    ],
    [
      [0, 0],
      [-1, 1],
    ],
    [
      [0, -1],
      [1, 1],
    ],
    [
      [0, 5],
      [1, 1],
    ],
    [
      [0, 0],
      [0, 1],
    ],
  ] as const)
    refuses(unslice(place([4, 7], [...starts], [...steps])), "E_SHAPE", `from ${starts} by ${steps}`);
  refuses(unslice(place([4, 7], [0], [1, 1])), "E_ATTRIBUTE", "a start too few");
  refuses(unslice(place([4, 2 ** 40], [0, 0], [1, 1])), "E_OVERFLOW", "a huge shape");
  refuses(() => inferOp("ReluGrad", [type(2, 3), type(3)]), "E_SHAPE", "y of another shape");
  refuses(() => inferOp("ReluGrad", [type(2), { dtype: "i32", shape: [2] }]), "E_GRAPH", "y of integers");
});

test.run();
