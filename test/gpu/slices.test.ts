import { suite } from "uvu";
import * as assert from "uvu/assert";
import { scheduleEll } from "../../src/kernels/columns/ell.ts";
import { subgroupOf, type Variant, variants } from "../../src/kernels/columns/variants.ts";
import { runReference } from "../../src/run/reference.ts";
import { compareOutputs } from "../../src/run/verify.ts";
import { conv, type Problem, runBy, values } from "../support/columns-problems.ts";
import { gpuTest } from "../support/gpu.ts";
import { skip } from "../support/skip.ts";

const slices = suite("sliced ELL");

/** From no weight at all to all of them: combining takes one to four steps per load. */
const densities = [0, 0.02, 0.2, 0.5, 0.8, 1] as const;

const channels = 13;
const rows = 70;

const problem = (density: number, batch: number): Problem =>
  conv(
    `density ${density}, batch ${batch}`,
    [batch, channels, 9, 9],
    [rows, channels, 3, 3],
    { pads: [1, 1, 1, 1] },
    undefined,
    (shape) => values(shape, density, 0.5),
  );

/** One variant per kernel and number of rows. */
const oneEach = (texels: boolean): Variant[] => {
  const found = new Map<string, Variant>();
  for (const v of variants)
    if (v.format === "ell" && (v.texels ?? false) === texels && !v.rowsFirst)
      found.set(`${v.kernel} ${v.rows}`, found.get(`${v.kernel} ${v.rows}`) ?? v);
  return [...found.values()];
};

for (const batch of [4, 1]) {
  for (const density of densities) {
    const name = `${density} of the weights, ${batch === 4 ? "four images" : "one image"}`;
    gpuTest(slices, name, async (gpu) => {
      if ((gpu.adapter.subgroups?.min ?? 0) < subgroupOf("slices"))
        return skip(name, "this adapter has no subgroups of eight");
      const own = problem(density, batch);
      const expected = runReference(own.graph, own.inputs);
      let ran = 0;
      for (const variant of oneEach(gpu.adapter.texels)) {
        const actual = await runBy(gpu, variant, own);
        if (!actual) continue;
        compareOutputs(actual, expected, 2e-5);
        ran++;
      }
      assert.ok(ran >= 3, `${ran} kernels ran`);
    });
  }
}

slices("these densities take one to four steps per load", () => {
  const k = channels * 9;
  const p = { groups: 1, rowsPerGroup: rows, k } as Parameters<typeof scheduleEll>[0];
  const met = new Set<number>();
  for (const density of densities) {
    const w = { rows, k, values: values([rows, k], density).data as Float32Array };
    for (const count of [2, 4, 8]) {
      const { steps, loads } = scheduleEll(p, w, count);
      met.add(steps / loads);
    }
  }
  assert.equal(
    [...met].sort((a, b) => a - b),
    [1, 2, 3, 4],
  );
});

slices.run();
