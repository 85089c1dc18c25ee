import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Graph } from "../../src/graph/graph.ts";
import { buildNet } from "../../src/nets/build-net.ts";
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

/** The four lines of a BatchNormalization's operands. */
const norm = (name: string, channels: string): string =>
  ["weight", "bias", "running_mean", "running_var"]
    .map((part) => `      param ${name}.${part} axis 0 [${channels}]`)
    .join("\n");

const last = (
  set: number,
  classes = "0-2",
  layer = "fc",
): string => `    set ${set}: 3 channels, kept whole: graph output "${layer}"
      out   ${layer}.weight axis 0 [${classes}]
      param ${layer}.bias axis 0 [${classes}]`;

/** Everything that is printed, worked out by hand from the nets' definitions. */
const printed: readonly (readonly [string, () => Graph, string])[] = [
  [
    "shortcut A: the inner four channels span both widths, the zero-padded ones only the wide one",
    shortcutNet,
    `
    set 1: 4 channels
      out   conv0.weight axis 0 [0-3]
${norm("bn0", "0-3")}
      out   conv1.weight axis 0 [2-5]
      in    conv1.weight axis 1 [0-3]
${norm("bn1", "2-5")}
      in    fc.weight axis 1 [2-5]
    set 2: 4 channels
      out   conv1.weight axis 0 [0-1, 6-7]
${norm("bn1", "0-1, 6-7")}
      in    fc.weight axis 1 [0-1, 6-7]
      sets  pad input 1
${last(3)}`,
  ],
  [
    "concat: each branch at its place in the reader",
    concatNet,
    `
    set 1: 3 channels
      out   convA.weight axis 0 [0-2]
      param convA.bias axis 0 [0-2]
      in    convC.weight axis 1 [0-2]
    set 2: 5 channels
      out   convB.weight axis 0 [0-4]
      param convB.bias axis 0 [0-4]
      in    convC.weight axis 1 [3-7]
    set 3: 4 channels
      out   convC.weight axis 0 [0-3]
      param convC.bias axis 0 [0-3]
      in    fc.weight axis 1 [0-3]
${last(4)}`,
  ],
  [
    "split: the parts go separate ways, and what they make meets in the Add",
    splitNet,
    `
    set 1: 2 channels
      out   conv0.weight axis 0 [0-1]
      param conv0.bias axis 0 [0-1]
      in    convA.weight axis 1 [0-1]
      sets  split input 1
    set 2: 4 channels
      out   conv0.weight axis 0 [2-5]
      param conv0.bias axis 0 [2-5]
      in    convB.weight axis 1 [0-3]
      sets  split input 1
    set 3: 3 channels
      out   convA.weight axis 0 [0-2]
      param convA.bias axis 0 [0-2]
      out   convB.weight axis 0 [0-2]
      param convB.bias axis 0 [0-2]
      in    fc.weight axis 1 [0-2]
${last(4)}`,
  ],
  [
    "depthwise: expansion, depthwise filter and projection share channels",
    depthwiseNet,
    `
    set 1: 6 channels
      out   expand.weight axis 0 [0-5]
${norm("bn0", "0-5")}
      out   depth.weight axis 0 [0-5]
${norm("bn1", "0-5")}
      in    project.weight axis 1 [0-5]
      sets  depth group
    set 2: 4 channels
      out   project.weight axis 0 [0-3]
${norm("bn2", "0-3")}
      in    fc.weight axis 1 [0-3]
${last(3)}`,
  ],
  [
    "grouped: the k-th channels of both groups are one",
    groupedNet,
    `
    set 1: 4 channels
      out   conv0.weight axis 0 [0-7] (2 per channel)
      param conv0.bias axis 0 [0-7] (2 per channel)
      in    group.weight axis 1 [0-3]
    set 2: 6 channels
      out   group.weight axis 0 [0-11] (2 per channel)
      param group.bias axis 0 [0-11] (2 per channel)
      in    conv1.weight axis 1 [0-11] (2 per channel)
    set 3: 5 channels
      out   conv1.weight axis 0 [0-4]
      param conv1.bias axis 0 [0-4]
      in    fc.weight axis 1 [0-4]
${last(4)}`,
  ],
  [
    "flatten: a channel of [C, 2, 2] is four columns; a MatMul's filters are on axis 1, its bias an Add",
    flattenNet,
    `
    set 1: 3 channels
      out   conv0.weight axis 0 [0-2]
      param conv0.bias axis 0 [0-2]
      in    fc1.weight axis 1 [0-11] (4 per channel)
    set 2: 7 channels
      out   fc1.weight axis 0 [0-6]
      param fc1.bias axis 0 [0-6]
      in    fc2.weight axis 0 [0-6]
    set 3: 5 channels
      out   fc2.weight axis 1 [0-4]
      param fc2.bias axis 0 [0-4]
      in    fc3.weight axis 1 [0-4]
${last(4, "0-2", "fc3")}`,
  ],
];
for (const [name, build, expected] of printed) {
  test(`printed, ${name}`, () => assert.is(describeGroups(build()), text(expected)));
}

test("DenseNet-40: a layer's channels are read by all layers behind it in the block, each at the same place", () => {
  const sets = coupledSets(buildNet("densenet40", { init: "zeros" }));
  // Stem, 36 layers, two transitions, the classes: nothing is added, so nothing is coupled to another layer's filters.
  assert.is(sets.length, 1 + 36 + 2 + 1);
  const first = sets.find((s) => s.members[0]!.weight === "dense1.0.conv1.weight")!;
  const readers = first.members.filter((m) => m.role === "in");
  assert.equal(
    readers.map((m) => m.weight),
    [...Array.from({ length: 11 }, (_, i) => `dense1.${i + 1}.conv1.weight`), "trans1.conv1.weight"],
  );
  for (const m of readers)
    assert.equal(
      m.indices,
      Array.from({ length: 12 }, (_, i) => 24 + i),
    );
  assert.is(first.members.filter((m) => m.role === "param").length, 12 * 4);
});

test("GoogLeNet: four branches at their places in everything that reads the module, pools included", () => {
  const sets = coupledSets(buildNet("googlenet", { init: "zeros" }));
  assert.is(sets.filter((s) => s.members.filter((m) => m.role === "out").length > 1).length, 0);
  const third = sets.find((s) => s.members[0]!.weight === "a3.b3.6.weight")!;
  // Behind 64 of the first branch and 128 of the second; b4 of the next module reads through its pool.
  assert.equal(
    third.members.filter((m) => m.role === "in").map((m) => [m.weight, m.indices[0], m.indices.length]),
    ["b3.b1.0", "b3.b2.0", "b3.b3.0", "b3.b4.1"].map((layer) => [`${layer}.weight`, 192, 32]),
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
