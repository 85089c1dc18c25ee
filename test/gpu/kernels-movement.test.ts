import { suite } from "uvu";
import * as assert from "uvu/assert";
import { noActivation } from "../../src/kernels/activation.ts";
import { rowsLayout, viewOf } from "../../src/kernels/layout.ts";
import type { Dispatch, View } from "../../src/kernels/lowering.ts";
import { copyView, movementLowerings } from "../../src/kernels/ops/movement.ts";
import { copyVariants } from "../../src/kernels/ops/movement-copy.ts";
import { fillView } from "../../src/kernels/ops/movement-fill.ts";
import { loopsOf, simplifyLoops } from "../../src/kernels/ops/movement-loops.ts";
import { commonParts, copyReshaped } from "../../src/kernels/ops/movement-reshape.ts";
import { wordOf } from "../../src/kernels/words.ts";
import { cast, type HostTensor, tensor } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import { type Shape, showShape, sizeOf } from "../../src/tensor/shape.ts";
import { type Attributes, evaluateOp } from "../support/evaluate-op.ts";
import { gpuTest } from "../support/gpu.ts";
import { runDispatches } from "../support/run-dispatches.ts";
import {
  gathered,
  type LoweringCase,
  laidBy,
  laidOut,
  layoutsOf,
  numbersOf,
  runLowering,
  SENTINEL,
} from "../support/run-lowering.ts";

const movement = suite("movement kernels");
const random = seeded(11);

const floats = (...shape: number[]): HostTensor =>
  tensor(
    Float32Array.from({ length: sizeOf(shape) }, () => random.normal()),
    shape,
  );
const ints = (values: readonly number[], shape: Shape = [values.length]): HostTensor =>
  tensor(BigInt64Array.from(values, BigInt), shape);
const scalar = (value: number): HostTensor => tensor([value], []);

const lowering = (op: string) => {
  const found = movementLowerings.find((l) => l.ops.includes(op));
  if (!found) throw new Error(`${op} has no lowering`);
  return found;
};

interface Case extends LoweringCase {
  readonly name: string;
}

const make = (
  op: string,
  name: string,
  inputs: readonly (HostTensor | undefined)[],
  attributes: Attributes = {},
  rest: Partial<LoweringCase> = {},
): Case => ({ op, name: `${op}: ${name}`, inputs, attributes, ...rest });

const image = floats(5, 3, 4, 6);
const batch = floats(8, 6, 5, 4);

const cases: readonly Case[] = [
  make("Transpose", "all axes", [floats(2, 3, 4, 5)]),
  make("Transpose", "matrix 37 x 50", [floats(37, 50)], { perm: [1, 0] }),
  make("Transpose", "matrix 64 x 48, in quads", [floats(64, 48)], { perm: [1, 0] }),
  make("Transpose", "inner pair of four", [floats(3, 8, 12, 16)], { perm: [0, 1, 3, 2] }),
  make("Transpose", "heads", [floats(2, 9, 4, 8)], { perm: [0, 2, 1, 3] }),
  make("Transpose", "channels last", [batch], { perm: [0, 2, 3, 1] }),
  make("Transpose", "i64", [ints([1, -2, 3, -4, 5, 6], [2, 3])]),
  make("Transpose", "empty", [floats(0, 3)]),
  make("Transpose", "one element", [floats(1, 1)]),
  make("Transpose", "rank 8", [floats(2, 1, 3, 2, 1, 2, 3, 2)]),
  make(
    "Concat",
    "channels",
    [image, floats(5, 1, 4, 6), floats(5, 4, 4, 6)],
    { axis: 1 },
    { runTime: [0, 1, 2] },
  ),
  make("Concat", "width of a multiple of four", [batch, batch], { axis: -1 }, { runTime: [0, 1] }),
  make("Concat", "with an empty part", [floats(2, 3), floats(2, 0)], { axis: 1 }, { runTime: [0, 1] }),
  make("Concat", "batches", [floats(3, 2, 2), floats(1, 2, 2)], { axis: 0 }, { runTime: [0, 1] }),
  make("Split", "sizes", [image, ints([1, 0, 3])], { axis: 2 }, { outputs: 3 }),
  make("Split", "equal", [batch], { axis: 1 }, { outputs: 3 }),
  make("Slice", "step 2", [batch, ints([0, 0]), ints([99, 99]), ints([2, 3]), ints([2, 2])]),
  make("Slice", "negative step", [image, ints([-1, 3]), ints([-99, 0]), ints([1, 3]), ints([-1, -2])]),
  make("Slice", "inner quads", [floats(6, 16), ints([4]), ints([12]), ints([1])]),
  make("Slice", "empty", [image, ints([3]), ints([1]), ints([3])]),
  make("Slice", "one left", [image, ints([2]), ints([3]), ints([1])]),
  make("Expand", "both ways", [floats(3, 1, 4), ints([2, 1, 5, 1])]),
  make("Expand", "scalar", [scalar(3.5), ints([4, 4])]),
  make("Expand", "to nothing", [floats(3, 1), ints([3, 0])]),
  make("Tile", "three axes", [image, ints([2, 1, 3, 2])]),
  make("Tile", "more loops than a kernel has", [floats(2, 3, 2, 3, 2), ints([2, 2, 2, 2, 2])]),
  make("Tile", "zero times", [image, ints([1, 0, 1, 1])]),
  make("Reshape", "as it is", [image, ints([15, -1])]),
  make("Flatten", "channels and pixels", [image], { axis: 1 }),
  make("Flatten", "batch of 8", [batch], { axis: 1 }),
  make("Flatten", "in the middle", [image], { axis: 2 }),
  make("Flatten", "behind everything", [floats(2, 3)], { axis: 2 }),
  make("Squeeze", "an axis", [floats(3, 1, 4), ints([1])]),
  make("Unsqueeze", "two axes", [floats(3, 4), ints([0, -1])]),
  make("Identity", "image", [image]),
  make("Identity", "bool", [tensor(Uint8Array.of(1, 0, 1), [3], "bool")]),
  make("Pad", "channels, as shortcut A", [batch, ints([0, 3, 0, 0, 0, 3, 0, 0])]),
  make("Pad", "constant with a value", [image, ints([0, 1, 2, 0, 1, 0, 0, 3]), scalar(-1.5)], {
    mode: "constant",
  }),
  make("Pad", "cropping to one", [image, ints([0, -1, -2, 1, 0, -1, -1, -3])]),
  make("Pad", "reflect", [image, ints([0, 2, 3, 1, 0, 1, 2, 4])], { mode: "reflect" }),
  make("Pad", "edge", [image, ints([1, 0, 3, -1, 2, 0, 5, 4])], { mode: "edge" }),
  make("Pad", "wrap", [image, ints([0, 0, 5, 7, 0, 0, 3, 9])], { mode: "wrap" }),
  make("Pad", "wrap around what cropping left", [image, ints([0, 0, -1, 7, 0, 0, 6, -2])], { mode: "wrap" }),
  make("Pad", "some axes", [image, ints([1, 2, 3, 4]), undefined, ints([3, 1])]),
  make("Pad", "an empty tensor", [floats(0, 2), ints([1, 0, 1, 1])]),
  make("Pad", "i64", [ints([5, 6, 7]), ints([1, 2]), ints([-9], [])]),
  make(
    "Gather",
    "rows of four",
    [floats(7, 8), ints([6, -1, 0, -7], [2, 2])],
    { axis: 0 },
    { runTime: [0, 1] },
  ),
  make("Gather", "an inner axis", [image, ints([3, 0, -2])], { axis: 2 }, { runTime: [0, 1] }),
  make("Gather", "a scalar index", [image, ints([-1], [])], { axis: 1 }, { runTime: [0, 1] }),
  make("Gather", "no index", [image, ints([])], { axis: 1 }, { runTime: [0, 1] }),
  make("Gather", "i64 data", [ints([10, 20, 30]), ints([2, 0])], {}, { runTime: [0, 1] }),
  make("DepthToSpace", "DCR", [floats(2, 12, 3, 5)], { blocksize: 2 }),
  make("DepthToSpace", "CRD", [floats(4, 18, 2, 3)], { blocksize: 3, mode: "CRD" }),
  make("SpaceToDepth", "blocks of 2", [floats(2, 3, 4, 6)], { blocksize: 2 }),
];

for (const test of cases) {
  gpuTest(movement, test.name, async (gpu) => {
    const expected = evaluateOp(test.op, test.inputs, test.attributes, test.outputs);
    const by = lowering(test.op);
    for (const layout of layoutsOf(by)) {
      const actual = await runLowering(gpu, by, test, layout);
      for (const [i, t] of actual.entries()) {
        const want = cast(expected[i]!, t.dtype === "f32" ? "f32" : "f64");
        assert.equal([...numbersOf(t)], [...numbersOf(want)], `${layout}, output ${i}`);
      }
    }
  });
}

gpuTest(movement, "Gather: indices out of range read within the axis", async (gpu) => {
  const x = floats(3, 4);
  const wild = tensor(Int32Array.of(99, -99, 2147483647, -2147483648), [4]);
  const [actual] = await runLowering(gpu, lowering("Gather"), {
    op: "Gather",
    inputs: [x, wild],
    runTime: [0, 1],
  });
  const [expected] = evaluateOp("Gather", [x, ints([2, 0, 2, 0])]);
  assert.equal([...numbersOf(actual!)], [...numbersOf(expected!)]);
});

gpuTest(movement, "Dropout at inference keeps everything and says so", async (gpu) => {
  const emitted: Dispatch[] = [];
  const x = floats(2, 3);
  const mask = tensor(Uint8Array.of(0, 0, 0, 0, 0, 0), [2, 3], "bool");
  const view = (name: string, t: HostTensor): View =>
    viewOf({ kind: "value", name }, wordOf(t.dtype), t.shape, rowsLayout);
  lowering("Dropout").lower({
    node: { name: "d", op: "Dropout", inputs: ["x"], outputs: ["y", "mask"], attributes: new Map() },
    inputs: [view("x", x)],
    outputs: [view("y", x), view("mask", mask)],
    activation: noActivation,
    constant: () => undefined,
    upload: () => ({ kind: "constant", id: 0 }),
    scratch: () => ({ kind: "scratch", id: 0 }),
    emit: (d) => emitted.push(d),
  });
  const after = await runDispatches(
    gpu,
    emitted,
    new Map([
      ["value x", laidOut(x, rowsLayout)],
      ["value y", new Uint32Array(6)],
      ["value mask", new Uint32Array(6)],
    ]),
  );
  assert.equal(gathered(after.get("value y")!, "f32", [2, 3], rowsLayout), x);
  assert.equal([...after.get("value mask")!], [1, 1, 1, 1, 1, 1]);
});

const layoutChanges: readonly Shape[] = [
  [8, 3, 6, 4],
  [8, 16, 8, 8],
  [32, 3, 32, 32],
  [3, 5, 7, 6],
  [1, 16, 9, 12],
  [33, 40],
  [20, 64],
  [4, 2, 3, 4, 5],
];

for (const shape of layoutChanges) {
  gpuTest(movement, `rows to columns and back: ${showShape(shape)}, by every variant`, async (gpu) => {
    const x = floats(...shape);
    let ran = 0;
    for (const halo of [
      [0, 0],
      [1, 2],
    ] as const) {
      const columns = laidBy("columns", shape, halo);
      const planar = laidBy("planar", shape, halo);
      for (const [before, after] of [
        [rowsLayout, columns],
        [columns, rowsLayout],
        [columns, laidBy("columns", shape, [2, 1])],
        [rowsLayout, planar],
        [planar, rowsLayout],
        [planar, columns],
      ] as const) {
        const from = viewOf({ kind: "value", name: "x" }, "f32", shape, before);
        const to = viewOf({ kind: "value", name: "y" }, "f32", shape, after);
        const loops = simplifyLoops(loopsOf(shape, from.strides, to.strides));
        const chosen: Dispatch[] = [];
        copyView((d) => chosen.push(d), from, to);
        const all = copyVariants.filter((v) => v.applicable({ from, to, loops }));
        for (const dispatches of [chosen, ...all.map((v) => [v.dispatch({ from, to, loops })])]) {
          const contents = new Map([
            ["value x", laidOut(x, before)],
            ["value y", laidOut(x, after).fill(SENTINEL)],
          ]);
          const words = (await runDispatches(gpu, dispatches, contents)).get("value y")!;
          assert.equal(gathered(words, "f32", shape, after), x, dispatches.map((d) => d.kernel).join());
          ran++;
        }
      }
    }
    assert.ok(ran >= 12, `only ${ran} copies ran`);
  });
}

movement("every copy variant applies to some layout change", () => {
  const used = new Set<string>();
  for (const shape of layoutChanges) {
    for (const layouts of [
      [rowsLayout, laidBy("columns", shape, [1, 1])],
      [rowsLayout, rowsLayout],
    ] as const) {
      const [from, to] = layouts.map((l) => viewOf({ kind: "value", name: "x" }, "f32", shape, l)) as [
        View,
        View,
      ];
      const loops = simplifyLoops(loopsOf(shape, from.strides, to.strides));
      for (const v of copyVariants) if (v.applicable({ from, to, loops })) used.add(v.name);
    }
  }
  assert.equal([...used].sort(), copyVariants.map((v) => v.name).sort());
});

movement("common parts of shapes", () => {
  assert.equal(commonParts([6, 4], [2, 12]), [2, 3, 4]);
  assert.equal(commonParts([2, 1, 3], [6, 1]), [2, 3]);
  assert.equal(commonParts([2, 3], [3, 2]), undefined);
  assert.equal(commonParts([1, 1], []), []);
});

gpuTest(movement, "reshape between strided views of unrelated shapes", async (gpu) => {
  const x = floats(4, 6, 5);
  const shape = [6, 5, 4];
  const [before, after] = [laidBy("columns", x.shape, [1, 0]), laidBy("columns", shape, [0, 2])];
  const emitted: Dispatch[] = [];
  copyReshaped(
    (d) => emitted.push(d),
    viewOf({ kind: "value", name: "x" }, "f32", x.shape, before),
    viewOf({ kind: "value", name: "y" }, "f32", shape, after),
  );
  const contents = new Map([
    ["value x", laidOut(x, before)],
    ["value y", laidOut({ ...x, shape }, after).fill(SENTINEL)],
  ]);
  const words = (await runDispatches(gpu, emitted, contents)).get("value y")!;
  assert.equal(
    emitted.map((d) => d.kernel),
    ["layout/reshape"],
  );
  assert.equal(gathered(words, "f32", shape, after).data, x.data);
});

gpuTest(movement, "more elements than one row of the grid takes", async (gpu) => {
  const [rows, columns] = [2050, 2051];
  const size = rows * columns;
  const x = Float32Array.from({ length: size }, (_, i) => i);
  const from = viewOf({ kind: "value", name: "x" }, "f32", [rows, columns], rowsLayout);
  const to = viewOf({ kind: "value", name: "y" }, "f32", [columns, rows], rowsLayout);
  const across = { ...from, shape: to.shape, strides: [1, columns] };
  const loops = simplifyLoops(loopsOf(to.shape, across.strides, to.strides));
  for (const variant of copyVariants.filter((v) => v.applicable({ from, to, loops }))) {
    const contents = new Map([
      ["value x", new Uint32Array(x.buffer)],
      ["value y", new Uint32Array(size)],
    ]);
    const after = await runDispatches(gpu, [variant.dispatch({ from, to, loops })], contents);
    const y = new Float32Array(after.get("value y")!.buffer);
    let wrong = 0;
    for (let i = 0; i < size; i++) if (y[i] !== (i % rows) * columns + Math.floor(i / rows)) wrong++;
    assert.is(wrong, 0, variant.name);
  }
  const emitted: Dispatch[] = [];
  fillView((d) => emitted.push(d), to, 2.5);
  const filled = await runDispatches(gpu, emitted, new Map([["value y", new Uint32Array(size)]]));
  assert.ok(new Float32Array(filled.get("value y")!.buffer).every((v) => v === 2.5));
});

movement.run();
