import { tensor } from "../../src/tensor/host-tensor.ts";
import type { Tolerance } from "../support/close.ts";
import type { Attributes } from "../support/evaluate-op.ts";
import { exact, type KernelCase, kernelSuite, oddShapes, values } from "../support/kernel-cases.ts";

const v = values(21);

/**
 * WGSL lets exp, log, sin and cos be off by a few units of the last place (Vulkan: 3 + 2|x| for exp, 3 for log, 2^-11
 * absolute for sin, of which drivers use far less), so functions built on them get 1e-5 relative, and an absolute part where
 * the result may cancel to nearly 0.
 */
const loose: Tolerance = { rel: 1e-5, abs: 1e-6 };
const rounded: Tolerance = { rel: 3e-7 };

interface Function {
  readonly op: string;
  readonly low: number;
  readonly high: number;
  readonly attributes?: Attributes;
  readonly tolerance: Tolerance;
  /** Arguments worth a look of their own. */
  readonly at?: readonly number[];
}

const f = (
  op: string,
  low: number,
  high: number,
  tolerance: Tolerance,
  at: readonly number[] = [],
  attributes: Attributes = {},
): Function => ({
  op,
  low,
  high,
  tolerance,
  at,
  attributes,
});

const functions: readonly Function[] = [
  f("Abs", -5, 5, exact, [-0, 0]),
  f("Ceil", -5, 5, exact, [-0.5, 0, 3, -3, 1e9, 0.1]),
  f("Celu", -5, 5, loose, [0, -1e-4, -100], { alpha: 1.7 }),
  f("Celu", -5, 5, loose, [0, -50]),
  f("Cos", -10, 10, loose, [0, 100, 1000, -3000]),
  f("Elu", -5, 5, loose, [0, -1e-4, -100, 1e30], { alpha: 0.4 }),
  f("Elu", -5, 5, loose),
  f("Erf", -5, 5, { rel: 2e-6, abs: 1e-9 }, [0, 1e-6, 1, -1, 0.999, 1.001, 30, -30]),
  f("Exp", -20, 20, loose, [0, 80]),
  f("Floor", -5, 5, exact, [-0.5, 0, 3, -3, 1e9]),
  f("Gelu", -6, 6, loose, [0, 30, -30]),
  f("Gelu", -6, 6, loose, [0, 30, -30, 1e10], { approximate: "tanh" }),
  f("HardSigmoid", -6, 6, { abs: 2e-7 }, [0, 100, -100]),
  f("HardSigmoid", -6, 6, { abs: 2e-7 }, [], { alpha: 0.3, beta: 0.1 }),
  f("HardSwish", -6, 6, { rel: 5e-7, abs: 5e-7 }, [3, -3, 100, -100]),
  f("LeakyRelu", -6, 6, rounded, [0, 1e30, -1e30]),
  f("LeakyRelu", -6, 6, rounded, [], { alpha: -0.3 }),
  f("Log", 1e-3, 50, { rel: 1e-5, abs: 1e-6 }, [1, 1e-30, 1e30]),
  f("Mish", -8, 8, loose, [0, 50, -50, -100, 1e-4]),
  f("Neg", -5, 5, exact, [0]),
  f("Reciprocal", 0.1, 5, rounded, [-3, 1e20]),
  f("Relu", -5, 5, exact, [0, -0]),
  f("Round", -5, 5, exact, [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.49999997, 8388607.5, 1e9]),
  f("Selu", -5, 5, loose, [0, -1e-4, -100]),
  f("Selu", -5, 5, loose, [], { alpha: 2, gamma: 3 }),
  f("Shrink", -5, 5, rounded, [0.5, -0.5, 0]),
  f("Shrink", -5, 5, rounded, [], { lambd: 1.5, bias: 0.7 }),
  f("Sigmoid", -10, 10, loose, [0, 80, -80, 1000, -1000, -40]),
  f("Sign", -5, 5, exact, [0, -0]),
  f("Sin", -10, 10, loose, [0, 1e-5, 100, 1000, -3000]),
  f("Softplus", -10, 10, loose, [0, 100, -80, 1e10, -1000]),
  f("Softsign", -10, 10, rounded, [0, 1e30]),
  f("Sqrt", 0, 10, rounded, [0, 1e-20, 1e30]),
  f("Swish", -10, 10, loose, [0, 80, -80]),
  f("Swish", -10, 10, loose, [], { alpha: 1.7 }),
  f("Tan", -1.4, 1.4, loose, [0, 100, 3]),
  f("Tanh", -5, 5, { rel: 1e-5, abs: 1e-9 }, [0, 1e-6, -1e-4, 0.019, 0.021, 44, -44, 100, -1e30]),
  f("ThresholdedRelu", -5, 5, exact, [1]),
  f("ThresholdedRelu", -5, 5, exact, [0.3], { alpha: 0.3 }),
];

const cases: KernelCase[] = functions.flatMap(({ op, low, high, attributes = {}, tolerance, at = [] }) => [
  ...oddShapes.map(
    (shape): KernelCase => ({ op, attributes, tolerance, inputs: [v.between(low, high, shape)] }),
  ),
  { op, name: "of a dense range", attributes, tolerance, inputs: [v.between(low, high, [1000])] },
  ...(at.length > 0
    ? [{ op, name: "of chosen values", attributes, tolerance, inputs: [tensor(at, [at.length])] }]
    : []),
]);

const scalar = (x: number) => tensor([x], []);
for (const shape of oddShapes) {
  const x = v.normal(shape);
  cases.push(
    { op: "Clip", inputs: [x] },
    { op: "Clip", name: "low", inputs: [x, scalar(-0.5)] },
    { op: "Clip", name: "high", inputs: [x, undefined, scalar(0.5)] },
    { op: "Clip", name: "both", inputs: [x, scalar(-0.25), scalar(0.5)] },
    { op: "Not", inputs: [v.ints(0, 1, shape, "bool")] },
  );
  const whole = v.ints(-9, 9, shape);
  for (const op of ["Abs", "Neg", "Relu", "Sign"]) cases.push({ op, name: "of integers", inputs: [whole] });
  cases.push({ op: "Shrink", name: "of integers", inputs: [whole], attributes: { lambd: 2.5, bias: 1.0 } });
  const bounds = [tensor([-3], [], "i32"), tensor([5], [], "i32")];
  cases.push({ op: "Clip", name: "of integers", inputs: [whole, ...bounds] });
}
cases.push(
  { op: "Clip", name: "min above max", inputs: [v.normal([9]), scalar(2), scalar(-1)] },
  {
    op: "Clip",
    name: "of large integers",
    inputs: [
      tensor([2147483647, -2147483648, 16777217, 0], [4], "i32"),
      tensor([-16777219], [], "i32"),
      tensor([16777217], [], "i32"),
    ],
  },
  {
    op: "Clip",
    name: "of large unsigned integers",
    inputs: [
      tensor([4294967295, 3000000001, 7, 0], [4], "u32"),
      tensor([5], [], "u32"),
      tensor([3000000000], [], "u32"),
    ],
  },
  { op: "Neg", name: "of i64", inputs: [tensor(BigInt64Array.of(5n, -7n), [2])] },
  { op: "Abs", name: "of u32", inputs: [tensor([4294967295, 0, 3], [3], "u32")] },
  { op: "Sign", name: "of u32", inputs: [tensor([4294967295, 0, 3], [3], "u32")] },
  { op: "Relu", name: "of i8", inputs: [tensor([-128, 0, 127], [3], "i8")] },
  { op: "Neg", name: "of i8 that wraps", inputs: [tensor([-128, 5, 127], [3], "i8")] },
);

const floats = tensor([0, -0, 0.4, -0.4, 2.9, -2.9, 100.5, 1e6], [2, 4]);
const codes = { f32: 1, u8: 2, i8: 3, i32: 6, i64: 7, bool: 9, f64: 11, u32: 12 } as const;
for (const to of ["f32", "i32", "i64", "bool", "f64"] as const) {
  cases.push({ op: "Cast", name: `f32 to ${to}`, inputs: [floats], attributes: { to: codes[to] } });
  for (const from of ["i32", "i64", "u8", "i8", "bool", "u32"] as const) {
    const x =
      from === "u32" ? v.ints(0, 99, [3, 5], "u32") : v.ints(0, from === "bool" ? 1 : 99, [3, 5], from);
    cases.push({ op: "Cast", name: `${from} to ${to}`, inputs: [x], attributes: { to: codes[to] } });
  }
}
cases.push(
  {
    op: "Cast",
    name: "negative to u8",
    inputs: [tensor([-1, 300, 5], [3], "i32")],
    attributes: { to: codes.u8 },
  },
  { op: "Cast", name: "to i8", inputs: [tensor([-1, 300, 130], [3], "i32")], attributes: { to: codes.i8 } },
  { op: "Cast", name: "f32 to u8", inputs: [tensor([1.7, 255.2, 0], [3])], attributes: { to: codes.u8 } },
  {
    op: "Cast",
    name: "f32 to u32",
    inputs: [tensor([1.7, 4000000000, 0], [3])],
    attributes: { to: codes.u32 },
  },
  {
    op: "Cast",
    name: "large u32 to f32",
    inputs: [tensor([4294967295, 3000000000, 0], [3], "u32")],
    attributes: { to: codes.f32 },
    tolerance: rounded,
  },
  { op: "Cast", name: "i32 to u32", inputs: [tensor([-1, 5], [2], "i32")], attributes: { to: codes.u32 } },
);

const kernels = kernelSuite("unary kernels", cases);

kernels.run();
