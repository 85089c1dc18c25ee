import { dispatch, workgroupCounts } from "./dispatch.ts";
import type { Gpu } from "./gpu.ts";
import { createTimer } from "./timer.ts";
import { STORAGE_USAGE, UNIFORM_USAGE } from "./usage.ts";

export interface SelfTest {
  readonly passed: boolean;
  readonly elements: number;
  /** Empty when it passed. */
  readonly message: string;
  /** From submit to result, median of several runs. */
  readonly ms: number;
  /** The GPU's own time for the same, where it can tell. */
  readonly gpuMs?: number;
}

const TIMEOUT_MS = 30_000;
const RUNS = 5;

/**
 * Runs `gpu/self-test` and compares every element with the CPU. All values are integers below 2^24, so f32 must be exact. The
 * length leaves a partial last workgroup.
 */
export async function selfTest(gpu: Gpu, elements = 200_003): Promise<SelfTest> {
  const kernel = await gpu.compile("gpu/self-test", { constants: { WG_SIZE: 64 } });
  const groups = Math.ceil(elements / 64);
  const scale = 3;
  const x = Float32Array.from({ length: elements }, (_, i) => (i * 7) % 11);
  const make = (name: string, bytes: number, usage: number = STORAGE_USAGE): GPUBuffer =>
    gpu.createBuffer(name, bytes, usage);
  const buffers = {
    x: make("self-test x", elements * 4),
    y: make("self-test y", elements * 4),
    sums: make("self-test sums", groups * 4),
    params: make("self-test params", 16, UNIFORM_USAGE),
  };
  const timer = createTimer(gpu, 1);
  try {
    gpu.upload(buffers.x, x);
    gpu.upload(buffers.params, gpu.packParams(kernel, { n: elements, scale }));
    const ranges = Object.fromEntries(Object.entries(buffers).map(([name, buffer]) => [name, { buffer }]));
    const group = gpu.bindGroup(kernel, "self-test", ranges);
    const limit = gpu.adapter.limits["maxComputeWorkgroupsPerDimension"] ?? 65535;
    const counts = workgroupCounts(groups, limit, "self-test");
    const times: number[] = [];
    const gpuTimes: number[] = [];
    for (let run = 0; run < RUNS; run++) {
      const encoder = gpu.device.createCommandEncoder({ label: "self-test" });
      const pass = encoder.beginComputePass({
        label: "self-test",
        ...(timer && { timestampWrites: timer.writes(0) }),
      });
      pass.setPipeline(kernel.pipeline);
      pass.setBindGroup(0, group);
      dispatch(pass, counts);
      pass.end();
      const start = performance.now();
      gpu.submit([encoder.finish()]);
      await gpu.wait({ timeoutMs: TIMEOUT_MS });
      times.push(performance.now() - start);
      if (timer) gpuTimes.push(...(await timer.resolve()));
    }
    const y = new Float32Array(await gpu.read(buffers.y, 0, elements * 4));
    const sums = new Float32Array(await gpu.read(buffers.sums, 0, groups * 4));
    const message = compare(x, scale, y, sums);
    const gpuMs = timer && { gpuMs: median(gpuTimes) / 1e6 };
    return { passed: message === "", elements, message, ms: median(times), ...gpuMs };
  } finally {
    timer?.dispose();
    await gpu.destroyBuffers(Object.values(buffers));
  }
}

/** What first differs, or nothing. */
function compare(x: Float32Array, scale: number, y: Float32Array, sums: Float32Array): string {
  for (let group = 0; group < sums.length; group++) {
    let sum = 0;
    for (let i = group * 64; i < Math.min(x.length, (group + 1) * 64); i++) {
      const expected = scale * x[i]! + i;
      if (y[i] !== expected) return `element ${i} is ${y[i]} and should be ${expected}`;
      sum += expected;
    }
    if (sums[group] !== sum) return `the sum of workgroup ${group} is ${sums[group]} and should be ${sum}`;
  }
  return "";
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
