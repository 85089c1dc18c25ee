import { suite } from "uvu";
import { compile } from "../../src/run/compile.ts";
import { runReference } from "../../src/run/reference.ts";
import { tensor } from "../../src/tensor/host-tensor.ts";
import type { Shape } from "../../src/tensor/shape.ts";
import { assertClose } from "../support/close.ts";
import { gpuTest } from "../support/gpu.ts";
import { binaryCases } from "../support/gradient-cases-binary.ts";
import { groupCases } from "../support/gradient-cases-groups.ts";
import { movementCases } from "../support/gradient-cases-movement.ts";
import { unaryCases } from "../support/gradient-cases-unary.ts";
import { gradientsAsGraph } from "../support/gradient-check.ts";
import { exact, type KernelCase, kernelSuite, oddShapes, values } from "../support/kernel-cases.ts";
import { numbersOf } from "../support/run-lowering.ts";

const v = values(17);

const reluGrad: KernelCase[] = [
  ...oddShapes.map((shape) => ({ op: "ReluGrad", inputs: [v.normal(shape), v.normal(shape)] })),
  { op: "ReluGrad", name: "in quads", inputs: [v.normal([4, 8, 6, 6]), v.normal([4, 8, 6, 6])] },
  {
    op: "ReluGrad",
    name: "zeros and what is no number",
    inputs: [
      tensor([1, 2, 3, Number.NaN, 5, Number.POSITIVE_INFINITY], [6]),
      tensor([0, -0, 1e-30, -1, Number.NaN, 0], [6]),
    ],
    tolerance: exact,
  },
];

const unslice = (
  dy: Shape,
  shape: readonly number[],
  starts: readonly number[],
  steps: readonly number[],
) => ({
  op: "Unslice",
  inputs: [v.normal(dy)],
  attributes: { shape, starts, steps },
});

const unslices: KernelCase[] = [
  unslice([], [], [], []),
  unslice([3], [7], [1], [2]),
  unslice([0, 2], [3, 5], [0, 1], [1, 3]),
  unslice([3, 5], [3, 5], [2, 4], [-1, -1]),
  unslice([2, 3, 4], [5, 3, 9], [4, 0, 8], [-3, 1, -2]),
  unslice([4, 8, 3, 3], [4, 8, 6, 6], [0, 0, 1, 0], [1, 1, 2, 2]),
  unslice([5, 3, 4, 2], [9, 3, 4, 7], [0, 2, 0, 6], [2, -1, 1, -5]),
  unslice([2, 3, 2, 3, 2], [2, 7, 2, 3, 3], [0, 6, 0, 0, 0], [1, -3, 1, 1, 2]),
];

const kernels = kernelSuite("kernels of gradients", [...reluGrad, ...unslices]);
kernels.run();

/** What rules emit must also run on the device: kernels for every op, dtype and broadcast that they use. */
const rules = suite("gradients on the device");
const cases = [...unaryCases, ...binaryCases, ...movementCases, ...groupCases];
for (const op of new Set(cases.map((c) => c.op))) {
  gpuTest(rules, op, async (gpu) => {
    for (const c of cases.filter((each) => each.op === op)) {
      const { title, graph, inputs } = gradientsAsGraph(c);
      const expected = runReference(graph, inputs);
      const session = await compile(gpu, graph);
      const actual = await session.run(inputs);
      session.dispose();
      for (const [name, e] of Object.entries(expected)) {
        const greatest = numbersOf(e).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
        assertClose(numbersOf(actual[name]!), numbersOf(e), { abs: 2e-5 * greatest }, `${title}: ${name}`);
      }
    }
  });
}
rules.run();
