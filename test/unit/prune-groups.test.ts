import { suite } from "uvu";
import * as assert from "uvu/assert";
import { coupledSets, describeGroups } from "../../src/prune/groups.ts";
import {
  concatNet,
  depthwiseNet,
  flattenNet,
  groupedNet,
  layers,
  residualNet,
  shortcutNet,
  splitNet,
  viewNet,
} from "../support/prune-graphs.ts";

const test = suite("prune groups");
const text = (lines: string): string => lines.replace(/^\n/, "").replace(/^ {4}/gm, "").trimEnd();

test("residual: what meets in the Add lives and dies together", () => {
  assert.is(
    describeGroups(residualNet()),
    text(`
    set 1: 4 channels
      out   conv0.weight axis 0 [0-3]
      param bn0.weight axis 0 [0-3]
      param bn0.bias axis 0 [0-3]
      param bn0.running_mean axis 0 [0-3]
      param bn0.running_var axis 0 [0-3]
      in    conv1.weight axis 1 [0-3]
      out   conv2.weight axis 0 [0-3]
      param bn2.weight axis 0 [0-3]
      param bn2.bias axis 0 [0-3]
      param bn2.running_mean axis 0 [0-3]
      param bn2.running_var axis 0 [0-3]
      in    fc.weight axis 1 [0-3]
    set 2: 6 channels
      out   conv1.weight axis 0 [0-5]
      param bn1.weight axis 0 [0-5]
      param bn1.bias axis 0 [0-5]
      param bn1.running_mean axis 0 [0-5]
      param bn1.running_var axis 0 [0-5]
      in    conv2.weight axis 1 [0-5]
    set 3: 3 channels, kept whole: graph output "fc"
      out   fc.weight axis 0 [0-2]
      param fc.bias axis 0 [0-2]`),
  );
});

test("shortcut A: the four inner channels span both widths, the zero-padded ones only the wide one", () => {
  const sets = coupledSets(shortcutNet()).map((s) => ({
    channels: s.channels,
    out: s.members.filter((m) => m.role === "out").map((m) => [m.weight, ...m.indices]),
    rewrites: s.rewrites,
  }));
  assert.equal(sets, [
    {
      channels: 4,
      out: [
        ["conv0.weight", 0, 1, 2, 3],
        ["conv1.weight", 2, 3, 4, 5],
      ],
      rewrites: [],
    },
    {
      channels: 4,
      out: [["conv1.weight", 0, 1, 6, 7]],
      rewrites: [{ node: "pad", what: "input 1" }],
    },
    { channels: 3, out: [["fc.weight", 0, 1, 2]], rewrites: [] },
  ]);
});

test("concat: each branch is a set, at its place in the reader", () => {
  const [a, b] = coupledSets(concatNet());
  assert.equal(a!.members.at(-1)!.indices, [0, 1, 2]);
  assert.equal(b!.members.at(-1)!.indices, [3, 4, 5, 6, 7]);
  assert.is(b!.members.at(-1)!.weight, "convC.weight");
});

test("split: each part is a set of its own and its size is rewritten", () => {
  const [left, right] = coupledSets(splitNet());
  assert.equal(
    left!.members.map((m) => [m.role, m.weight, m.indices.length]),
    [
      ["out", "conv0.weight", 2],
      ["param", "conv0.bias", 2],
      ["in", "convA.weight", 2],
    ],
  );
  assert.equal(right!.members[0]!.indices, [2, 3, 4, 5]);
  assert.equal(left!.rewrites, [{ node: "split", what: "input 1" }]);
});

test("depthwise: expansion, depthwise filter and projection share channels, and the group count shrinks", () => {
  const [expand] = coupledSets(depthwiseNet());
  assert.equal(
    expand!.members.filter((m) => m.role !== "param").map((m) => `${m.role} ${m.weight} ${m.axis}`),
    ["out expand.weight 0", "out depth.weight 0", "in project.weight 1"],
  );
  assert.equal(expand!.rewrites, [{ node: "depth", what: "group" }]);
});

test("grouped: the k-th channels of all groups are one", () => {
  const [reads, makes] = coupledSets(groupedNet());
  assert.is(reads!.channels, 4);
  assert.equal(
    reads!.members.map((m) => [m.weight, m.axis, m.perChannel]),
    [
      ["conv0.weight", 0, 2],
      ["conv0.bias", 0, 2],
      ["group.weight", 1, 1],
    ],
  );
  assert.is(makes!.channels, 6);
  assert.is(makes!.members[0]!.perChannel, 2);
});

test("flatten: a channel of [C, 2, 2] reads four columns; MatMul keeps its outputs on axis 1", () => {
  const [conv, fc1, fc2] = coupledSets(flattenNet());
  const read = conv!.members.find((m) => m.role === "in")!;
  assert.equal([read.weight, read.axis, read.perChannel, read.indices.length], ["fc1.weight", 1, 4, 12]);
  assert.equal(
    fc1!.members.map((m) => `${m.role} ${m.weight} ${m.axis}`),
    ["out fc1.weight 0", "param fc1.bias 0", "in fc2.weight 0"],
  );
  assert.equal(
    fc2!.members.map((m) => `${m.role} ${m.weight} ${m.axis}`),
    ["out fc2.weight 1", "param fc2.bias 0", "in fc3.weight 1"],
  );
});

test("a weight that two nodes read is sliced once; an axis that only one of them follows stays whole", () => {
  const l = layers("shared");
  const x = l.b.input("image", [null, 4, 3, 3]);
  const a = l.relu("relu0", l.conv("conv0", x, [4, 4, 1, 1]));
  const b = l.b.node("Conv", [a, "conv0.weight"], {}, { name: "again" });
  l.head(b, 4);
  const frozen = coupledSets(l.b.build()).map((s) => s.frozen);
  assert.ok(frozen[0]?.includes("also read elsewhere"), String(frozen[0]));
});

test("a shape computed from the batch size holds no channels; one computed from their number holds them", () => {
  assert.is(coupledSets(viewNet())[0]!.frozen, undefined);
  const held = coupledSets(viewNet(true))[0]!.frozen;
  assert.ok(held?.includes('Reshape "view"'), String(held));
});

test.run();
