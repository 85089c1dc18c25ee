import { type KernelCase, kernelSuite, values } from "../support/kernel-cases.ts";

const v = values(13);

/** Input shape and attributes of windows in one to three dimensions: pads, dilations, ceil and auto modes. */
const windows: readonly (readonly [
  readonly number[],
  Record<string, number | string | readonly number[]>,
])[] = [
  [[1, 3, 9], { kernel_shape: [2] }],
  [[5, 3, 8, 7], { kernel_shape: [2, 2], strides: [2, 2] }],
  [[2, 4, 9, 9], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }],
  [[2, 4, 7, 8], { kernel_shape: [3, 2], strides: [2, 3], pads: [1, 0, 0, 1], ceil_mode: 1 }],
  [[6, 2, 9, 9], { kernel_shape: [2, 2], dilations: [2, 3] }],
  [[1, 2, 5, 5], { kernel_shape: [3, 3], auto_pad: "SAME_UPPER", strides: [2, 2] }],
  [[1, 2, 5, 5], { kernel_shape: [3, 3], auto_pad: "SAME_LOWER", strides: [2, 2] }],
  [[2, 2, 4, 5, 6], { kernel_shape: [2, 2, 2], strides: [1, 2, 2], pads: [0, 1, 1, 1, 0, 0] }],
  [[8, 16, 8, 8], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }],
];

const cases = windows.flatMap(([shape, attributes], i): KernelCase[] => {
  const inputs = [v.normal(shape)];
  const name = `window ${i}`;
  return [
    { op: "MaxPool", name, attributes, inputs },
    { op: "MaxPool", name: `${name}, indices`, attributes, inputs, outputs: 2 },
    {
      op: "MaxPool",
      name: `${name}, column-major indices`,
      attributes: { ...attributes, storage_order: 1 },
      inputs,
      outputs: 2,
    },
    { op: "AveragePool", name, attributes, inputs, tolerance: { rel: 1e-6, abs: 1e-6 } },
    {
      op: "AveragePool",
      name: `${name}, padding counted`,
      attributes: { ...attributes, count_include_pad: 1 },
      inputs,
      tolerance: { rel: 1e-6, abs: 1e-6 },
    },
    ...[1, 2, 3].map((p) => ({
      op: "LpPool",
      name: `${name}, p ${p}`,
      attributes: { ...attributes, p },
      inputs,
      tolerance: { rel: 1e-5, abs: 1e-5 },
    })),
  ];
});

const kernels = kernelSuite("pooling kernels", cases);

kernels.run();
