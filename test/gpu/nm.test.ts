import { suite } from "uvu";
import * as assert from "uvu/assert";
import { nmPattern } from "../../bench/kernels/patterns.ts";
import { PlanError } from "../../src/errors.ts";
import { isNm } from "../../src/kernels/columns/formats.ts";
import { subgroupOf, type Variant, variants } from "../../src/kernels/columns/variants.ts";
import { compile } from "../../src/run/compile.ts";
import { runReference } from "../../src/run/reference.ts";
import { compareOutputs } from "../../src/run/verify.ts";
import { type HostTensor, tensor } from "../../src/tensor/host-tensor.ts";
import { sizeOf } from "../../src/tensor/shape.ts";
import { conv, gemm, type Problem, planOf, runBy, values } from "../support/columns-problems.ts";
import { gpuTest } from "../support/gpu.ts";

const test = suite("N:M kernels");

const filled =
  (n: number, m: number, rows: number) =>
  (shape: number[]): HostTensor => {
    const whole = { rows: shape[0]!, k: sizeOf(shape.slice(1)), values: values(shape).data as Float32Array };
    return tensor(nmPattern(whole, { n, m, rows }, 5).values, shape);
  };

/** Patterns at sizes that no pattern divides: rows, columns and last groups alike. */
const problems: readonly Problem[] = [
  conv("1:8x8, 1x1, batch 8", [8, 45, 5, 3], [19, 45, 1, 1], {}, [8, 19, 5, 3], filled(1, 8, 8)),
  conv(
    "2:4x8, 3x3, batch 3",
    [3, 7, 5, 6],
    [18, 7, 3, 3],
    { pads: [1, 1, 1, 1] },
    undefined,
    filled(2, 4, 8),
  ),
  conv("3:8x8, 3x3, batch 1", [1, 5, 9, 7], [17, 5, 3, 3], {}, undefined, filled(3, 8, 8)),
  conv(
    "1:4x4 in two groups of 12, batch 4",
    [4, 14, 3, 5],
    [24, 7, 3, 3],
    { pads: [1, 1, 1, 1], group: 2 },
    [4, 24, 3, 5],
    filled(1, 4, 4),
  ),
  conv("2:4 of each row, 3x3, batch 8", [8, 5, 6, 4], [21, 5, 3, 3], {}, undefined, filled(2, 4, 1)),
  conv("1:8 of each row, 1x1, batch 1", [1, 42, 9, 3], [13, 42, 1, 1], {}, undefined, filled(1, 8, 1)),
  conv("5:16x8, 1x1, batch 4", [4, 43, 3, 3], [9, 43, 1, 1], {}, undefined, filled(5, 16, 8)),
  gemm("vector, 2:4x8", 1, 77, 29, filled(2, 4, 8)),
  gemm("vector, 3:8x8", 1, 77, 19, filled(3, 8, 8)),
  gemm("vector, 3:16x4", 1, 90, 21, filled(3, 16, 4)),
  gemm("two vectors, 1:8 of each row", 2, 70, 13, filled(1, 8, 1)),
];

const all = variants.filter((v) => isNm(v.format) && v.workgroup === 8);
const kindOf = (v: Variant): string => `${v.format} by ${v.kernel}`;
/** By format and kernel; which of its tiles runs changes from problem to problem. */
const kinds = new Map<string, Variant[]>();
for (const v of all) kinds.set(kindOf(v), [...(kinds.get(kindOf(v)) ?? []), v]);
const met = new Set<string>();

for (const [number, problem] of problems.entries()) {
  gpuTest(test, problem.name, async (gpu) => {
    const expected = runReference(problem.graph, problem.inputs);
    for (const list of kinds.values()) {
      const variant = list[number % list.length]!;
      const actual = await runBy(gpu, variant, problem);
      if (!actual) continue;
      try {
        compareOutputs(actual, expected, 2e-5);
      } catch (error) {
        assert.unreachable(`${variant.format} by ${variant.name}: ${(error as Error).message}`);
      }
      met.add(kindOf(variant));
    }
  });
}

gpuTest(test, "every kernel of every format ran", (gpu) => {
  const lanes = gpu.adapter.subgroups?.min ?? 0;
  const here = all.filter((v) => subgroupOf(v.loop) <= lanes && (!v.texels || gpu.adapter.texels));
  assert.equal(
    [...new Set(here.map(kindOf))].filter((kind) => !met.has(kind)),
    [],
  );
});

gpuTest(test, "weights without a pattern are refused by name", async (gpu) => {
  const { graph } = gemm("dense", 1, 16, 4, values);
  const variant = all.find((v) => v.loop === "vector")!;
  try {
    await compile(gpu, graph, { plan: planOf(variant, graph) });
    assert.unreachable();
  } catch (error) {
    assert.instance(error, PlanError);
    assert.match((error as Error).message, /keep no N of every M/);
  }
});

gpuTest(test, "a mask of N:M is offered its formats, another is not", async (gpu) => {
  const formatsOf = async ({ graph }: Problem): Promise<string[]> => {
    const session = await compile(gpu, graph, { plan: "estimated" });
    const [layer] = session.plan.layers;
    session.dispose();
    return layer!.candidates.map((c) => c.format).filter(isNm);
  };
  const shared = await formatsOf(problems[0]!);
  for (const format of ["nm1x1", "nm4x1", "nm8x1"]) assert.ok(shared.includes(format), format);
  const single = await formatsOf(problems[5]!);
  assert.ok(single.includes("nm1x1"));
  const dense = await formatsOf(gemm("half of all", 4, 64, 32, (shape) => values(shape, 0.5)));
  assert.equal(dense, []);
});

gpuTest(test, "the plan that asks for N:M takes it where it applies and says where not", async (gpu) => {
  for (const [problem, format, reason] of [
    [problems[7]!, /^nm/, "nm was asked for"],
    [
      gemm("dense", 1, 16, 4, values),
      /^dense$/,
      "nm was asked for, but the weights keep no N of every M columns",
    ],
  ] as const) {
    const session = await compile(gpu, problem.graph, { plan: "nm" });
    compareOutputs(await session.run(problem.inputs), runReference(problem.graph, problem.inputs), 2e-5);
    assert.match(session.plan.layers[0]!.format, format);
    assert.is(session.plan.layers[0]!.reason, reason);
    session.dispose();
  }
});

test.run();
