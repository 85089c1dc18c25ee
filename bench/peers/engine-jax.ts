import { openGpuInNode } from "../../src/gpu/dawn.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { type Case, type ModelCase, type OpCase, type Operands, wShape, xShape } from "./cases.ts";
import { type AdapterKind, type Engine, type Prepared, timed } from "./engine.ts";
import { installedVersion, loadPeer } from "./install.ts";

/** The part of @jax-js/jax that is used here. An operation consumes its operands; `ref` keeps one. */
interface Jax {
  readonly numpy: {
    array(data: Float32Array, options: { shape: readonly number[] }): JaxArray;
    matmul(a: JaxArray, b: JaxArray): JaxArray;
  };
  readonly lax: {
    convGeneralDilated(x: JaxArray, w: JaxArray, strides: readonly number[], padding: "SAME"): JaxArray;
  };
  init(device: "webgpu"): Promise<readonly string[]>;
  defaultDevice(device: "webgpu"): void;
  getWebGPUDevice(): GPUDevice;
  blockUntilReady(arrays: readonly JaxArray[]): Promise<unknown>;
  jit(run: ModelRun): ModelRun;
}

interface JaxArray {
  readonly ref: JaxArray;
  data(): Promise<Float32Array>;
  dispose(): void;
}

type Arrays = Readonly<Record<string, JaxArray>>;
type ModelRun = (inputs: Arrays) => Arrays;

interface JaxOnnx {
  readonly ONNXModel: new (file: Uint8Array) => { readonly run: ModelRun; dispose(): void };
}

/** jax-js: eager operations on arrays that lie on the device, waited for once. A jitted single operation takes as long. */
export async function openJaxEngine(adapter: AdapterKind): Promise<Engine> {
  const gpu = await openGpuInNode({ adapter });
  await offerDevice(gpu);
  const jax = loadPeer("jax-js", "@jax-js/jax") as Jax;
  if (!(await jax.init("webgpu")).includes("webgpu") || jax.getWebGPUDevice() !== gpu.device)
    throw new Error("jax-js did not take the device that it was offered.");
  jax.defaultDevice("webgpu");
  return {
    facts: {
      version: `@jax-js/jax ${installedVersion("@jax-js/jax")}`,
      adapterKey: gpu.adapter.key,
      adapterReported: true,
    },
    prepare: (c: Case, operands: Operands) =>
      c.op === "model" ? prepareModel(gpu, jax, c, operands) : prepareOp(gpu, jax, c, operands),
  };
}

/** It looks for `navigator.gpu`, which Node has not; what it finds there is our own device, so that the adapter is the same. */
async function offerDevice({ device }: Gpu): Promise<void> {
  const { globals } = await import("webgpu");
  Object.assign(globalThis, globals);
  const adapter = {
    features: device.features,
    limits: device.limits,
    info: device.adapterInfo,
    requestDevice: async () => device,
  };
  const host = globalThis as { navigator?: object };
  if (host.navigator === undefined)
    Object.defineProperty(host, "navigator", { value: { userAgent: process.version }, configurable: true });
  Object.defineProperty(host.navigator, "gpu", {
    value: { requestAdapter: async () => adapter },
    configurable: true,
  });
}

async function prepareOp(gpu: Gpu, jax: Jax, c: OpCase, operands: Operands): Promise<Prepared> {
  const { numpy, lax } = jax;
  const x = numpy.array(operands.x, { shape: xShape(c) });
  const w = numpy.array(operands.w, { shape: wShape(c) });
  const run = (): JaxArray =>
    c.op === "matmul" ? numpy.matmul(x.ref, w.ref) : lax.convGeneralDilated(x.ref, w.ref, [1, 1], "SAME");
  const output = await gpu.paced(() => run().data());
  gpu.check();
  return {
    output,
    sample: (repeats) =>
      timed(repeats, async () => {
        const results = Array.from({ length: repeats }, run);
        await gpu.paced(() => jax.blockUntilReady(results));
        for (const result of results) result.dispose();
        gpu.check();
      }),
    release() {
      x.dispose();
      w.dispose();
    },
  };
}

/** Upload, run (jitted, as its README advises) and read-back. */
async function prepareModel(gpu: Gpu, jax: Jax, c: ModelCase, { x, model }: Operands): Promise<Prepared> {
  const { ONNXModel } = loadPeer("jax-js", "@jax-js/onnx") as JaxOnnx;
  const net = new ONNXModel(model!);
  const forward = jax.jit((inputs) => net.run(inputs));
  const run = (): Promise<Float32Array> => {
    const image = jax.numpy.array(x, { shape: [c.batch, ...c.image] });
    return gpu.paced(() => forward({ [c.input]: image })[c.output]!.data());
  };
  const output = await run();
  gpu.check();
  return {
    output,
    sample: (repeats) =>
      timed(repeats, async () => {
        for (let i = 0; i < repeats; i++) await run();
      }),
    release: () => net.dispose(),
  };
}
