import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Lowering } from "../../src/kernels/lowering.ts";
import { convLowering } from "../../src/kernels/ops/conv-generic.ts";
import { movementLowerings } from "../../src/kernels/ops/movement.ts";
import { type HostTensor, tensor } from "../../src/tensor/host-tensor.ts";
import { type Random, seeded, shuffle } from "../../src/tensor/random.ts";
import { sizeOf } from "../../src/tensor/shape.ts";
import { assertClose } from "../support/close.ts";
import { type Attributes, evaluateOp } from "../support/evaluate-op.ts";
import { gpuTest } from "../support/gpu.ts";
import { layoutsOf, numbersOf, runLowering } from "../support/run-lowering.ts";

/** Random nodes of one op, run in both layouts and compared with the reference. */
const fuzz = suite("random nodes");
const rounds = Number(process.env.SECATEUR_FUZZ_ROUNDS ?? 25);

interface Drawn {
  readonly inputs: readonly (HostTensor | undefined)[];
  readonly attributes: Attributes;
  readonly outputs?: number;
}

const floats = (random: Random, shape: readonly number[]): HostTensor =>
  tensor(
    Float32Array.from({ length: sizeOf(shape) }, () => random.normal()),
    [...shape],
  );
const ints = (values: readonly number[]): HostTensor =>
  tensor(BigInt64Array.from(values, BigInt), [values.length]);
const between = (random: Random, low: number, high: number): number => low + random.below(high - low + 1);
const list = <T>(n: number, of: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => of(i));

/** Sizes that meet the fours of the vec4 kernels and miss them about equally often. */
const size = (random: Random): number => [1, 2, 3, 4, 5, 8, 12, 17][random.below(8)]!;
const shapeOf = (random: Random, least: number, most: number): number[] =>
  list(between(random, least, most), () => size(random));

const draws: Readonly<Record<string, (random: Random) => Drawn>> = {
  Transpose(random) {
    const shape = shapeOf(random, 1, 5);
    const perm = shape.map((_, i) => i);
    shuffle(perm, random);
    return { inputs: [floats(random, shape)], attributes: { perm } };
  },
  Slice(random) {
    const shape = shapeOf(random, 1, 4);
    const bound = (d: number): number => between(random, -d - 2, d + 2);
    const steps = shape.map(() => [1, 1, 2, -1, -3, 4][random.below(6)]!);
    const starts = shape.map(bound);
    const ends = shape.map(bound);
    const axes = shape.map((_, i) => i);
    return {
      inputs: [floats(random, shape), ints(starts), ints(ends), ints(axes), ints(steps)],
      attributes: {},
    };
  },
  Pad(random) {
    const shape = shapeOf(random, 1, 4);
    const mode = ["constant", "edge", "reflect", "wrap"][random.below(4)]!;
    const most = (d: number): number => (mode === "reflect" ? d - 1 : 3);
    const pads = [...shape, ...shape].map((d) => (random.below(3) === 0 ? 0 : between(random, 0, most(d))));
    return { inputs: [floats(random, shape), ints(pads)], attributes: { mode } };
  },
  Concat(random) {
    const shape = shapeOf(random, 1, 4);
    const axis = random.below(shape.length);
    const parts = list(between(random, 1, 4), () => shape.map((d, i) => (i === axis ? random.below(6) : d)));
    return { inputs: parts.map((s) => floats(random, s)), attributes: { axis } };
  },
  Split(random) {
    const shape = shapeOf(random, 1, 4);
    const axis = random.below(shape.length);
    const first = random.below(shape[axis]! + 1);
    return {
      inputs: [floats(random, shape), ints([first, shape[axis]! - first])],
      attributes: { axis },
      outputs: 2,
    };
  },
  Tile(random) {
    const shape = shapeOf(random, 1, 4);
    return { inputs: [floats(random, shape), ints(shape.map(() => between(random, 0, 3)))], attributes: {} };
  },
  Expand(random) {
    const shape = shapeOf(random, 1, 4);
    const from = shape.map((d) => (random.below(2) === 0 ? 1 : d)).slice(random.below(2));
    return { inputs: [floats(random, from), ints(shape)], attributes: {} };
  },
  Flatten(random) {
    const shape = shapeOf(random, 2, 5);
    return { inputs: [floats(random, shape)], attributes: { axis: random.below(shape.length + 1) } };
  },
  Gather(random) {
    const shape = shapeOf(random, 1, 4);
    const axis = random.below(shape.length);
    const d = shape[axis]!;
    const indices = shapeOf(random, 0, 2);
    const values = list(sizeOf(indices), () => BigInt(between(random, -d, d - 1)));
    return {
      inputs: [floats(random, shape), tensor(BigInt64Array.from(values), indices)],
      attributes: { axis },
    };
  },
  Conv(random) {
    const rank = between(random, 1, 3);
    const group = [1, 1, 2, 3][random.below(4)]!;
    const depthwise = random.below(3) === 0;
    const perGroup = depthwise ? 1 : between(random, 1, 4);
    const rows = between(random, 1, 5) * group;
    const kernel = list(rank, () => between(random, 1, 4));
    const dilations = kernel.map(() => between(random, 1, 2));
    const strides = kernel.map(() => between(random, 1, 3));
    const pads = list(2 * rank, () => random.below(4));
    const spatial = kernel.map((k, i) =>
      Math.max(1, (k - 1) * dilations[i]! + 1 - pads[i]! + random.below(8)),
    );
    const bias = random.below(2) === 0 ? [floats(random, [rows])] : [];
    return {
      inputs: [
        floats(random, [size(random), perGroup * group, ...spatial]),
        floats(random, [rows, perGroup, ...kernel]),
        ...bias,
      ],
      attributes: { group, dilations, strides, pads },
    };
  },
};

const lowerings: readonly Lowering[] = [...movementLowerings, convLowering];

for (const [op, draw] of Object.entries(draws)) {
  gpuTest(fuzz, op, async (gpu) => {
    const lowering = lowerings.find((l) => l.ops.includes(op))!;
    for (let seed = 1; seed <= rounds; seed++) {
      const { inputs, attributes, outputs = 1 } = draw(seeded(seed));
      const expected = evaluateOp(op, inputs, attributes, outputs);
      // Indices of Gather are known only when it runs, as are the parts of a Concat.
      const runTime = op === "Gather" || op === "Concat" ? inputs.map((_, i) => i) : [];
      for (const layout of layoutsOf(lowering)) {
        const what = `seed ${seed}, ${layout}, ${inputs.map((t) => `[${t?.shape}]`).join(" ")} ${JSON.stringify(attributes)}`;
        const actual = await runLowering(gpu, lowering, { op, inputs, attributes, outputs, runTime }, layout);
        for (const [i, t] of actual.entries()) {
          const limits = op === "Conv" ? { rel: 1e-6, abs: 6e-5 } : {};
          assert.equal([...t.shape], [...expected[i]!.shape], what);
          assertClose(numbersOf(t), numbersOf(expected[i]!), limits, what);
        }
      }
    }
  });
}

fuzz.run();
