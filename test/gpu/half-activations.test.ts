import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PlanError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { roundedToHalf } from "../../src/kernels/columns/half.ts";
import { type Variant, variants } from "../../src/kernels/columns/variants.ts";
import { runsOn } from "../../src/plan/estimate.ts";
import { adapterKind } from "../../src/run/adapter-kind.ts";
import { compile } from "../../src/run/compile.ts";
import { runReference } from "../../src/run/reference.ts";
import { compareOutputs } from "../../src/run/verify.ts";
import { type HostTensor, tensor } from "../../src/tensor/host-tensor.ts";
import { conv, gemm, type Problem, planOf } from "../support/columns-problems.ts";
import { gpuTest } from "../support/gpu.ts";

const test = suite("kernels that round activations");

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

const runs = (gpu: Gpu, v: Variant): boolean => runsOn(v, adapterKind(gpu, "f16"));

const matrices = (gpu: Gpu): Variant[] => variants.filter((v) => v.loop === "matrix" && runs(gpu, v));

/** One variant of each kernel, format and number of rows, its number of columns another one in every problem. */
function halves(gpu: Gpu, problem: number): Variant[] {
  const kinds = new Map<string, Variant[]>();
  for (const v of variants.filter((v) => v.load === "halves" && v.workgroup === 8 && runs(gpu, v))) {
    const kind = `${v.kernel} ${v.format} ${v.rows}`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), v]);
  }
  return [...kinds.values()].map((list) => list[problem % list.length]!);
}

async function runBy(gpu: Gpu, variant: Variant, { graph, inputs }: Problem) {
  const session = await compile(gpu, graph, { plan: planOf(variant, graph), precision: "f16" });
  try {
    return await session.run(inputs);
  } finally {
    session.dispose();
  }
}

/** Formats and kernels that ran in some problem. */
const met = new Set<string>();

for (const [number, problem] of problems.entries()) {
  gpuTest(test, problem.name, async (gpu) => {
    const expected = runReference(problem.graph, problem.inputs);
    let ran = 0;
    for (const variant of [...matrices(gpu), ...halves(gpu, number)]) {
      const actual = await runBy(gpu, variant, problem).catch((error: unknown) => {
        if (error instanceof PlanError && /does not apply/.test(error.message)) return undefined;
        throw error;
      });
      if (!actual) continue;
      try {
        compareOutputs(actual, expected, 2e-5);
      } catch (error) {
        assert.unreachable(`${variant.format} by ${variant.name}: ${(error as Error).message}`);
      }
      if (variant.loop === "matrix")
        assert.equal(await runBy(gpu, variant, problem), actual, `${variant.name}, once more`);
      met.add(`${variant.format} by ${variant.kernel}`);
      ran++;
    }
    const single = problem.inputs["x"]!.shape[0] === 1 && !/planes/.test(problem.name);
    assert.ok(ran > 0 || (single && matrices(gpu).length === 0), "no kernel applied");
  });
}

gpuTest(test, "every kernel ran for every format of its own", (gpu) => {
  const all = variants.filter((v) => (v.loop === "matrix" || v.load === "halves") && runs(gpu, v));
  const names = new Set(all.map((v) => `${v.format} by ${v.kernel}`));
  assert.equal(
    [...names].filter((name) => !met.has(name)),
    [],
  );
});

gpuTest(test, "activations are rounded only where precision f16 allows it", async (gpu) => {
  const p = conv("layer", [8, 12, 6, 6], [16, 12, 3, 3], { pads: [1, 1, 1, 1] });
  for (const precision of ["f32", "f16-weights"] as const) {
    const session = await compile(gpu, p.graph, { plan: "estimated", batch: 8, precision });
    compareOutputs(await session.run(p.inputs), runReference(p.graph, p.inputs), 2e-5);
    assert.not.match(JSON.stringify(session.plan), /matrix|halves/);
    session.dispose();
  }
  for (const name of ["matrix/r32c32m8n8k8s8", "gather-block-halves/r8v2w8"]) {
    const variant = variants.find((v) => v.name === name)!;
    let refused: unknown;
    await compile(gpu, p.graph, { plan: planOf(variant, p.graph) }).catch((error: unknown) => {
      refused = error;
    });
    assert.instance(refused, PlanError);
    assert.match((refused as Error).message, 'precision "f16"');
    if (!runs(gpu, variant)) continue;
    const session = await compile(gpu, p.graph, { plan: planOf(variant, p.graph), precision: "f16" });
    const got = await session.run(p.inputs);
    assert.throws(() => compareOutputs(got, runReference(p.graph, p.inputs), 2e-5), "rounding shows");
    assert.ok((await session.verify(p.inputs)).ok);
    assert.match(session.plan.toString(), "activations");
    session.dispose();
  }
});

gpuTest(test, "activations become the nearest value of half precision, or its largest", async (gpu) => {
  const p = conv("layer", [4, 4, 4, 4], [16, 4, 1, 1], {});
  const filled = (v: number): Problem["inputs"] => ({
    x: tensor(new Float32Array(4 * 4 * 16).fill(v), [4, 4, 4, 4]),
  });
  for (const variant of [
    ...matrices(gpu)
      .filter((v) => v.load === "quad")
      .slice(0, 1),
    ...halves(gpu, 0),
  ]) {
    for (const [given, taken] of [
      [1e6, 65504],
      [Number.NEGATIVE_INFINITY, -65504],
      // Halfway between two values, and just beyond: to the even one, and up.
      [1 + 2 ** -11, 1],
      [1 + 2 ** -11 + 2 ** -20, 1 + 2 ** -10],
    ] as const) {
      const got = await runBy(gpu, variant, { ...p, inputs: filled(given) });
      compareOutputs(got, runReference(p.graph, filled(taken)), 2e-5);
    }
    const [y] = Object.values(await runBy(gpu, variant, { ...p, inputs: filled(Number.NaN) }));
    const lost = [...(y!.data as Float32Array)].filter((v) => !Number.isNaN(v)).length;
    // A sparse kernel does not multiply by what it leaves out.
    if (variant.format.startsWith("dense")) assert.is(lost, 0, `${variant.name}: a NaN is lost`);
  }
});

gpuTest(test, "a measured plan races them, and knows them again", async (gpu) => {
  const p = conv("layer", [8, 16, 8, 8], [16, 16, 3, 3], { pads: [1, 1, 1, 1] });
  const session = await compile(gpu, p.graph, { plan: "measured", batch: 8, precision: "f16" });
  assert.ok((await session.verify(p.inputs)).ok);
  const tried = (kernel: RegExp): number =>
    session.plan.layers[0]!.candidates.filter((c) => kernel.test(c.kernel) && c.ms !== undefined).length;
  assert.is(tried(/^matrix/) > 0, matrices(gpu).length > 0);
  assert.ok(tried(/-halves/) > 0);
  session.dispose();
  const again = await compile(gpu, p.graph, { plan: "measured", batch: 8, precision: "f16" });
  assert.is(again.plan.tuning!.races, 0);
  again.dispose();
});

test.run();
