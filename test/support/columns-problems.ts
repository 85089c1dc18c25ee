import { PlanError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { graphBuilder } from "../../src/graph/builder.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { roundedToHalf } from "../../src/kernels/columns/half.ts";
import type { Variant } from "../../src/kernels/columns/variants.ts";
import type { ActivationLayout } from "../../src/plan/layouts.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { compile } from "../../src/run/compile.ts";
import { type HostTensor, tensor } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import { sizeOf } from "../../src/tensor/shape.ts";

const random = seeded(7);
export const values = (shape: number[], density = 1, scale = 1): HostTensor =>
  tensor(
    Float32Array.from({ length: sizeOf(shape) }, () =>
      random.uniform() < density ? scale * random.normal() : 0,
    ),
    shape,
  );

/**
 * Weights that half precision holds, so that every format but N:M takes them; smaller where a row has many, so that sums are not
 * large.
 */
const weights = (shape: number[], k = sizeOf(shape.slice(1))): HostTensor => {
  const { data } = values(shape, 0.4, Math.min(1, 64 / k));
  return tensor(roundedToHalf(data as Float32Array), shape);
};

export interface Problem {
  readonly name: string;
  readonly graph: Graph;
  readonly inputs: Readonly<Record<string, HostTensor>>;
  /** Batch-innermost unless said. */
  readonly activations?: ActivationLayout;
}

export type Attributes = Record<string, number | readonly number[]>;

/**
 * Conv, with a residual and a Relu behind it when asked. Only these two endings are used, as every ending is a pipeline of
 * its own and a software adapter takes a second to compile a large one.
 */
export function conv(
  name: string,
  x: number[],
  w: number[],
  attributes: Attributes,
  y?: number[],
  filled: (shape: number[]) => HostTensor = weights,
): Problem {
  const b = graphBuilder(name);
  const input = b.input("x", x);
  const weight = b.weight("w", filled(w));
  let out = b.node("Conv", [input, weight, b.weight("b", values([w[0]!]))], attributes, { name: "layer" });
  if (y) out = b.node("Relu", [b.node("Add", [b.input("r", y), out])]);
  b.output(
    out,
    x.map(() => null),
  );
  return { name, graph: b.build(), inputs: { x: values(x), ...(y && { r: values(y) }) } };
}

export function gemm(
  name: string,
  n: number,
  k: number,
  m: number,
  filled: (shape: number[]) => HostTensor = weights,
): Problem {
  const b = graphBuilder(name);
  const operands = [b.input("x", [n, k]), b.weight("w", filled([m, k])), b.weight("b", values([m]))];
  const y = b.node("Gemm", operands, { transB: 1, alpha: 0.5, beta: 2 }, { name: "layer" });
  b.output(y, [n, m]);
  return { name, graph: b.build(), inputs: { x: values([n, k]) } };
}

function matmul(name: string, x: number[], m: number): Problem {
  const b = graphBuilder(name);
  const operands = [b.input("x", x), b.weight("w", weights([x.at(-1)!, m], x.at(-1)!))];
  const y = b.node("MatMul", operands, {}, { name: "layer" });
  b.output(
    b.node("Add", [y, b.weight("b", values([m]))]),
    x.map(() => null),
  );
  return { name, graph: b.build(), inputs: { x: values(x) } };
}

const one = [1, 1, 1, 1];

/** With a K that is worth splitting. */
export const longProblems: readonly Problem[] = [
  conv("K of 1152, batch 1, residual", [1, 128, 5, 7], [13, 128, 3, 3], { pads: one }, [1, 13, 5, 7]),
  conv(
    "K of 1152, batch 3, stride 2, residual",
    [3, 128, 5, 4],
    [21, 128, 3, 3],
    { pads: one, strides: [2, 2] },
    [3, 21, 3, 2],
  ),
  conv("K of 1024, 1x1, batch 1", [1, 1024, 3, 3], [9, 1024, 1, 1], {}),
  gemm("K of 1024, one row", 1, 1024, 37),
  gemm("K of 1024, six rows", 6, 1024, 10),
  matmul("K of 1024, rank 3", [2, 3, 1024], 9),
];

export const problems: readonly Problem[] = [
  conv("3x3, batch 8, residual", [8, 5, 7, 6], [11, 5, 3, 3], { pads: one }, [8, 11, 7, 6]),
  conv("3x3 stride 2, batch 3", [3, 4, 9, 8], [6, 4, 3, 3], { pads: one, strides: [2, 2] }),
  conv("dilated, asymmetric pads, batch 1", [1, 3, 10, 9], [9, 3, 3, 2], {
    pads: [2, 0, 1, 1],
    dilations: [2, 1],
  }),
  conv(
    "two groups of five, batch 4, residual",
    [4, 6, 5, 5],
    [10, 3, 3, 3],
    { pads: one, group: 2 },
    [4, 10, 5, 5],
  ),
  conv("3x3, batch 1, odd sizes, residual", [1, 5, 9, 7], [19, 5, 3, 3], { pads: one }, [1, 19, 9, 7]),
  conv("3x3, batch 3, odd sizes, no padding", [3, 6, 7, 11], [33, 6, 3, 3], {}),
  conv(
    "3x3, batch 4, tiles that stick out by two and three, residual",
    [4, 4, 6, 5],
    [9, 4, 3, 3],
    { pads: one },
    [4, 9, 6, 5],
  ),
  conv("1x1, batch 1, plane of 49, residual", [1, 12, 7, 7], [17, 12, 1, 1], {}, [1, 17, 7, 7]),
  conv("two groups, one pixel, batch 2, residual", [2, 12, 1, 1], [10, 6, 1, 1], { group: 2 }, [2, 10, 1, 1]),
  conv("1x1, batch 2", [2, 7, 4, 3], [8, 7, 1, 1], {}),
  conv("1-D", [2, 3, 33], [5, 3, 5], { pads: [2, 2], strides: [3] }),
  conv("3-D", [2, 2, 4, 5, 6], [4, 2, 3, 3, 3], { pads: [1, 1, 1, 1, 1, 1] }),
  gemm("vector", 1, 37, 29),
  gemm("batch 6", 6, 20, 10),
  matmul("rank 3", [2, 5, 12], 9),
  matmul("rank 3, one sequence of 8", [1, 8, 12], 9),
];

/** The same with image after image. */
const planar = (problem: Problem): Problem => ({
  ...problem,
  name: `planar, ${problem.name}`,
  activations: "planar",
});

/** Whose images lie one after the other: as they are, in strips, tiled, flat or with a halo between them. */
export const planarProblems: readonly Problem[] = [
  conv("3x3, batch 3, odd sizes, residual", [3, 5, 9, 7], [19, 5, 3, 3], { pads: one }, [3, 19, 9, 7]),
  conv("3x3 stride 2, batch 2", [2, 9, 9, 8], [10, 9, 3, 3], { pads: one, strides: [2, 2] }),
  conv("two groups of five, batch 5", [5, 6, 5, 6], [10, 3, 3, 3], { pads: one, group: 2 }),
  conv("1x1, batch 2, planes of 49, residual", [2, 12, 7, 7], [17, 12, 1, 1], {}, [2, 17, 7, 7]),
  conv("1-D, batch 3", [3, 3, 33], [9, 3, 5], { pads: [2, 2], strides: [3] }),
  gemm("batch 6", 6, 20, 10),
  matmul("rank 4", [2, 3, 5, 12], 9),
].map(planar);

/** A plan that runs every layer by one variant. */
export function planOf(
  variant: Pick<Variant, "format" | "name">,
  graph: Graph,
  layout: ActivationLayout = "batch-innermost",
): Plan {
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
  const activations = { layout, reason: "asked for by the test" };
  return { version: 1, mode: "forced", adapter: "any", batch: 1, activations, layers };
}

/** Runs a graph by one variant; undefined where it does not apply. */
export async function runBy(
  gpu: Gpu,
  variant: Variant,
  { graph, inputs, activations }: Problem,
): Promise<Record<string, HostTensor> | undefined> {
  try {
    const session = await compile(gpu, graph, { plan: planOf(variant, graph, activations) });
    const outputs = await session.run(inputs);
    session.dispose();
    return outputs;
  } catch (error) {
    if (error instanceof PlanError) return undefined;
    throw error;
  }
}
