import { suite } from "uvu";
import * as assert from "uvu/assert";
import { graphBuilder } from "../../src/graph/builder.ts";
import { formats, isNm } from "../../src/kernels/columns/formats.ts";
import { findVariant, subgroupOf, type Variant, variants } from "../../src/kernels/columns/variants.ts";
import { compile } from "../../src/run/compile.ts";
import { runReference } from "../../src/run/reference.ts";
import { compareOutputs } from "../../src/run/verify.ts";
import {
  type Attributes,
  longProblems,
  type Problem,
  planarProblems,
  planOf,
  problems,
  runBy,
  values,
} from "../support/columns-problems.ts";
import { gpuTest } from "../support/gpu.ts";

const columns = suite("columns kernels");

/** N:M needs weights that are so: test/gpu/nm. Rounded activations need another precision: test/gpu/half-activations. */
const own = variants.filter((v) => !isNm(v.format) && v.loop !== "matrix" && v.load !== "halves");

/**
 * One variant of each kernel, format and number of rows; which of its numbers of columns changes from problem to problem, so
 * that all are met. Sizes of workgroups differ only in how many lanes idle.
 */
function variantsFor(problem: number): Variant[] {
  const kinds = new Map<string, Variant[]>();
  for (const v of own.filter((v) => v.workgroup === 8)) {
    // Out of textures, the formats of one kernel take turns.
    const kind = `${v.kernel} ${v.texels ? "" : v.format} ${v.rows} ${v.winograd} ${v.parts}`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), v]);
  }
  return [...kinds.values()].map((list) => list[problem % list.length]!);
}

/** Formats and kernels that ran in some problem, and those whose workgroups ran in the other order. */
const met = new Set<string>();
const byRows = new Set<string>();

for (const [number, problem] of [...problems, ...planarProblems].entries()) {
  gpuTest(columns, problem.name, async (gpu) => {
    const expected = runReference(problem.graph, problem.inputs);
    const ran: Variant[] = [];
    for (const variant of variantsFor(number)) {
      const actual = await runBy(gpu, variant, problem);
      if (!actual) continue;
      try {
        compareOutputs(actual, expected, 2e-5);
      } catch (error) {
        assert.unreachable(`${variant.format} by ${variant.name}: ${(error as Error).message}`);
      }
      ran.push(variant);
    }
    assert.ok(ran.length >= 10, `only ${ran.length} variants ran`);
    for (const format of formats.filter(
      (f) => f !== "ell" && f !== "csr-u16" && f !== "dense-f16" && !isNm(f),
    ))
      assert.ok(
        ran.some((v) => v.format === format),
        `no ${format} kernel ran`,
      );
    for (const { kernel, format, rowsFirst } of ran) {
      met.add(`${format} by ${kernel}`);
      if (rowsFirst) byRows.add(kernel);
    }
  });
}

gpuTest(columns, "every kernel ran for every format of its own", (gpu) => {
  const lanes = gpu.adapter.subgroups?.min ?? 0;
  const here = own.filter((v) => subgroupOf(v.loop) <= lanes && (!v.texels || gpu.adapter.texels));
  assert.equal(
    [...new Set(here.map((v) => `${v.format} by ${v.kernel}`))].filter((name) => !met.has(name)),
    [],
  );
  const other = here.filter((v) => v.rowsFirst).map((v) => v.kernel);
  assert.equal(
    [...new Set(other)].filter((kernel) => !byRows.has(kernel)),
    [],
  );
});

const activations: readonly (readonly [string, Attributes])[] = [
  ["Relu", {}],
  ["LeakyRelu", { alpha: 0.2 }],
  ["Sigmoid", {}],
  ["Tanh", {}],
  ["HardSigmoid", { alpha: 0.3, beta: 0.4 }],
  ["HardSwish", {}],
  ["Swish", {}],
];

gpuTest(columns, "every activation is fused into the store", async (gpu) => {
  const b = graphBuilder("activations");
  const x = b.input("x", [4, 3, 5, 5]);
  for (const [op, attributes] of activations) {
    const y = b.node("Conv", [x, b.weight(`${op}.w`, values([6, 3, 1, 1], 0.5))], {}, { name: op });
    b.output(b.node(op, [y], attributes), [4, 6, 5, 5]);
  }
  const problem = { name: "activations", graph: b.build(), inputs: { x: values([4, 3, 5, 5]) } };
  const expected = runReference(problem.graph, problem.inputs);
  for (const [format, name] of [
    ["dense", "gather-block/r8v1w8"],
    ["dense", "gather-block-scalar/r8v4w8"],
    ["csr", "gather-csr/v2w8"],
    ["csr", "gather-csr-scalar/v4w8"],
  ] as const) {
    const variant = findVariant(format, name)!;
    compareOutputs((await runBy(gpu, variant, problem))!, expected, 2e-5);
  }
});

gpuTest(
  columns,
  "weights that may change are packed on the device for the vector kernels too",
  async (gpu) => {
    const { graph, inputs } = problems.find(({ name }) => name === "vector")!;
    const expected = runReference(graph, inputs);
    for (const variant of variants.filter(
      (v) => v.loop === "vector" && v.format === "dense" && v.workgroup === 8 && v.parts === 1,
    )) {
      const session = await compile(gpu, graph, { plan: planOf(variant, graph), variables: ["w"] });
      compareOutputs(await session.run(inputs), expected, 2e-5);
      session.dispose();
    }
  },
);

for (const problem of longProblems) {
  gpuTest(columns, `split, ${problem.name}: right, and to the bit the same in every run`, async (gpu) => {
    const expected = runReference(problem.graph, problem.inputs);
    const met = new Set<number>();
    for (const variant of variants.filter((v) => v.parts > 1 && v.workgroup === 8)) {
      const actual = await runBy(gpu, variant, problem);
      if (!actual) continue;
      compareOutputs(actual, expected, 2e-5);
      assert.equal(await runBy(gpu, variant, problem), actual, variant.name);
      met.add(variant.parts);
    }
    assert.equal([...met], [4, 16]);
  });
}

gpuTest(columns, "K is not split where there are outputs enough, or too few entries", async (gpu) => {
  const variant = findVariant("dense", "split4-gather-block-scalar/r8v4w8")!;
  const product = (n: number, k: number, m: number): Problem => {
    const b = graphBuilder("product");
    const y = b.node("Gemm", [b.input("x", [n, k]), b.weight("w", values([k, m]))], {}, { name: "layer" });
    b.output(y, [n, m]);
    return { name: "product", graph: b.build(), inputs: { x: values([n, k]) } };
  };
  assert.ok(await runBy(gpu, variant, product(1, 256, 8)));
  assert.not(await runBy(gpu, variant, product(1, 252, 8)));
  assert.not(await runBy(gpu, variant, product(256, 256, 257)));
});

gpuTest(columns, "Winograd's transforms round little enough over many channels", async (gpu) => {
  const channels = 512;
  const b = graphBuilder("many channels");
  const x = b.input("x", [2, channels, 7, 7]);
  const w = b.weight("w", values([8, channels, 3, 3], 1, Math.sqrt(2 / (9 * channels))));
  b.output(b.node("Conv", [x, w], { pads: [1, 1, 1, 1] }, { name: "layer" }), [2, 8, 7, 7]);
  const problem = { name: "many channels", graph: b.build(), inputs: { x: values([2, channels, 7, 7]) } };
  const expected = runReference(problem.graph, problem.inputs);
  for (const name of ["winograd-gather-block/r8v1w8", "winograd4-gather-block/r8v1w8"])
    compareOutputs((await runBy(gpu, findVariant("dense", name)!, problem))!, expected, 2e-5);
});

columns("every variant is found by its name", () => {
  for (const variant of variants) assert.is(findVariant(variant.format, variant.name), variant);
});

columns.run();
