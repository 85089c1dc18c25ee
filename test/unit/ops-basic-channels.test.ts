import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type HostTensor, tensor } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import { type ChannelCase, runChannels } from "../support/channel-case.ts";

const test = suite("ops-basic-channels");

const random = seeded(11);
const filled = (...shape: number[]): HostTensor => {
  const size = shape.reduce((a, b) => a * b, 1);
  return tensor(
    Float32Array.from({ length: size }, () => random.normal()),
    shape,
  );
};
const ints = (...values: number[]): HostTensor => tensor(values, [values.length], "i64");
const x = filled(2, 6, 3, 3);

// Removing channels before the op, with the rewritten constants, must give what removing them after it gives.
const followed: Record<string, ChannelCase> = {
  relu: { op: "Relu", inputs: [x], roles: [1] },
  "add of two activations": { op: "Add", inputs: [x, filled(2, 6, 3, 3)], roles: [1, 1] },
  "add of a bias": { op: "Add", inputs: [x, filled(6, 1, 1)], roles: [1, "weight"] },
  "mul by one value per image": { op: "Mul", inputs: [x, filled(2, 1, 1, 1)], roles: [1, undefined] },
  prelu: { op: "PRelu", inputs: [x, filled(6, 1, 1)], roles: [1, "weight"] },
  clip: { op: "Clip", inputs: [x, tensor([-1], []), tensor([1], [])], roles: [1, "weight", "weight"] },
  where: {
    op: "Where",
    inputs: [tensor(new Uint8Array(6).fill(1), [6, 1, 1], "bool"), x, filled(2, 6, 3, 3)],
    roles: ["weight", 1, 1],
  },
  flatten: { op: "Flatten", inputs: [x], roles: [1], attributes: { axis: 1 } },
  "flatten to rows": { op: "Flatten", inputs: [x], roles: [1], attributes: { axis: 2 } },
  "reshape, literal": { op: "Reshape", inputs: [x, ints(2, 54)], roles: [1, "weight"] },
  "reshape, inferred": { op: "Reshape", inputs: [x, ints(0, -1)], roles: [1, "weight"] },
  "reshape, copied": { op: "Reshape", inputs: [x, ints(0, 0, 9)], roles: [1, "weight"] },
  "reshape with a unit axis": { op: "Reshape", inputs: [x, ints(2, 1, 6, 9)], roles: [1, "weight"] },
  "reshape, batch inferred": { op: "Reshape", inputs: [x, ints(-1, 6, 9)], roles: [1, "weight"] },
  transpose: { op: "Transpose", inputs: [x], roles: [1], attributes: { perm: [0, 2, 3, 1] } },
  "concat of channels": {
    op: "Concat",
    inputs: [x, filled(2, 4, 3, 3)],
    roles: [1, 1],
    attributes: { axis: 1 },
  },
  "concat with a constant": {
    op: "Concat",
    inputs: [x, filled(2, 2, 3, 3)],
    roles: [1, "weight"],
    attributes: { axis: -3 },
  },
  "concat along another axis": {
    op: "Concat",
    inputs: [x, filled(2, 6, 3, 1), filled(2, 6, 3, 2)],
    roles: [1, 1, "weight"],
    attributes: { axis: 3 },
  },
  "split by sizes": {
    op: "Split",
    inputs: [x, ints(1, 3, 2)],
    roles: [1, "weight"],
    attributes: { axis: 1 },
    outputs: 3,
  },
  "split in halves": {
    op: "Split",
    inputs: [x],
    roles: [1],
    attributes: { axis: 1, num_outputs: 2 },
    outputs: 2,
  },
  "split elsewhere": {
    op: "Split",
    inputs: [x],
    roles: [1],
    attributes: { axis: 3, num_outputs: 2 },
    outputs: 2,
  },
  "slice of pixels": {
    op: "Slice",
    inputs: [x, ints(0, 0), ints(99, 99), ints(2, 3), ints(2, 2)],
    roles: [1, "weight", "weight", "weight", "weight"],
  },
  "slice of channels": {
    op: "Slice",
    inputs: [x, ints(2), ints(-1), ints(1)],
    roles: [1, "weight", "weight", "weight"],
  },
  "pad with zero channels": {
    op: "Pad",
    inputs: [x, ints(2, 3), undefined, ints(1)],
    roles: [1, "weight", undefined, "weight"],
  },
  "pad of all axes": { op: "Pad", inputs: [x, ints(0, 2, 1, 0, 0, 1, 0, 1)], roles: [1, "weight"] },
  "pad of pixels": {
    op: "Pad",
    inputs: [x, ints(1, 1, 2, 2), undefined, ints(2, 3)],
    roles: [1, "weight", undefined, "weight"],
    attributes: { mode: "reflect" },
  },
  squeeze: { op: "Squeeze", inputs: [filled(1, 6, 1, 3), ints(0, 2)], roles: [1, "weight"] },
  unsqueeze: { op: "Unsqueeze", inputs: [x, ints(0, 3)], roles: [1, "weight"] },
  "mean over pixels": { op: "ReduceMean", inputs: [x, ints(2, 3)], roles: [1, "weight"] },
  "sum over images": {
    op: "ReduceSum",
    inputs: [x, ints(0)],
    roles: [1, "weight"],
    attributes: { keepdims: 0 },
  },
};
for (const [name, given] of Object.entries(followed)) {
  test(`removal commutes: ${name}`, () => {
    const result = runChannels(given);
    assert.ok(
      result.flows.every((f) => f !== undefined),
      "followed",
    );
    const draws = seeded(5);
    const sizes = new Set<number>();
    for (let round = 0; round < 20; round++) {
      for (const [expected, got] of result.remove(draws)) {
        assert.equal(got, expected);
        sizes.add(got.data.length);
      }
    }
    assert.ok(sizes.size > 1, "something was removed");
  });
}

const stuck: Record<string, ChannelCase> = {
  "reshape that splits channels": { op: "Reshape", inputs: [x, ints(2, 2, 3, 9)], roles: [1, "weight"] },
  "reshape that mixes pixels and channels": {
    op: "Reshape",
    inputs: [x, ints(2, 9, 6)],
    roles: [1, "weight"],
  },
  "sum over channels": { op: "ReduceSum", inputs: [x, ints(1)], roles: [1, "weight"] },
  "sum over everything": { op: "ReduceSum", inputs: [x], roles: [1] },
  "pad of channels with ones": {
    op: "Pad",
    inputs: [x, ints(1, 1), tensor([1], []), ints(1)],
    roles: [1, "weight", "weight", "weight"],
  },
  "channels cropped": {
    op: "Pad",
    inputs: [x, ints(-1, 0), undefined, ints(1)],
    roles: [1, "weight", undefined, "weight"],
  },
  "every second channel": {
    op: "Slice",
    inputs: [x, ints(0), ints(6), ints(1), ints(2)],
    roles: [1, "weight", "weight", "weight", "weight"],
  },
  "channel axis squeezed": { op: "Squeeze", inputs: [filled(2, 1, 3, 3), ints(1)], roles: [1, "weight"] },
  "whatever is 1 squeezed": { op: "Squeeze", inputs: [filled(2, 6, 1, 1)], roles: [1] },
  "channels that meet another axis": { op: "Add", inputs: [x, filled(2, 6, 3, 3)], roles: [1, 2] },
  "channels that meet an unknown value": {
    op: "Add",
    inputs: [x, filled(2, 6, 3, 3)],
    roles: [1, undefined],
  },
  "uneven split": {
    op: "Split",
    inputs: [x],
    roles: [1],
    attributes: { axis: 1, num_outputs: 4 },
    outputs: 4,
  },
};
for (const [name, given] of Object.entries(stuck)) {
  test(`freezes: ${name}`, () => {
    const { flows, frozen, inputIds } = runChannels(given);
    assert.ok(flows.every((f) => f === undefined));
    for (const ids of inputIds) for (const id of ids ?? []) assert.ok(frozen.has(id));
  });
}

test("channels of a constant in a Concat are frozen, the others are not", () => {
  const { flows, frozen, inputIds } = runChannels(followed["concat with a constant"]!);
  assert.is(flows[0]!.ids.length, 8);
  assert.equal(flows[0]!.ids.slice(0, 6), inputIds[0]);
  assert.equal([...frozen], flows[0]!.ids.slice(6));
});

test("zero channels in front and behind are channels of their own", () => {
  const { flows, inputIds } = runChannels(followed["pad with zero channels"]!);
  assert.equal(flows[0]!.ids.slice(2, 8), inputIds[0]);
  assert.is(new Set(flows[0]!.ids).size, 11);
});

test("a flattened channel repeats over its pixels", () => {
  const { flows, inputIds } = runChannels(followed["flatten"]!);
  assert.equal(
    flows[0]!.ids,
    inputIds[0]!.flatMap((id) => new Array<number>(9).fill(id)),
  );
});

test.run();
