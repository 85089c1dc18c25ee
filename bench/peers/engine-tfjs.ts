import { openGpuInNode } from "../../src/gpu/dawn.ts";
import type { Case, OpCase, Operands } from "./cases.ts";
import { wShape, xShape, yShape } from "./cases.ts";
import { type AdapterKind, type Engine, type Prepared, timed } from "./engine.ts";
import { installedVersion } from "./install.ts";
import { permuted } from "./permuted.ts";
import { openTfjs, type Tensor, type Tfjs } from "./tfjs.ts";

/** TensorFlow.js: eager operations on tensors that lie on the device, in its own layout (NHWC), waited for once. */
export async function openTfjsEngine(adapter: AdapterKind): Promise<Engine> {
  const gpu = await openGpuInNode({ adapter });
  const tfjs = await openTfjs(gpu);
  const package_ = "@tensorflow/tfjs-backend-webgpu";
  return {
    facts: {
      version: `${package_} ${installedVersion(package_)}`,
      adapterKey: gpu.adapter.key,
      adapterReported: true,
    },
    async prepare(c: Case, operands: Operands): Promise<Prepared> {
      if (c.op === "model") throw new Error("TensorFlow.js reads no ONNX files.");
      return prepareOp(tfjs, c, operands);
    },
  };
}

async function prepareOp(tfjs: Tfjs, c: OpCase, operands: Operands): Promise<Prepared> {
  const { tf } = tfjs;
  const [x, w] =
    c.op === "matmul"
      ? [tf.tensor(operands.x, xShape(c), "float32"), tf.tensor(operands.w, wShape(c), "float32")]
      : [moved(tfjs, operands.x, xShape(c), [0, 2, 3, 1]), moved(tfjs, operands.w, wShape(c), [2, 3, 1, 0])];
  const run = (): Tensor => (c.op === "matmul" ? tf.matMul(x, w) : tf.conv2d(x, w, 1, (c.kernel - 1) / 2));
  const result = run();
  const raw = await tfjs.read(result);
  result.dispose();
  tfjs.gpu.check();
  let output = raw;
  if (c.op === "conv") {
    const [n, channels, height, width] = yShape(c) as [number, number, number, number];
    output = permuted(raw, [n, height, width, channels], [0, 3, 1, 2]);
  }
  return {
    output,
    sample: (repeats) =>
      timed(repeats, async () => {
        for (let i = 0; i < repeats; i++) run().dispose();
        await tfjs.finish();
      }),
    release() {
      x.dispose();
      w.dispose();
    },
  };
}

const moved = ({ tf }: Tfjs, data: Float32Array, shape: readonly number[], axes: readonly number[]): Tensor =>
  tf.tensor(
    permuted(data, shape, axes),
    axes.map((axis) => shape[axis]!),
    "float32",
  );
