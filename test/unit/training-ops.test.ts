import { suite } from "uvu";
import * as assert from "uvu/assert";
import { hyper, hyperLength } from "../../src/graph/ops/update.ts";
import { type HostTensor, tensor } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import type { Shape } from "../../src/tensor/shape.ts";
import { hyperAt, momentsOf, type OptimizerOptions, optimizerOf } from "../../src/train/optimizer.ts";
import { assertClose } from "../support/close.ts";
import { fails } from "../support/error.ts";
import { type Attributes, evaluateOp, inferOp } from "../support/evaluate-op.ts";

const test = suite("references of training ops");
/** Of doubles. */
const near = { rel: 1e-12, abs: 1e-12 };

const list = (...data: number[]): HostTensor => tensor(Float64Array.from(data), [data.length]);
const numbers = (t: HostTensor | undefined): number[] => [...(t!.data as Float64Array)];

function settings(given: Partial<Record<keyof typeof hyper, number>>): HostTensor {
  const h = new Float64Array(hyperLength);
  for (const [name, value] of Object.entries(given)) h[hyper[name as keyof typeof hyper]] = value;
  return tensor(h, [hyperLength]);
}

const weight = list(1, -2, 0.5, 0);
const gradient = list(0.1, 0.2, -0.3, 0.4);
const none = list(0, 0, 0, 0);

/** Weight and velocity after each of two steps with the same gradient. */
function twoSgdSteps(
  given: Parameters<typeof settings>[0],
  attributes: Attributes = {},
  mask?: HostTensor,
  scale?: HostTensor,
  start = none,
): number[][] {
  const h = settings({ rate: 0.1, momentum: 0.9, ...given });
  const first = evaluateOp("SgdUpdate", [weight, gradient, start, h, mask, scale], attributes, 2);
  const second = evaluateOp("SgdUpdate", [first[0], gradient, first[1], h, mask, scale], attributes, 2);
  return [...first, ...second].map(numbers);
}

/** Each row: weight, velocity, weight, velocity. Worked out by hand. */
const sgdExamples: readonly (readonly [string, number[][], readonly number[][]])[] = [
  [
    "momentum",
    twoSgdSteps({}),
    [
      [0.99, -2.02, 0.53, -0.04],
      [0.1, 0.2, -0.3, 0.4],
      [0.971, -2.058, 0.587, -0.116],
      [0.19, 0.38, -0.57, 0.76],
    ],
  ],
  [
    "Nesterov",
    twoSgdSteps({}, { nesterov: 1 }),
    [
      [0.981, -2.038, 0.557, -0.076],
      [0.1, 0.2, -0.3, 0.4],
      [0.9539, -2.0922, 0.6383, -0.1844],
      [0.19, 0.38, -0.57, 0.76],
    ],
  ],
  [
    "L2",
    twoSgdSteps({ decay: 0.5 }),
    [
      [0.94, -1.92, 0.505, -0.04],
      [0.6, -0.8, -0.05, 0.4],
      [0.829, -1.772, 0.51425, -0.114],
      [1.11, -1.48, -0.0925, 0.74],
    ],
  ],
  [
    "L1",
    twoSgdSteps({ l1: 0.05 }),
    [
      [0.985, -2.015, 0.525, -0.04],
      [0.15, 0.15, -0.25, 0.4],
      [0.9565, -2.0435, 0.5725, -0.111],
      [0.285, 0.285, -0.475, 0.71],
    ],
  ],
  [
    "mask, though there was a velocity",
    twoSgdSteps({}, {}, list(1, 0, 1, 0), undefined, list(0, 5, 0, 5)),
    [
      [0.99, 0, 0.53, 0],
      [0.1, 0, -0.3, 0],
      [0.971, 0, 0.587, 0],
      [0.19, 0, -0.57, 0],
    ],
  ],
  [
    "scale, of the gradient but not of the penalty",
    twoSgdSteps({ decay: 0.5, momentum: 0 }, {}, undefined, list(0.5)),
    [
      [0.945, -1.91, 0.49, -0.02],
      [0.55, -0.9, 0.1, 0.2],
      [0.89275, -1.8245, 0.4805, -0.039],
      [0.5225, -0.855, 0.095, 0.19],
    ],
  ],
];

for (const [name, actual, expected] of sgdExamples) {
  test(`SgdUpdate by hand: ${name}`, () => {
    for (const [i, row] of expected.entries()) assertClose(actual[i]!, row, near, `${name}, row ${i}`);
  });
}

test("SgdUpdate leaves penalties away from weights that take none", () => {
  assert.equal(twoSgdSteps({ decay: 0.5, l1: 0.1 }, { penalise: 0 }), twoSgdSteps({}));
});

test("AdamUpdate and AdamW by hand, with the corrections of two steps", () => {
  const plain = { rate: 0.1, momentum: 0.5, beta2: 0.75, epsilon: 0.5, decay: 0.2 };
  const at = (t: number): HostTensor =>
    settings({ ...plain, correction1: 1 - 0.5 ** t, correction2: 1 - 0.75 ** t });
  const one = list(1);
  const zero = list(0);
  const step = (decoupled: number, penalise: number): number[][] => {
    const attributes = { decoupled, penalise };
    const first = evaluateOp("AdamUpdate", [one, list(2), zero, zero, at(1)], attributes, 3);
    const [w, m, v] = first;
    const second = evaluateOp("AdamUpdate", [w, list(1), m, v, at(2)], attributes, 3);
    return [...first, ...second].map(numbers);
  };
  // First step: m = 1 and v = 1, corrected 2 and 4, so 0.1 * 2 / 2.5. Second: both 1 again, corrected 4/3 and 16/7.
  const move = (0.1 * (4 / 3)) / (4 / Math.sqrt(7) + 0.5);
  const flat = (rows: number[][]): number[] => rows.flat();
  assertClose(flat(step(0, 0)), [0.92, 1, 1, 0.92 - move, 1, 1], near, "Adam");
  assertClose(flat(step(1, 1)), [0.9, 1, 1, 0.9 - 0.018 - move, 1, 1], near, "AdamW");
  assertClose(flat(step(1, 0)), flat(step(0, 0)), near, "AdamW of a bias");
  // The coupled penalty joins the gradient: 2.2, so m = 1.1 and v = 1.21.
  assertClose(step(0, 1).slice(0, 3).flat(), [1 - (0.1 * 2.2) / 2.7, 1.1, 1.21], near, "Adam with L2");
});

/** Adam of one element as its authors' reference code has it: corrections in the step size. */
function adamElement(
  o: Required<OptimizerOptions>,
  start: number,
  gradients: readonly number[],
  rate: number,
): number {
  let [w, m, v, t] = [start, 0, 0, 0];
  for (const raw of gradients) {
    t++;
    let g = raw + o.l1 * (w > 0 ? 1 : w < 0 ? -1 : 0);
    if (o.kind === "adamw") w *= 1 - rate * o.weightDecay;
    else g += o.weightDecay * w;
    m += (1 - o.momentum) * (g - m);
    v += (1 - o.beta2) * (g * g - v);
    const size = rate / (1 - o.momentum ** t);
    w -= (size * m) / (Math.sqrt(v) / Math.sqrt(1 - o.beta2 ** t) + o.epsilon);
  }
  return w;
}

test("AdamUpdate over ten random steps is the naive loop, masked elements zero", () => {
  const random = seeded(11);
  for (const kind of ["adam", "adamw"] as const) {
    const o = optimizerOf({ kind, weightDecay: 0.05, l1: kind === "adam" ? 0.01 : 0 });
    const start = Array.from({ length: 12 }, () => random.normal());
    const gradients = Array.from({ length: 10 }, () => start.map(() => random.normal()));
    const mask = list(...start.map((_, i) => (i % 4 === 1 ? 0 : 1)));
    let state = [list(...start), list(...start.map(() => 0)), list(...start.map(() => 0))];
    for (const [t, g] of gradients.entries()) {
      const h = tensor(Float64Array.from(hyperAt(o, 0.01, t).data as Float32Array), [hyperLength]);
      const operands = [state[0]!, list(...g.map((v) => v / 2)), state[1]!, state[2]!, h, mask, list(2)];
      state = evaluateOp("AdamUpdate", operands, { decoupled: kind === "adamw" ? 1 : 0 }, 3);
    }
    const whole = { ...o, clipNorm: 1 };
    const expected = start.map((w, i) =>
      i % 4 === 1
        ? 0
        : adamElement(
            whole,
            w,
            gradients.map((g) => g[i]!),
            0.01,
          ),
    );
    // Settings are rounded to f32, and 1 - beta loses three digits by that.
    assertClose(numbers(state[0]), expected, { abs: 2e-5 }, kind);
    for (const [i, v] of numbers(state[1]).entries()) if (i % 4 === 1) assert.is(v, 0);
  }
});

test("updates refuse operands of other sizes", async () => {
  const h = settings({});
  await fails(() => inferOp("SgdUpdate", [weight, list(1), none, h], {}, 2), "E_SHAPE", /input 1/);
  await fails(() => inferOp("SgdUpdate", [weight, gradient, none, list(1)], {}, 2), "E_SHAPE", /\[8\]/);
  await fails(() => inferOp("AdamUpdate", [weight, gradient, none, list(1), h], {}, 3), "E_SHAPE", /input 3/);
  await fails(() => inferOp("Accumulate", [weight, list(1)]), "E_SHAPE");
  const short = list(1, 1);
  await fails(() => inferOp("SgdUpdate", [weight, gradient, none, h, short], {}, 2), "E_SHAPE", /input 4/);
});

test("Accumulate adds", () => {
  const [sum] = evaluateOp("Accumulate", [list(1, -2, 3), list(0.5, 2, -3)]);
  assert.equal(numbers(sum), [1.5, 0, 0]);
});

const masked = (shape: Shape, step: number, seed: number, ratio: number): number[] =>
  numbers(
    evaluateOp("RandomMask", [tensor(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape), i32(step)], {
      seed,
      ratio,
    })[0],
  );
const i32 = (value: number): HostTensor => tensor(Int32Array.of(value), [1]);

test("RandomMask keeps its share, each step and seed another, the same step the same", () => {
  const count = 100_000;
  for (const ratio of [0.1, 0.5, 0.9]) {
    const masks = [
      masked([count], 3, 7, ratio),
      masked([count], 4, 7, ratio),
      masked([count], 3, 8, ratio),
    ] as const;
    const spread = Math.sqrt((ratio * (1 - ratio)) / count);
    for (const mask of masks) {
      const kept = mask.filter((v) => v !== 0);
      assert.ok(Math.abs(kept.length / count - (1 - ratio)) < 4 * spread, `${kept.length} of ${count} kept`);
      assert.ok(kept.every((v) => v === 1 / (1 - ratio)));
    }
    // Drawn independently, two masks keep an element together with the product of their probabilities.
    for (const other of masks.slice(1)) {
      const both = masks[0].filter((v, i) => v !== 0 && other[i] !== 0).length / count;
      assert.ok(Math.abs(both - (1 - ratio) ** 2) < 0.01, `${both} kept by both`);
    }
    // Neighbours neither.
    const pairs = masks[0].filter((v, i) => v !== 0 && masks[0][i + 1] !== 0).length / count;
    assert.ok(Math.abs(pairs - (1 - ratio) ** 2) < 0.01, `${pairs} kept with their neighbour`);
    assert.equal(masked([count], 3, 7, ratio), masks[0]);
    assert.equal(masked([100, 10, 100], 3, 7, ratio), masks[0]);
  }
  assert.ok(masked([1000], 0, 1, 0).every((v) => v === 1));
});

test("RandomMask's bits are those of its hash in exact arithmetic", () => {
  const word = 2n ** 32n;
  const hash = (x: bigint): bigint => {
    const a = ((x ^ (x >> 16n)) * 0x7feb352dn) % word;
    const b = ((a ^ (a >> 15n)) * 0x846ca68bn) % word;
    return b ^ (b >> 16n);
  };
  const [step, seed, ratio] = [123_456, 4_000_000_000, 0.3];
  const stream = hash(BigInt(step) ^ hash(BigInt(seed)));
  const expected = Array.from({ length: 500 }, (_, i) =>
    Number(hash(BigInt(i) ^ stream)) >= Math.floor(ratio * Number(word)) ? 1 / 0.7 : 0,
  );
  assert.equal(masked([500], step, seed, ratio), expected);
});

test("RandomMask refuses to drop everything", async () => {
  for (const ratio of [1, -0.1, Number.NaN])
    await fails(() => inferOp("RandomMask", [list(1), i32(0)], { ratio }), "E_ATTRIBUTE", /ratio/);
});

const matrix = (...rows: number[][]): HostTensor =>
  tensor(Float64Array.from(rows.flat()), [rows.length, rows[0]!.length]);

test("SoftmaxCrossEntropy of known values", () => {
  const logits = matrix([0, 0, 0], [0, Math.log(2), Math.log(5)], [5, 5, 5], [0, Math.log(2), Math.log(5)]);
  const targets = matrix([1, 0, 0], [0, 1, 0], [0.5, 0.25, 0.25], [0, 2, 2]);
  const [loss, dx] = evaluateOp("SoftmaxCrossEntropy", [logits, targets], {}, 2);
  const third = 1 / 3;
  assertClose(
    numbers(loss),
    [Math.log(3), Math.log(4), Math.log(3), 2 * Math.log(4) + 2 * Math.log(1.6)],
    near,
  );
  assertClose(
    numbers(dx),
    [
      ...[third - 1, third, third],
      ...[0.125, -0.75, 0.625],
      ...[third - 0.5, third - 0.25, third - 0.25],
      ...[0.5, 1 - 2, 2.5 - 2],
    ],
    near,
  );
});

test("SoftmaxCrossEntropy of large logits does not overflow", () => {
  const logits = matrix([1000, 0, -1000], [-1e5, -1e5, -1e5], [3e38, 0, -3e38]);
  const targets = matrix([0, 0, 1], [1, 0, 0], [1, 0, 0]);
  const [loss, dx] = evaluateOp("SoftmaxCrossEntropy", [logits, targets], {}, 2);
  assertClose(numbers(loss), [2000, Math.log(3), 0], near);
  assertClose(numbers(dx), [1, 0, -1, 1 / 3 - 1, 1 / 3, 1 / 3, 0, 0, 0], near);
});

function maxPoolGradient(x: HostTensor, dy: readonly number[] | undefined, attributes: Attributes): number[] {
  const [y] = evaluateOp("MaxPool", [x], attributes);
  const slope = dy
    ? Float64Array.from(dy)
    : Float64Array.from({ length: y!.data.length }, (_, i) => 2 ** (i % 30) + i);
  return numbers(evaluateOp("MaxPoolGrad", [x, y, tensor(slope, y!.shape)], attributes)[0]);
}

test("MaxPoolGrad gives a tie to the first element of the window", () => {
  const row = tensor(Float64Array.of(1, 1, 0, 1), [1, 1, 4]);
  assert.equal(maxPoolGradient(row, [10, 20, 30], { kernel_shape: [2] }), [10, 20, 0, 30]);
  const equal = tensor(new Float64Array(9).fill(-3), [1, 1, 3, 3]);
  // Rows and columns {padding, 0} and {1, 2}.
  const windows = { kernel_shape: [2, 2], strides: [2, 2], pads: [1, 1, 0, 0] };
  assert.equal(maxPoolGradient(equal, [1, 2, 4, 8], windows), [1, 2, 0, 4, 8, 0, 0, 0, 0]);
  assert.equal(
    maxPoolGradient(equal, [1, 2, 4, 8], { kernel_shape: [2, 2] }),
    [1, 2, 0, 4, 8, 0, 0, 0, 0],
    "overlapping",
  );
  // Output (r, c) begins at (r - 1, c - 1), or at the border.
  const around = { kernel_shape: [3, 3], pads: [1, 1, 1, 1] };
  assert.equal(maxPoolGradient(equal, [1, 2, 4, 8, 16, 32, 64, 128, 256], around), [
    1 + 2 + 8 + 16,
    4 + 32,
    0,
    64 + 128,
    256,
    0,
    0,
    0,
    0,
  ]);
});

test("MaxPoolGrad of zeros and ones is a naive search", () => {
  const random = seeded(23);
  const [height, width] = [6, 7];
  const x = Float64Array.from({ length: 2 * height * width }, () => random.below(2));
  const attributes = { kernel_shape: [3, 2], strides: [2, 1], pads: [1, 0, 1, 1], dilations: [1, 2] };
  const [rows, columns] = [3, 6];
  const expected = new Float64Array(x.length);
  for (let n = 0, i = 0; n < 2; n++) {
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++, i++) {
        const inside = [0, 1, 2]
          .flatMap((k) => [0, 1].map((l) => [2 * r + k - 1, c + 2 * l] as const))
          .filter(([h, w]) => h >= 0 && h < height && w < width)
          .map(([h, w]) => (n * height + h) * width + w);
        const greatest = Math.max(...inside.map((at) => x[at]!));
        expected[inside.find((at) => x[at] === greatest)!]! += 2 ** (i % 30) + i;
      }
    }
  }
  assert.equal(maxPoolGradient(tensor(x, [2, 1, height, width]), undefined, attributes), [...expected]);
});

test("hyperAt depends on the rate and the step alone", () => {
  const o = optimizerOf({ kind: "adam", momentum: 0.5, beta2: 0.75, weightDecay: 2, l1: 3, epsilon: 0.25 });
  const third = [...(hyperAt(o, 0.125, 2).data as Float32Array)];
  assert.equal(third, [0.125, 0.5, 0.75, 0.25, 2, 3, 1 - 0.125, 1 - 0.421875]);
  hyperAt(o, 9, 100);
  assert.equal([...(hyperAt(o, 0.125, 2).data as Float32Array)], third);
  assert.equal([...(hyperAt(o, 0.125, 0).data as Float32Array)].slice(6), [0.5, 0.25]);
});

test("optimizerOf fills in the defaults and refuses what cannot converge", async () => {
  const filled = {
    kind: "sgd",
    momentum: 0.9,
    nesterov: false,
    beta2: 0.999,
    epsilon: 1e-8,
    weightDecay: 0,
    l1: 0,
    groupLasso: 0,
    l1Scales: 0,
  };
  assert.equal(optimizerOf(), filled);
  assert.equal(optimizerOf({ clipNorm: 2 }), { ...filled, clipNorm: 2 });
  assert.equal(momentsOf(optimizerOf()), ["velocity"]);
  assert.equal(momentsOf(optimizerOf({ kind: "adamw" })), ["first-moment", "second-moment"]);
  const refused: readonly (readonly [OptimizerOptions, RegExp])[] = [
    [{ kind: "lion" as "adam" }, /"lion"/],
    [{ momentum: 1 }, /momentum is 1/],
    [{ momentum: -0.1 }, /momentum/],
    [{ beta2: Number.NaN }, /beta2 is NaN/],
    [{ epsilon: 0 }, /epsilon/],
    [{ weightDecay: -1 }, /weightDecay/],
    [{ l1: Number.POSITIVE_INFINITY }, /l1/],
    [{ groupLasso: -1 }, /groupLasso/],
    [{ l1Scales: -1 }, /l1Scales/],
    [{ clipNorm: 0 }, /clipNorm/],
    [{ kind: "adam", nesterov: true }, /nesterov/],
  ];
  for (const [options, message] of refused) await fails(() => optimizerOf(options), "E_INPUT", message);
});

test.run();
