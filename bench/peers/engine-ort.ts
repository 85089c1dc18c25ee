import { openGpuInNode } from "../../src/gpu/dawn.ts";
import { writeOnnx } from "../../src/io/onnx/write.ts";
import type { Shape } from "../../src/tensor/shape.ts";
import { type Case, type OpCase, type Operands, wShape, xShape } from "./cases.ts";
import { type AdapterKind, type Engine, type Prepared, timed } from "./engine.ts";
import { installedVersion, loadPeer } from "./install.ts";
import { cutLength, type ParallelOptions, parallelGraph, parallelOf } from "./parallel.ts";
import { judgeStart } from "./reference.ts";

/** The part of onnxruntime-node that is used here. */
interface Ort {
  readonly Tensor: new (type: "float32", data: Float32Array, shape: readonly number[]) => OrtTensor;
  readonly InferenceSession: {
    create(model: Uint8Array, options: object): Promise<OrtSession>;
  };
}

interface OrtTensor {
  readonly data: Float32Array;
  dispose(): void;
}

interface OrtSession {
  run(feeds: Feeds): Promise<Readonly<Record<string, OrtTensor>>>;
  release(): Promise<void>;
}

type Feeds = Readonly<Record<string, OrtTensor>>;

/** NHWC is the faster of its two layouts for 3×3 convolutions, by 1.6 to 3.5 times on lavapipe. Only what runs on the GPU counts. */
const options = {
  executionProviders: [{ name: "webgpu", preferredLayout: "NHWC" }],
  intraOpNumThreads: 1, // no threads of its own that spin beside a software adapter's
  extra: { session: { disable_cpu_ep_fallback: "1" } },
  logSeverityLevel: 3,
};

/**
 * ONNX Runtime's WebGPU provider: its own Dawn inside its library, which finds the adapter by itself and does not say which. It
 * runs whole sessions that upload and read back, so operations are timed by the marginal method, which leaves that out.
 */
export async function openOrtEngine(adapter: AdapterKind): Promise<Engine> {
  const ort = loadPeer("onnxruntime", "onnxruntime-node") as Ort;
  // Any adapter, the fast one first, is what it looks for too. Opening it here also shows it a driver that only we know of.
  const gpu = await openGpuInNode({ adapter: adapter === "hardware" ? "hardware" : "any" });
  const adapterKey = gpu.adapter.key;
  gpu.dispose();
  return {
    facts: {
      version: `onnxruntime-node ${installedVersion("onnxruntime-node")}`,
      adapterKey,
      adapterReported: false,
    },
    prepare: (c, operands) =>
      c.op === "model" ? prepareModel(ort, c, operands) : prepareOp(ort, c, operands),
  };
}

async function prepareOp(ort: Ort, c: OpCase, operands: Operands): Promise<Prepared> {
  const parallel = parallelOf(c, operands);
  const open = (o: Omit<ParallelOptions, "resident">): Promise<OrtSession> =>
    ort.InferenceSession.create(writeOnnx(parallelGraph(c, parallel, { ...o, resident: false })), options);
  const feed = (data: Float32Array, shape: Shape): OrtTensor => new ort.Tensor("float32", data, shape);
  const x = feed(operands.x, xShape(c));
  const feeds: Feeds = c.op === "matmul" && c.runtime ? { x, w: feed(operands.w, wShape(c)) } : { x };
  const whole = await open({ nodes: 1, cut: false });
  const output = (await whole.run(feeds))["y0"]!.data;
  await whole.release();
  const one = await open({ nodes: 1, cut: true });
  const many = await open({ nodes: parallel.nodes, cut: true });
  for (const [session, nodes] of [
    [one, 1],
    [many, parallel.nodes],
  ] as const) {
    const outputs = await session.run(feeds);
    for (let i = 0; i < nodes; i++) {
      const { data } = outputs[`y${i}`]!;
      judgeStart(c, parallel.operands[i]!, data, cutLength);
    }
  }
  const runs = async (session: OrtSession, repeats: number): Promise<void> => {
    for (let i = 0; i < repeats; i++) await session.run(feeds);
  };
  return {
    output,
    async sample(repeats) {
      const few = await timed(repeats, () => runs(one, repeats));
      const all = await timed(repeats, () => runs(many, repeats));
      return (all - few) / (parallel.nodes - 1);
    },
    async release() {
      await one.release();
      await many.release();
    },
  };
}

/** Upload, run and read-back. */
async function prepareModel(ort: Ort, c: Case & { op: "model" }, { x, model }: Operands): Promise<Prepared> {
  const session = await ort.InferenceSession.create(model!, options);
  const feeds = { [c.input]: new ort.Tensor("float32", x, [c.batch, ...c.image]) };
  const run = async (): Promise<Float32Array> => (await session.run(feeds))[c.output]!.data;
  return {
    output: await run(),
    sample: (repeats) =>
      timed(repeats, async () => {
        for (let i = 0; i < repeats; i++) await run();
      }),
    release: () => session.release(),
  };
}
