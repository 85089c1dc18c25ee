import type { Attribute } from "../../src/graph/graph.ts";
import { scalar, tensor } from "../../src/tensor/host-tensor.ts";
import type { Shape } from "../../src/tensor/shape.ts";
import { type GradientCase, operands } from "./gradient-check.ts";

const v = operands(23);

type Attributes = Readonly<Record<string, Attribute>>;
type List = readonly number[] | undefined;

/** An op on x and lists of whole numbers; undefined leaves a list out. */
const moved = (
  op: string,
  shape: Shape,
  lists: readonly List[],
  attributes: Attributes = {},
): GradientCase => ({
  op,
  name: [`[${shape}]`, ...lists.map((l) => `[${l ?? ""}]`), ...Object.values(attributes)].join(" "),
  inputs: { x: v.between(-2, 2, shape) },
  build: (g) => g.node(op, ["x", ...lists.map((l) => (l ? g.constant(l) : ""))], attributes),
});

const reshapes: readonly GradientCase[] = [
  moved("Reshape", [3, 5, 7], [[7, -1]]),
  moved("Reshape", [3, 5, 7], [[0, 35]]),
  moved("Reshape", [3, 5], [[3, 5]]),
  moved("Flatten", [3, 5, 7], [], { axis: 2 }),
  moved("Flatten", [3, 5, 7], [], { axis: -1 }),
  moved("Squeeze", [1, 5, 1, 7], [[-2]]),
  moved("Squeeze", [1, 5, 1, 7], []),
  moved("Unsqueeze", [5, 7], [[0, -1]]),
  moved("Transpose", [3, 5, 7, 2], [], { perm: [2, 0, 3, 1] }),
  moved("Transpose", [3, 5, 7], []),
  moved("DepthToSpace", [2, 18, 3, 5], [], { blocksize: 3 }),
  moved("DepthToSpace", [2, 18, 3, 5], [], { blocksize: 3, mode: "CRD" }),
  moved("SpaceToDepth", [2, 3, 6, 4], [], { blocksize: 2 }),
];

const repeats: readonly GradientCase[] = [
  moved("Expand", [5, 1], [[3, 5, 7]]),
  moved("Expand", [3, 5], [[1, 1]]),
  moved("Expand", [], [[3, 5]]),
  moved("Tile", [3, 5, 7], [[2, 1, 3]]),
  moved("Tile", [3, 2, 2, 2, 2, 1, 1, 2], [[2, 2, 1, 2, 1, 3, 1, 2]]),
  moved("Tile", [3, 5], [[1, 1]]),
];

/** starts, ends, axes, steps. */
const slices: readonly (readonly List[])[] = [
  [
    [1, -5],
    [3, -1],
    [0, 2],
  ],
  [
    [0, 0, 1],
    [3, 9, 2],
  ],
  [
    [6, 1],
    [-9, 5],
    [-1, 1],
    [-2, 3],
  ],
  [[-1], [-99], [1], [-1]],
  [[0], [7], [2], [3]],
];

const pads: readonly GradientCase[] = [
  moved("Pad", [3, 5, 7], [[0, 2, 1, 3, 0, 4]]),
  moved("Pad", [3, 5, 7], [[0, -2, 1, 1, 1, -3]]),
  moved("Pad", [3, 5, 7], [[2, -1, 1, 2], undefined, [-1, 0]]),
  ...["edge", "reflect", "wrap"].flatMap((mode) => [
    moved("Pad", [3, 5, 7], [[0, 2, 1, 1, 0, 4]], { mode }),
    moved("Pad", [3, 5, 7], [[0, -2, 1, 1, 1, -3]], { mode }),
  ]),
  {
    op: "Pad",
    name: "with a value",
    inputs: { x: v.between(-2, 2, [3, 5]) },
    build: (g) => g.node("Pad", ["x", g.constant([1, 0, 2, 1]), g.constant(scalar(3))]),
  },
];

const joins: readonly GradientCase[] = [
  ...[1, -2].map((axis) => ({
    op: "Concat",
    name: `axis ${axis}`,
    inputs: {
      a: v.between(-2, 2, [3, 5, 7]),
      b: v.between(-2, 2, [3, 1, 7]),
      c: v.between(-2, 2, [3, 2, 7]),
    },
    build: (g: Parameters<GradientCase["build"]>[0]) => g.node("Concat", ["a", "b", "c", "a"], { axis }),
  })),
  ...[["a", "b", "c"], ["b"], ["a", "c"], ["c"]].map((used) => ({
    op: "Split",
    name: `parts ${used}`,
    inputs: { x: v.between(-2, 2, [3, 9, 2]) },
    build(g: Parameters<GradientCase["build"]>[0]) {
      g.node("Split", ["x", g.constant([2, 3, 4])], { axis: -2 }, { outputs: ["a", "b", "c"] });
      return used;
    },
  })),
  {
    op: "Split",
    name: "the last part smaller",
    inputs: { x: v.between(-2, 2, [7, 3]) },
    build(g) {
      g.node("Split", ["x"], { num_outputs: 3 }, { outputs: ["a", "b", "c"] });
      return ["a", "b", "c"];
    },
  },
];

const gathered = (indices: ReturnType<typeof tensor>, axis: number): GradientCase => ({
  op: "Gather",
  name: `axis ${axis}, indices ${indices.dtype} [${indices.shape}]`,
  inputs: { x: v.between(-2, 2, [3, 5, 7]), indices },
  build: (g) => g.node("Gather", ["x", "indices"], { axis }),
});

const gathers: readonly GradientCase[] = [
  gathered(tensor([0, 2, 2, -1, -3, 1], [2, 3], "i64"), 0),
  gathered(tensor([4, 0, -5, 4], [4], "i32"), 1),
  gathered(tensor([-2], [], "i64"), -1),
];

const resized = (scales: readonly number[], attributes: Attributes): GradientCase => ({
  op: "Resize",
  name: `[${scales}] ${Object.values(attributes)}`,
  inputs: { x: v.between(-2, 2, [2, 3, 5, 4]) },
  build: (g) => g.node("Resize", ["x", "", g.constant(tensor(scales, [4]))], attributes),
});

const resizes: readonly GradientCase[] = [
  resized([1, 1, 2, 2], { mode: "nearest" }),
  resized([1, 1, 1.7, 0.6], { mode: "nearest", coordinate_transformation_mode: "asymmetric" }),
  resized([1, 1, 2, 3], { mode: "linear" }),
  resized([1, 1.4, 0.5, 2.5], { mode: "linear", coordinate_transformation_mode: "align_corners" }),
  {
    op: "Resize",
    name: "a region that reaches outside",
    inputs: { x: v.between(-2, 2, [1, 2, 5, 4]) },
    build(g) {
      const roi = tensor([0, 0, 0.2, -0.2, 1, 1, 1.3, 0.9], [8]);
      return g.node("Resize", ["x", g.constant(roi), "", g.constant([1, 2, 6, 7])], {
        mode: "linear",
        coordinate_transformation_mode: "tf_crop_and_resize",
        extrapolation_value: 2,
      });
    },
  },
];

/** Ops that move data, and Resize, which mixes neighbours on the way. */
export const movementCases: readonly GradientCase[] = [
  ...reshapes,
  ...repeats,
  ...slices.map((lists) => moved("Slice", [3, 5, 7], lists)),
  ...pads,
  ...joins,
  ...gathers,
  ...resizes,
];
