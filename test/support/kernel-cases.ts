import { suite, type Test } from "uvu";
import { findLowering } from "../../src/kernels/ops/index.ts";
import type { HostTensor } from "../../src/tensor/host-tensor.ts";
import { tensor } from "../../src/tensor/host-tensor.ts";
import { type Random, seeded } from "../../src/tensor/random.ts";
import { type Shape, showShape, sizeOf } from "../../src/tensor/shape.ts";
import { assertClose, type Tolerance } from "./close.ts";
import { evaluateOp } from "./evaluate-op.ts";
import { gpuTest } from "./gpu.ts";
import { type LoweringCase, layoutsOf, numbersOf, runLowering } from "./run-lowering.ts";

/** One op, its operands, and how near to the reference it must come. */
export interface KernelCase extends LoweringCase {
  /** Told apart from other cases of the op by it; the shapes unless said. */
  readonly name?: string;
  readonly tolerance?: Tolerance;
}

/** f32 has 24 bits: half a unit of the last place is 6e-8 relative. */
export const exact: Tolerance = {};

export interface Values {
  readonly random: Random;
  /** Standard normal values. */
  normal(shape: Shape, scale?: number): HostTensor;
  /** Uniform values in [low, high). */
  between(low: number, high: number, shape: Shape): HostTensor;
  /** Whole numbers in [low, high]. */
  ints(
    low: number,
    high: number,
    shape: Shape,
    dtype?: "i32" | "u32" | "i64" | "bool" | "u8" | "i8",
  ): HostTensor;
}

/** Seeded random operands. */
export function values(seed: number): Values {
  const random = seeded(seed);
  const fill = (shape: Shape, of: () => number): HostTensor =>
    tensor(Float32Array.from({ length: sizeOf(shape) }, of), shape);
  return {
    random,
    normal: (shape, scale = 1) => fill(shape, () => random.normal() * scale),
    between: (low, high, shape) => fill(shape, () => low + random.uniform() * (high - low)),
    ints: (low, high, shape, dtype = "i32") =>
      tensor(
        Array.from({ length: sizeOf(shape) }, () => low + random.below(high - low + 1)),
        shape,
        dtype,
      ),
  };
}

/**
 * A suite with one test per op: each case in rows and in columns layout, constant operands known and unknown to the lowering,
 * against the reference in double precision.
 */
export function kernelSuite(name: string, cases: readonly KernelCase[]): Test {
  const group = suite(name);
  for (const op of new Set(cases.map((c) => c.op))) {
    gpuTest(group, op, async (gpu) => {
      const lowering = findLowering(op);
      if (!lowering) throw new Error(`${op} has no lowering`);
      for (const c of cases.filter((each) => each.op === op)) {
        const expected = evaluateOp(op, c.inputs, c.attributes, c.outputs);
        const shapes = c.inputs.map((t) => (t ? showShape(t.shape) : "-")).join(" ");
        for (const layout of layoutsOf(lowering)) {
          const actual = await runLowering(gpu, lowering, c, layout);
          for (const [i, e] of expected.entries()) {
            const what = `${op} ${c.name ?? shapes} in ${layout}, output ${i}`;
            assertClose(numbersOf(actual[i]!), numbersOf(e), c.tolerance ?? exact, what);
          }
        }
      }
    });
  }
  return group;
}

/** Shapes that leave tails: empty, single, odd, long, of every rank. */
export const oddShapes: readonly Shape[] = [
  [],
  [0],
  [1],
  [7],
  [129],
  [3, 5],
  [5, 0, 3],
  [1, 3, 5, 7],
  [6, 3, 4, 5],
  [2, 3, 2, 3, 2],
];
