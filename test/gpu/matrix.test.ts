import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PlanError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { roundedToHalf } from "../../src/kernels/columns/half.ts";
import { type Variant, variants } from "../../src/kernels/columns/variants.ts";
import { runsOn } from "../../src/plan/estimate.ts";
import { adapterKind, compile } from "../../src/run/compile.ts";
import { runReference } from "../../src/run/reference.ts";
import { compareOutputs } from "../../src/run/verify.ts";
import { type HostTensor, tensor } from "../../src/tensor/host-tensor.ts";
import { conv, gemm, type Problem, planOf } from "../support/columns-problems.ts";
import { gpuTest } from "../support/gpu.ts";

const test = suite("kernels on matrix units");

const half = (t: HostTensor): HostTensor => tensor(roundedToHalf(t.data as Float32Array), t.shape);

/** With inputs that half precision holds: products are exact then, and the kernels have to be as right as any. */
const exact = (p: Problem): Problem => ({
  ...p,
  inputs: Object.fromEntries(Object.entries(p.inputs).map(([name, t]) => [name, half(t)])),
});

/** Rows, columns and K that no tile divides, groups, a residual; many of each too. */
const problems: readonly Problem[] = [
  conv("3x3, batch 8", [8, 5, 7, 6], [19, 5, 3, 3], { pads: [1, 1, 1, 1] }, [8, 19, 7, 6]),
  conv("3x3, batch 1", [1, 6, 9, 7], [21, 6, 3, 3], { pads: [1, 1, 1, 1] }),
  conv("1x1, batch 3", [3, 45, 5, 4], [70, 45, 1, 1], {}),
  conv("1x1, batch 1, planes of vec4s", [1, 33, 8, 8], [9, 33, 1, 1], {}),
  conv("groups, strides, batch 4", [4, 14, 9, 7], [24, 7, 3, 3], { group: 2, strides: [2, 1] }),
  conv("larger than any tile", [4, 40, 12, 11], [140, 40, 3, 3], { pads: [1, 1, 1, 1] }, [4, 140, 12, 11]),
  gemm("a product, 40 x 77 by 29", 40, 77, 29),
].map(exact);

const here = (gpu: Gpu): Variant[] =>
  variants.filter((v) => v.loop === "matrix" && runsOn(v, adapterKind(gpu, "f16")));

async function runBy(gpu: Gpu, variant: Variant, { graph, inputs }: Problem) {
  const session = await compile(gpu, graph, { plan: planOf(variant, graph), precision: "f16" });
  try {
    return await session.run(inputs);
  } finally {
    session.dispose();
  }
}

for (const problem of problems) {
  gpuTest(test, problem.name, async (gpu) => {
    const expected = runReference(problem.graph, problem.inputs);
    let ran = 0;
    for (const variant of here(gpu)) {
      const actual = await runBy(gpu, variant, problem).catch((error: unknown) => {
        if (error instanceof PlanError && /does not apply/.test(error.message)) return undefined;
        throw error;
      });
      if (!actual) continue;
      compareOutputs(actual, expected, 2e-5);
      assert.equal(await runBy(gpu, variant, problem), actual, `${variant.name}, once more`);
      ran++;
    }
    assert.ok(ran > 0 || here(gpu).length === 0, "no kernel applied");
  });
}

gpuTest(test, "activations are rounded only where precision f16 allows it", async (gpu) => {
  const p = conv("layer", [8, 12, 6, 6], [16, 12, 3, 3], { pads: [1, 1, 1, 1] });
  const [variant] = here(gpu).filter((v) => v.load === "quad");
  for (const precision of ["f32", "f16-weights"] as const) {
    const session = await compile(gpu, p.graph, { plan: "estimated", batch: 8, precision });
    compareOutputs(await session.run(p.inputs), runReference(p.graph, p.inputs), 2e-5);
    assert.not.match(JSON.stringify(session.plan), "matrix");
    session.dispose();
  }
  const unit = variant ?? variants.find((v) => v.loop === "matrix")!;
  let refused: unknown;
  await compile(gpu, p.graph, { plan: planOf(unit, p.graph) }).catch((error: unknown) => {
    refused = error;
  });
  assert.instance(refused, PlanError);
  assert.match((refused as Error).message, 'precision "f16"');
  if (!variant) return;
  const session = await compile(gpu, p.graph, { plan: planOf(variant, p.graph), precision: "f16" });
  const got = await session.run(p.inputs);
  assert.throws(() => compareOutputs(got, runReference(p.graph, p.inputs), 2e-5), "rounding shows");
  assert.ok((await session.verify(p.inputs)).ok);
  assert.match(session.plan.toString(), "activations");
  session.dispose();
});

gpuTest(test, "what half precision cannot hold is cut to its largest value", async (gpu) => {
  const p = conv("layer", [4, 4, 4, 4], [16, 4, 1, 1], {});
  const [variant] = here(gpu).filter((v) => v.load === "quad");
  if (!variant) return;
  const huge = { x: tensor(new Float32Array(4 * 4 * 16).fill(1e6), [4, 4, 4, 4]) };
  const cut = { x: tensor(new Float32Array(4 * 4 * 16).fill(65504), [4, 4, 4, 4]) };
  compareOutputs(await runBy(gpu, variant, { ...p, inputs: huge }), runReference(p.graph, cut), 2e-5);
});

gpuTest(
  test,
  "a measured plan races them, and keeps what it measured under a key of its own",
  async (gpu) => {
    const p = conv("layer", [8, 16, 8, 8], [16, 16, 3, 3], { pads: [1, 1, 1, 1] });
    const session = await compile(gpu, p.graph, { plan: "measured", batch: 8, precision: "f16" });
    assert.ok((await session.verify(p.inputs)).ok);
    const tried = session.plan.layers[0]!.candidates.filter((c) => c.kernel.startsWith("matrix"));
    assert.is(tried.length > 0, here(gpu).length > 0);
    assert.ok(tried.every((c) => c.ms !== undefined));
    session.dispose();
  },
);

test.run();
