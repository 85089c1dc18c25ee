import { type GraphBuilder, graphBuilder } from "../../src/graph/builder.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { allocate } from "../../src/tensor/dtype.ts";
import { type HostTensor, scalar, setNumber } from "../../src/tensor/host-tensor.ts";
import { type Random, seeded } from "../../src/tensor/random.ts";
import { sizeOf } from "../../src/tensor/shape.ts";

/** Normally distributed values, scaled. */
export function noise(shape: readonly number[], random: Random, scale = 1): HostTensor {
  const data = allocate("f32", sizeOf(shape));
  for (let i = 0; i < data.length; i++) setNumber(data, i, random.normal() * scale);
  return { dtype: "f32", shape, data };
}

/** Positive values around 1. */
export function around1(shape: readonly number[], random: Random): HostTensor {
  const data = allocate("f32", sizeOf(shape));
  for (let i = 0; i < data.length; i++) setNumber(data, i, 0.5 + random.uniform());
  return { dtype: "f32", shape, data };
}

/** Layers of hand-made test nets; every weight is seeded noise. */
export interface Layers {
  readonly b: GraphBuilder;
  readonly random: Random;
  conv(
    name: string,
    x: string,
    shape: readonly number[],
    attributes?: Record<string, number | number[]>,
    bias?: boolean,
  ): string;
  bn(name: string, x: string, channels: number): string;
  relu(name: string, x: string): string;
  /** transB = 1, weight [out, in]. */
  linear(name: string, x: string, inputs: number, outputs: number): string;
  /** Global average, flatten, linear to `logits`. */
  head(x: string, channels: number, classes?: number): void;
}

export function layers(name: string, seed = 1): Layers {
  const b = graphBuilder(name);
  const random = seeded(seed);
  const self: Layers = {
    b,
    random,
    conv(node, x, shape, attributes = {}, bias = false) {
      const kernel = shape.slice(2);
      const operands = [x, b.weight(`${node}.weight`, noise(shape, random))];
      if (bias) operands.push(b.weight(`${node}.bias`, noise([shape[0]!], random)));
      const pads = [...kernel, ...kernel].map((k) => (k - 1) / 2);
      return b.node("Conv", operands, { pads, ...attributes }, { name: node });
    },
    bn(node, x, channels) {
      const operands = [
        b.weight(`${node}.weight`, noise([channels], random)),
        b.weight(`${node}.bias`, noise([channels], random)),
        b.weight(`${node}.running_mean`, noise([channels], random)),
        b.weight(`${node}.running_var`, around1([channels], random)),
      ];
      return b.node("BatchNormalization", [x, ...operands], { epsilon: 1e-5 }, { name: node });
    },
    relu: (node, x) => b.node("Relu", [x], {}, { name: node }),
    linear(node, x, inputs, outputs) {
      const operands = [
        x,
        b.weight(`${node}.weight`, noise([outputs, inputs], random)),
        b.weight(`${node}.bias`, noise([outputs], random)),
      ];
      return b.node("Gemm", operands, { transB: 1 }, { name: node });
    },
    head(x, channels, classes = 3) {
      const flat = b.node(
        "Flatten",
        [b.node("GlobalAveragePool", [x], {}, { name: "pool" })],
        {},
        { name: "flatten" },
      );
      b.output(self.linear("fc", flat, channels, classes), [null, classes]);
    },
  };
  return self;
}

/** Stem and one residual block. */
export function residualNet(): Graph {
  const l = layers("residual");
  const x = l.b.input("image", [null, 2, 5, 5]);
  const stem = l.relu("relu0", l.bn("bn0", l.conv("conv0", x, [4, 2, 3, 3]), 4));
  const a = l.relu("relu1", l.bn("bn1", l.conv("conv1", stem, [6, 4, 3, 3]), 6));
  const b = l.bn("bn2", l.conv("conv2", a, [4, 6, 3, 3]), 4);
  const sum = l.b.node("Add", [b, stem], {}, { name: "add" });
  l.head(l.relu("relu2", sum), 4);
  return l.b.build();
}

/** Shortcut A: 4 channels become 8, two zeros in front and two behind. */
export function shortcutNet(): Graph {
  const l = layers("shortcut");
  const x = l.b.input("image", [null, 2, 6, 6]);
  const stem = l.relu("relu0", l.bn("bn0", l.conv("conv0", x, [4, 2, 3, 3]), 4));
  const body = l.bn("bn1", l.conv("conv1", stem, [8, 4, 3, 3], { strides: [2, 2] }), 8);
  const bounds = [
    [0, 0],
    [99, 99],
    [2, 3],
    [2, 2],
  ].map((list, i) => l.b.constant(list, `slice.${i}`));
  const half = l.b.node("Slice", [stem, ...bounds], {}, { name: "slice" });
  const pads = l.b.constant([0, 2, 0, 0, 0, 2, 0, 0], "pads");
  const wide = l.b.node("Pad", [half, pads], {}, { name: "pad" });
  l.head(l.relu("relu1", l.b.node("Add", [body, wide], {}, { name: "add" })), 8);
  return l.b.build();
}

/** Two branches joined, then a convolution over both. */
export function concatNet(): Graph {
  const l = layers("concat");
  const x = l.b.input("image", [null, 2, 4, 4]);
  const a = l.relu("reluA", l.conv("convA", x, [3, 2, 3, 3], {}, true));
  const b = l.relu("reluB", l.conv("convB", x, [5, 2, 1, 1], {}, true));
  const both = l.b.node("Concat", [a, b], { axis: 1 }, { name: "concat" });
  l.head(l.relu("reluC", l.conv("convC", both, [4, 8, 3, 3], {}, true)), 4);
  return l.b.build();
}

/** One convolution split in two unequal parts that go separate ways. */
export function splitNet(): Graph {
  const l = layers("split");
  const x = l.b.input("image", [null, 2, 4, 4]);
  const stem = l.relu("relu0", l.conv("conv0", x, [6, 2, 3, 3], {}, true));
  const sizes = l.b.constant([2, 4], "sizes");
  l.b.node("Split", [stem, sizes], { axis: 1 }, { name: "split", outputs: ["left", "right"] });
  const a = l.conv("convA", "left", [3, 2, 3, 3], {}, true);
  const b = l.conv("convB", "right", [3, 4, 3, 3], {}, true);
  l.head(l.relu("relu1", l.b.node("Add", [a, b], {}, { name: "add" })), 3);
  return l.b.build();
}

/** Pointwise, depthwise, pointwise. */
export function depthwiseNet(): Graph {
  const l = layers("depthwise");
  const x = l.b.input("image", [null, 2, 5, 5]);
  const a = l.relu("relu0", l.bn("bn0", l.conv("expand", x, [6, 2, 1, 1]), 6));
  const d = l.relu("relu1", l.bn("bn1", l.conv("depth", a, [6, 1, 3, 3], { group: 6 }), 6));
  l.head(l.bn("bn2", l.conv("project", d, [4, 6, 1, 1]), 4), 4);
  return l.b.build();
}

/** A convolution in two groups between two full ones. */
export function groupedNet(): Graph {
  const l = layers("grouped");
  const x = l.b.input("image", [null, 2, 5, 5]);
  const a = l.relu("relu0", l.conv("conv0", x, [8, 2, 3, 3], {}, true));
  const g = l.relu("relu1", l.conv("group", a, [12, 4, 3, 3], { group: 2 }, true));
  l.head(l.conv("conv1", g, [5, 12, 1, 1], {}, true), 5);
  return l.b.build();
}

/** Convolution, pooling, flatten of [C, 2, 2] into a Gemm, a MatMul with its weight as [in, out], an Add as bias. */
export function flattenNet(): Graph {
  const l = layers("flatten");
  const x = l.b.input("image", [null, 1, 4, 4]);
  const a = l.relu("relu0", l.conv("conv0", x, [3, 1, 3, 3], {}, true));
  const pooled = l.b.node("MaxPool", [a], { kernel_shape: [2, 2], strides: [2, 2] }, { name: "maxpool" });
  const flat = l.b.node("Flatten", [pooled], {}, { name: "flatten" });
  const hidden = l.relu("relu1", l.linear("fc1", flat, 12, 7));
  const product = l.b.node(
    "MatMul",
    [hidden, l.b.weight("fc2.weight", noise([7, 5], l.random))],
    {},
    { name: "fc2" },
  );
  const sum = l.b.node(
    "Add",
    [product, l.b.weight("fc2.bias", noise([5], l.random))],
    {},
    { name: "fc2.add" },
  );
  l.b.output(l.linear("fc3", l.relu("relu2", sum), 5, 3), [null, 3]);
  return l.b.build();
}

/** As exporters write `x.view(x.size(0), -1)`: the target shape is computed from the batch size alone. */
export function viewNet(channelsToo = false): Graph {
  const l = layers("view");
  const x = l.b.input("image", [null, 1, 2, 2]);
  const a = l.relu("relu0", l.conv("conv0", x, [4, 1, 1, 1], {}, true));
  const dims = l.b.node("Shape", [a], {}, { name: "shape" });
  const size = (k: number): string => {
    const one = l.b.node("Gather", [dims, l.b.constant(scalar(k, "i64"))], { axis: 0 }, { name: `size${k}` });
    return l.b.node("Unsqueeze", [one, l.b.constant([0])], {}, { name: `list${k}` });
  };
  const target = channelsToo ? [size(0), size(1), l.b.constant([4])] : [size(0), l.b.constant([-1])];
  const shape = l.b.node("Concat", target, { axis: 0 }, { name: "target" });
  const flat = l.b.node("Reshape", [a, shape], {}, { name: "view" });
  if (!channelsToo) l.b.output(l.linear("fc", flat, 16, 3), [null, 3]);
  else {
    const mean = l.b.node("ReduceMean", [flat, l.b.constant([2])], { keepdims: 0 }, { name: "mean" });
    l.b.output(l.linear("fc", mean, 4, 3), [null, 3]);
  }
  return l.b.build();
}

export const handMade: readonly (readonly [string, () => Graph])[] = [
  ["residual", residualNet],
  ["shortcut A", shortcutNet],
  ["concat", concatNet],
  ["split", splitNet],
  ["depthwise", depthwiseNet],
  ["grouped", groupedNet],
  ["flatten", flattenNet],
  ["computed view", viewNet],
];
