import { suite } from "uvu";
import * as assert from "uvu/assert";
import { graphBuilder } from "../../src/graph/builder.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { findVariant, type Variant, variants } from "../../src/kernels/columns/variants.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { compile } from "../../src/run/compile.ts";
import { runReference } from "../../src/run/reference.ts";
import { compareOutputs } from "../../src/run/verify.ts";
import { type HostTensor, tensor } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import { sizeOf } from "../../src/tensor/shape.ts";
import { gpuTest } from "../support/gpu.ts";

const columns = suite("columns kernels");

const random = seeded(7);
const values = (shape: number[], density = 1): HostTensor =>
  tensor(
    Float32Array.from({ length: sizeOf(shape) }, () => (random.uniform() < density ? random.normal() : 0)),
    shape,
  );

interface Problem {
  readonly name: string;
  readonly graph: Graph;
  readonly input: HostTensor;
}

/** Conv, with a residual and an activation behind it when asked. */
function conv(
  name: string,
  x: number[],
  w: number[],
  attributes: Record<string, number | readonly number[]>,
  fused: { residual?: boolean; relu?: boolean } = {},
): Problem {
  const b = graphBuilder(name);
  const input = b.input("x", x);
  const weight = b.weight("w", values(w, 0.4));
  const bias = b.weight("b", values([w[0]!]));
  let y = b.node("Conv", [input, weight, bias], attributes, { name: "layer" });
  if (fused.residual) {
    const other = b.node("Conv", [input, b.weight("w2", values(w, 0.4))], attributes, { name: "other" });
    y = b.node("Add", [b.node("Sigmoid", [other]), y]);
  }
  if (fused.relu) y = b.node("Relu", [y]);
  b.output(
    y,
    x.map(() => null),
  );
  return { name, graph: b.build(), input: values(x) };
}

function gemm(name: string, n: number, k: number, m: number): Problem {
  const b = graphBuilder(name);
  const input = b.input("x", [n, k]);
  const y = b.node(
    "Gemm",
    [input, b.weight("w", values([m, k], 0.4)), b.weight("b", values([m]))],
    { transB: 1, alpha: 0.5, beta: 2 },
    { name: "layer" },
  );
  b.output(y, [n, m]);
  return { name, graph: b.build(), input: values([n, k]) };
}

function matmul(name: string, x: number[], m: number): Problem {
  const b = graphBuilder(name);
  const input = b.input("x", x);
  const y = b.node("MatMul", [input, b.weight("w", values([x.at(-1)!, m], 0.4))], {}, { name: "layer" });
  b.output(
    b.node("Sigmoid", [b.node("Add", [y, b.weight("b", values([m]))])]),
    x.map(() => null),
  );
  return { name, graph: b.build(), input: values(x) };
}

const problems: readonly Problem[] = [
  conv(
    "3x3, batch 8, residual and relu",
    [8, 5, 7, 6],
    [11, 5, 3, 3],
    { pads: [1, 1, 1, 1] },
    { residual: true, relu: true },
  ),
  conv(
    "3x3 stride 2, batch 3",
    [3, 4, 9, 8],
    [6, 4, 3, 3],
    { pads: [1, 1, 1, 1], strides: [2, 2] },
    { relu: true },
  ),
  conv("dilated, asymmetric pads, batch 1", [1, 3, 10, 9], [9, 3, 3, 2], {
    pads: [2, 0, 1, 1],
    dilations: [2, 1],
  }),
  conv(
    "two groups of five, batch 4",
    [4, 6, 5, 5],
    [10, 3, 3, 3],
    { pads: [1, 1, 1, 1], group: 2 },
    { residual: true },
  ),
  conv("1x1, batch 1, flat plane of 49", [1, 12, 7, 7], [17, 12, 1, 1], {}, { relu: true, residual: true }),
  conv("1x1, batch 2", [2, 7, 4, 3], [8, 7, 1, 1], {}),
  conv("1-D", [2, 3, 33], [5, 3, 5], { pads: [2, 2], strides: [3] }),
  conv("3-D", [2, 2, 4, 5, 6], [4, 2, 3, 3, 3], { pads: [1, 1, 1, 1, 1, 1] }),
  gemm("vector", 1, 37, 29),
  gemm("batch 6", 6, 20, 10),
  matmul("rank 3", [2, 5, 12], 9),
  matmul("rank 3, one sequence of 8", [1, 8, 12], 9),
];

/** The session of a problem whose layer runs by one variant; undefined where the variant does not apply. */
function planOf(variant: Variant, graph: Graph): Plan {
  const layers = graph.nodes
    .filter((n) => ["Conv", "Gemm", "MatMul"].includes(n.op))
    .map((n) => ({
      layer: n.name,
      op: n.op,
      format: variant.format,
      kernel: variant.name,
      density: 1,
      bytes: 0,
      reason: "forced by the test",
      candidates: [],
    }));
  return { version: 1, mode: "forced", adapter: "any", batch: 1, layers };
}

for (const problem of problems) {
  gpuTest(columns, problem.name, async (gpu) => {
    const expected = runReference(problem.graph, { x: problem.input });
    let ran = 0;
    const kernels = new Set<string>();
    for (const variant of variants) {
      if (variant.workgroup > gpu.device.limits.maxComputeInvocationsPerWorkgroup) continue;
      // Workgroup sizes beyond two differ only in how many lanes idle.
      if (variant.workgroup !== 8 && variant.workgroup !== 64) continue;
      let session: Awaited<ReturnType<typeof compile>>;
      try {
        session = await compile(gpu, problem.graph, { plan: planOf(variant, problem.graph) });
      } catch (error) {
        if (error instanceof Error && "code" in error && error.code === "E_PLAN") continue;
        throw error;
      }
      const actual = await session.run({ x: problem.input });
      session.dispose();
      compareOutputs(actual, expected, 2e-5);
      kernels.add(`${variant.kernel} ${variant.format}`);
      ran++;
    }
    assert.ok(ran >= 10, `only ${ran} variants ran`);
    for (const format of ["dense", "csr", "block4x1", "block8x1", "block16x1"]) {
      assert.ok(
        [...kernels].some((k) => k.endsWith(format)),
        `no ${format} kernel ran`,
      );
    }
  });
}

columns("every variant is found by its name", () => {
  for (const variant of variants) assert.is(findVariant(variant.format, variant.name), variant);
});

columns.run();
