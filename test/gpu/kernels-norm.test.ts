import { tensor } from "../../src/tensor/host-tensor.ts";
import { type KernelCase, kernelSuite, values } from "../support/kernel-cases.ts";

const v = values(14);
const near = { rel: 2e-5, abs: 2e-5 };

const layered = [
  [[3, 5, 7], -1],
  [[3, 5, 7], 1],
  [[2, 129], 1],
  [[2, 3, 4, 5], 0],
  [[1, 2, 600], 2],
] as const;

const cases: KernelCase[] = [
  ...layered.flatMap(([shape, axis]): KernelCase[] => {
    const inner = shape.slice(axis);
    const attributes = { axis };
    return [
      {
        op: "LayerNormalization",
        name: `${shape} from ${axis}`,
        attributes,
        inputs: [v.normal(shape), v.normal(inner), v.normal(inner)],
        tolerance: near,
      },
      {
        op: "LayerNormalization",
        name: `${shape} from ${axis}, statistics`,
        attributes,
        inputs: [v.normal(shape), v.normal(inner)],
        outputs: 3,
        tolerance: near,
      },
      {
        op: "RMSNormalization",
        name: `${shape} from ${axis}`,
        attributes: { axis, epsilon: 0.1 },
        inputs: [v.normal(shape), v.normal(inner)],
        tolerance: near,
      },
    ];
  }),
  ...[
    [2, 6, 5],
    [5, 6, 4, 3],
    [1, 6, 2, 3, 4],
  ].flatMap((shape): KernelCase[] => [
    { op: "InstanceNormalization", inputs: [v.normal(shape), v.normal([6]), v.normal([6])], tolerance: near },
    {
      op: "GroupNormalization",
      attributes: { num_groups: 3 },
      inputs: [v.normal(shape), v.normal([6]), v.normal([6])],
      tolerance: near,
    },
    {
      op: "BatchNormalization",
      inputs: [v.normal(shape), v.normal([6]), v.normal([6]), v.normal([6]), v.between(0.5, 2, [6])],
      tolerance: near,
    },
    {
      op: "BatchNormalization",
      name: `${shape} in training mode`,
      attributes: { training_mode: 1, momentum: 0.8 },
      inputs: [v.normal(shape), v.normal([6]), v.normal([6]), v.normal([6]), v.between(0.5, 2, [6])],
      outputs: 3,
      tolerance: near,
    },
    {
      op: "LRN",
      attributes: { size: 3, alpha: 0.2, beta: 0.6, bias: 1.5 },
      inputs: [v.normal(shape)],
      tolerance: near,
    },
    {
      op: "LRN",
      name: `${shape}, even size`,
      attributes: { size: 4 },
      inputs: [v.normal(shape)],
      tolerance: near,
    },
  ]),
  { op: "MeanVarianceNormalization", inputs: [v.normal([3, 4, 5, 6])], tolerance: near },
  {
    op: "MeanVarianceNormalization",
    name: "one axis",
    attributes: { axes: [1] },
    inputs: [v.normal([3, 7])],
    tolerance: near,
  },
  ...[1, 2].map((p) => ({
    op: "LpNormalization",
    name: `p ${p}`,
    attributes: { axis: 1, p },
    inputs: [v.normal([3, 5, 4])],
    tolerance: near,
  })),
  {
    op: "LpNormalization",
    name: "zeros stay",
    attributes: { axis: 0 },
    inputs: [tensor(new Float32Array(6), [2, 3])],
    tolerance: near,
  },
  ...["Softmax", "LogSoftmax"].flatMap((op) =>
    (
      [
        [[7], 0],
        [[3, 10], -1],
        [[3, 10], 0],
        [[2, 3, 5, 4], 1],
        [[2, 1000], 1],
      ] as const
    ).map(([shape, axis]) => ({
      op,
      name: `${shape} along ${axis}`,
      attributes: { axis },
      inputs: [v.normal(shape, 4)],
      tolerance: { rel: 1e-5, abs: 2e-6 },
    })),
  ),
  { op: "Softmax", name: "large numbers", inputs: [tensor([1e4, 1e4 + 1, -1e4], [1, 3])], tolerance: near },
];

const kernels = kernelSuite("normalisation kernels", cases);

kernels.run();
