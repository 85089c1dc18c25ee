import { graphBuilder } from "../../src/graph/builder.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { inspectGraph } from "../../src/graph/statistics.ts";
import { writeOnnx } from "../../src/io/onnx/write.ts";
import { runReference } from "../../src/run/reference.ts";
import { tensor } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import { sizeOf } from "../../src/tensor/shape.ts";
import type { ModelCase, Operands } from "./cases.ts";
import type { Expected } from "./reference.ts";

/** A case with all that it takes to run and to judge it. */
export interface ModelWork {
  readonly case: ModelCase;
  readonly operands: Operands;
  readonly expected: Expected;
}

const image = [3, 32, 32] as const;
const classes = 10;
/** Residual blocks per stage, as in ResNet-20. */
const blocks = 3;

/**
 * ResNet-20 for CIFAR (He et al. 2015, arXiv 1512.03385, section 4.2) of operations that every engine here has on the GPU:
 * BatchNormalization folded, projections (option B) where the padded shortcut would be, the mean over pixels as ReduceMean.
 * Seeded weights, normal with deviation sqrt(2 / fan-in).
 */
export function residualNet(batch: number, seed: number): Graph {
  const random = seeded(seed);
  const g = graphBuilder("resnet20b");
  const weight = (name: string, shape: readonly number[], fanIn: number): string => {
    const deviation = Math.sqrt(2 / fanIn);
    return g.weight(
      name,
      tensor(
        Float32Array.from({ length: sizeOf(shape) }, () => deviation * random.normal()),
        shape,
      ),
    );
  };
  const conv = (
    name: string,
    x: string,
    [from, to]: readonly [number, number],
    { kernel = 3, stride = 1 } = {},
  ): string => {
    const pad = (kernel - 1) / 2;
    const w = weight(`${name}.weight`, [to, from, kernel, kernel], from * kernel * kernel);
    const b = weight(`${name}.bias`, [to], 100);
    const attributes = {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      pads: [pad, pad, pad, pad],
    };
    return g.node("Conv", [x, w, b], attributes, { name });
  };
  let channels = 16;
  let x = g.node("Relu", [conv("conv", g.input("image", [batch, ...image]), [image[0], channels])]);
  for (const [stage, width] of [16, 32, 64].entries()) {
    for (let i = 0; i < blocks; i++) {
      const name = `stage${stage}.${i}`;
      const stride = width === channels ? 1 : 2;
      const inner = g.node("Relu", [conv(`${name}.conv1`, x, [channels, width], { stride })]);
      const branch = conv(`${name}.conv2`, inner, [width, width]);
      if (stride > 1) x = conv(`${name}.project`, x, [channels, width], { kernel: 1, stride });
      x = g.node("Relu", [g.node("Add", [branch, x])]);
      channels = width;
    }
  }
  const mean = g.node("ReduceMean", [x, g.constant([2, 3])], { keepdims: 0 });
  const operands = [
    mean,
    weight("linear.weight", [classes, channels], channels),
    weight("linear.bias", [classes], 100),
  ];
  g.output(g.node("Gemm", operands, { transB: 1 }, { outputs: ["logits"] }), [batch, classes]);
  return g.build();
}

/** The net as an ONNX file, an input, and what the first and the last image should give. */
export function modelWork(batch: number, seed: number): ModelWork {
  const graph = residualNet(batch, seed);
  const random = seeded(seed);
  const each = sizeOf(image);
  const x = Float32Array.from({ length: batch * each }, () => random.uniform() - 0.5);
  const single = residualNet(1, seed);
  const images = [...new Set([0, batch - 1])];
  const logits = (i: number): number[] => {
    const one = tensor(x.slice(i * each, (i + 1) * each), [1, ...image]);
    return [...(runReference(single, { image: one })["logits"]!.data as Float64Array)];
  };
  const places = images.flatMap((i) => Array.from({ length: classes }, (_, j) => i * classes + j));
  return {
    case: {
      op: "model",
      net: graph.name,
      batch,
      image,
      macs: inspectGraph(single).macs,
      input: "image",
      output: "logits",
      classes,
    },
    operands: { x, w: new Float32Array(0), model: Uint8Array.from(writeOnnx(graph)) },
    expected: {
      length: batch * classes,
      indices: Uint32Array.from(places),
      values: Float64Array.from(images.flatMap(logits)),
    },
  };
}
