import { suite } from "uvu";
import * as assert from "uvu/assert";
import { locate, type ShaderSource } from "../../src/shader/source.ts";
import { type KernelName, sources } from "../../src/shader/sources.gen.ts";
import { type SpecValues, specialise } from "../../src/shader/specialise.ts";
import { gpuTest } from "../support/gpu.ts";

const test = suite("the shader files on the GPU");
const kernels = Object.entries(sources) as [KernelName, ShaderSource][];

/** The text as it stands, and with each value of each marked constant in turn. */
function variants(source: ShaderSource, half: boolean): SpecValues[] {
  const single = Object.entries(source.spec).flatMap(([name, { values }]) =>
    values.map((value) => ({ [name]: value })),
  );
  return [{}, ...single.filter((spec) => half || !Object.values(spec).includes("f16"))];
}

/** Does the adapter lack a feature that the text enables? */
const lacks = (features: readonly string[], code: string): boolean =>
  (/^\s*enable\s+[^;]*\bf16\b/m.test(code) && !features.includes("shader-f16")) ||
  (/^\s*enable\s+[^;]*\bsubgroups\b/m.test(code) && !features.includes("subgroups")) ||
  (usesMatrices(code) && !features.includes("chromium-experimental-subgroup-matrix"));

const usesMatrices = (code: string): boolean => /^\s*enable\s+[^;]*\w*subgroup_matrix\b/m.test(code);

gpuTest(
  test,
  "every file compiles without a message, rolled and unrolled, under every marked value",
  async (gpu) => {
    const half = gpu.adapter.features.includes("shader-f16");
    const rows: string[] = [];
    for (const [name, source] of kernels) {
      for (const spec of variants(source, half)) {
        for (const unrolled of source.unrollable > 0 ? [false, true] : [false]) {
          const { code, lines } = specialise(source.code, spec, unrolled);
          if (lacks(gpu.adapter.features, code)) continue;
          gpu.device.pushErrorScope("validation");
          const module = gpu.device.createShaderModule({ label: name, code });
          const error = await gpu.paced(() => gpu.device.popErrorScope());
          const { messages } = await gpu.paced(() => module.getCompilationInfo());
          for (const m of messages) {
            rows.push(
              `${locate(source, lines[m.lineNum - 1] ?? 1)}: ${m.type}: ${m.message} ${JSON.stringify(spec)}`,
            );
          }
          if (error && messages.length === 0) rows.push(`${name}: ${error.message}`);
        }
      }
    }
    assert.equal(rows, []);
  },
);

gpuTest(test, "every entry point makes a pipeline with its defaults", async (gpu) => {
  for (const [name, source] of kernels) {
    const needed = Object.entries(source.overrides).filter(([, o]) => o.init === undefined);
    const constants = Object.fromEntries(needed.map(([key]) => [key, 1]));
    // Adapters multiply matrices of some sides only: test/gpu/half-activations.
    if (lacks(gpu.adapter.features, source.code) || usesMatrices(source.code)) continue;
    for (const entry of Object.keys(source.entries)) await gpu.compile(name, { entry, constants });
  }
});

test.run();
