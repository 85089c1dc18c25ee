import type { Gpu } from "../../src/gpu/gpu.ts";
import { loadPeer } from "./install.ts";

export interface Tensor {
  readonly shape: readonly number[];
  data(): Promise<Float32Array>;
  dispose(): void;
}

export interface Variable extends Tensor {
  readonly name: string;
  assign(value: Tensor): void;
}

export interface Optimizer {
  /** Minus the learning rate; `dispose` forgets it. */
  readonly c: Tensor;
  minimize(loss: () => Tensor, returnCost: boolean, variables: readonly Variable[]): Tensor | null;
  dispose(): void;
}

type Unary = (x: Tensor) => Tensor;
type Binary = (a: Tensor | number, b: Tensor | number) => Tensor;
type Pool = (x: Tensor, size: number, stride: number, pad: "valid") => Tensor;

/** An operation of three operands with its gradient written out; `save` keeps tensors for the latter. */
type CustomOp = (
  x: Tensor,
  a: Tensor,
  b: Tensor,
  save: (tensors: readonly Tensor[]) => void,
) => {
  value: Tensor;
  gradFunc: (dy: Tensor, saved: [Tensor, Tensor, Tensor, Tensor]) => readonly Tensor[];
};

/** The part of @tensorflow/tfjs that is used here: the package is no dependency, so its own types are not at hand. */
export interface TfjsCore {
  readonly relu: Unary;
  readonly rsqrt: Unary;
  readonly add: Binary;
  readonly sub: Binary;
  readonly mul: Binary;
  readonly div: Binary;
  readonly avgPool: Pool;
  readonly maxPool: Pool;
  conv2d(x: Tensor, filter: Tensor, stride: number, pad: number): Tensor;
  matMul(a: Tensor, b: Tensor): Tensor;
  mean(x: Tensor, axes: readonly number[]): Tensor;
  sum(x: Tensor, axes: readonly number[]): Tensor;
  moments(x: Tensor, axes: readonly number[]): { mean: Tensor; variance: Tensor };
  batchNorm(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    offset: Tensor,
    scale: Tensor,
    epsilon: number,
  ): Tensor;
  pad(x: Tensor, pads: readonly (readonly [number, number])[]): Tensor;
  reshape(x: Tensor, shape: readonly number[]): Tensor;
  readonly fused: {
    conv2d(o: { x: Tensor; filter: Tensor; strides: number; pad: number; bias: Tensor }): Tensor;
    matMul(o: { a: Tensor; b: Tensor; bias: Tensor }): Tensor;
  };
  readonly losses: { softmaxCrossEntropy(oneHot: Tensor, logits: Tensor): Tensor };
  readonly train: { momentum(lr: number, momentum: number): Optimizer };
  tensor(data: Float32Array, shape: readonly number[], dtype: "float32"): Tensor;
  variable(initial: Tensor, trainable: boolean): Variable;
  customGrad(run: CustomOp): (x: Tensor, a: Tensor, b: Tensor) => Tensor;
  memory(): { numTensors: number; numBytes: number; numBytesInGPU?: number };
  enableProdMode(): void;
  env(): { set(flag: string, value: number | boolean): void };
  registerBackend(name: string, factory: () => unknown): boolean;
  removeBackend(name: string): void;
  setBackend(name: string): Promise<boolean>;
}

/** What is read of TensorFlow.js's WebGPU backend. */
interface Backend {
  readonly commandEncoder: unknown;
  endComputePassEncoder(): void;
  submitQueue(): void;
}

interface BackendModule {
  readonly WebGPUBackend: new (device: GPUDevice, info: GPUAdapterInfo) => Backend;
}

/** TensorFlow.js on a device of ours. */
export interface Tfjs {
  readonly tf: TfjsCore;
  readonly gpu: Gpu;
  /** Submits what is recorded and resolves when the device has done it all. Throws errors that the device reported. */
  finish(): Promise<void>;
  read(x: Tensor): Promise<Float32Array>;
  /** Frees all of TensorFlow.js's tensors. The device stays. */
  close(): Promise<void>;
}

let openOn: GPUDevice | undefined;

/**
 * Loads TensorFlow.js from the peers' folder and lets it compute on the very device of `gpu`: both engines then share one
 * Dawn instance, one device and one queue. TensorFlow.js is a singleton, so only one device at a time. Throws where the peers are
 * not installed. `flags` are TensorFlow.js's own.
 */
export async function openTfjs(
  gpu: Gpu,
  flags: Readonly<Record<string, number | boolean>> = {},
): Promise<Tfjs> {
  if (openOn !== undefined) throw new Error("TensorFlow.js is already open; close it first.");
  const { globals } = await import("webgpu");
  Object.assign(globalThis, globals);
  // The core alone knows no gradients; the whole package registers them.
  const tf = loadPeer("tfjs", "@tensorflow/tfjs") as TfjsCore;
  tf.enableProdMode();
  const { WebGPUBackend } = loadPeer("tfjs", "@tensorflow/tfjs-backend-webgpu") as BackendModule;
  for (const [flag, value] of Object.entries(flags)) tf.env().set(flag, value);
  const { device } = gpu;
  const backend = withNavigator(() => new WebGPUBackend(device, device.adapterInfo));
  // Only under this name does it find its kernels.
  tf.registerBackend("webgpu", () => backend);
  if (!(await tf.setBackend("webgpu"))) throw new Error("TensorFlow.js refused its WebGPU backend.");
  openOn = device;
  const flush = (): void => {
    if (!backend.commandEncoder) return;
    backend.endComputePassEncoder(); // an open pass would be submitted as it is, and do nothing
    backend.submitQueue();
  };
  const finish = async (): Promise<void> => {
    flush();
    await gpu.wait();
  };
  return {
    tf,
    gpu,
    finish,
    read: (x) => gpu.paced(() => x.data()),
    async close() {
      if (openOn !== device) return;
      await finish();
      openOn = undefined;
      tf.removeBackend("webgpu");
    },
  };
}

/** The backend refuses to be made where `navigator.gpu` is not set, though it was given a device. */
function withNavigator<T>(run: () => T): T {
  const host = globalThis as { navigator?: object };
  const own = host.navigator;
  const target = own ?? {};
  Object.defineProperty(target, "gpu", { value: {}, configurable: true });
  if (own === undefined) Object.defineProperty(host, "navigator", { value: target, configurable: true });
  try {
    return run();
  } finally {
    if (own === undefined) delete host.navigator;
    else delete (target as { gpu?: object }).gpu;
  }
}
