import type { Bound } from "../../src/gpu/bind.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { createTimer } from "../../src/gpu/timer.ts";
import { STORAGE_USAGE, UNIFORM_USAGE } from "../../src/gpu/usage.ts";
import { spread } from "../../src/plan/stats.ts";
import type { KernelName } from "../../src/shader/sources.gen.ts";

/** What bounds every kernel on an adapter, measured. */
export interface Rooflines {
  /** Multiply-adds out of registers, two operations each. */
  readonly fmaGflops: number;
  /** Bytes read and written, each counted. */
  readonly copyGBs: number;
  /** GFLOP/s when every loaded vec4 (of a window in the first-level cache) is multiplied so many times. */
  readonly reuseGflops: Readonly<Record<string, number>>;
  /** The same out of a texture; absent where kernels read none. */
  readonly texelGflops?: Readonly<Record<string, number>>;
}

/** Of several measurements, each rate's median: what an adapter whose speed changes did for most of the time. */
export const medianRooflines = (list: readonly Rooflines[]): Rooflines =>
  each(list, (rates) => spread(rates).median);

/** And each rate's greatest: what bounds a kernel is what the adapter can do, whatever else it was doing. */
export const greatestRooflines = (list: readonly Rooflines[]): Rooflines =>
  each(list, (rates) => Math.max(...rates));

function each(list: readonly Rooflines[], one: (rates: readonly number[]) => number): Rooflines {
  const reused = (of: (r: Rooflines) => Readonly<Record<string, number>>): Record<string, number> =>
    Object.fromEntries(reuse.map((r) => [r, one(list.map((rates) => of(rates)[r]!))]));
  return {
    fmaGflops: one(list.map((r) => r.fmaGflops)),
    copyGBs: one(list.map((r) => r.copyGBs)),
    reuseGflops: reused((r) => r.reuseGflops),
    ...(list.every((r) => r.texelGflops) && { texelGflops: reused((r) => r.texelGflops!) }),
  };
}

const rounds = 7;
const reuse = [1, 2, 4, 8, 16] as const;

/** Measures the rooflines; on lavapipe about a second. */
export async function measureRooflines(gpu: Gpu): Promise<Rooflines> {
  const { software } = gpu.adapter;
  const workgroup = software ? 8 : 128;
  const threads = software ? 1 << 12 : 1 << 18;
  const steps = 512;
  const vectors = software ? 1 << 21 : 1 << 24;
  const timer = createTimer(gpu, 1);
  const buffer = (n: number): GPUBuffer => gpu.pool.acquire("roofline", n * 16, STORAGE_USAGE);
  const [x, y] = [buffer(vectors), buffer(vectors)];
  gpu.upload(x, new Float32Array(4 * Math.min(vectors, 1 << 16)).fill(0.5));
  const window = workgroup * 32;
  const texels = gpu.adapter.texels
    ? gpu.uploadTexels("roofline", new Float32Array(4 * window).fill(0.5))
    : undefined;
  try {
    const fma = await seconds("roofline/fma", {}, { steps }, threads);
    const copy = await seconds("roofline/copy", {}, undefined, vectors);
    const reused = async (kernel: KernelName): Promise<Record<string, number>> => {
      const rates: Record<string, number> = {};
      for (const r of reuse) {
        const time = await seconds(kernel, { R: r }, { steps, window }, threads);
        rates[r] = (threads * steps * r * 8) / time / 1e9;
      }
      return rates;
    };
    return {
      fmaGflops: (threads * steps * 8 * 8) / fma / 1e9,
      copyGBs: (vectors * 32) / copy / 1e9,
      reuseGflops: await reused("roofline/reuse"),
      ...(texels && { texelGflops: await reused("roofline/reuse-texels") }),
    };
  } finally {
    timer?.dispose();
    gpu.pool.release(x);
    gpu.pool.release(y);
    if (texels) void gpu.destroyBuffers([texels]);
  }

  async function seconds(
    kernel: KernelName,
    spec: Readonly<Record<string, number>>,
    params: Readonly<Record<string, number>> | undefined,
    n: number,
  ): Promise<number> {
    const compiled = await gpu.compile(kernel, { spec, constants: { WG_SIZE: workgroup }, unroll: true });
    const inTexels = compiled.bindings["x"]?.kind === "texels";
    const bindings: Record<string, Bound> = {
      x: inTexels ? { texture: texels! } : { buffer: x },
      y: { buffer: y },
    };
    let uniform: GPUBuffer | undefined;
    if (params) {
      const packed = gpu.packParams(compiled, params);
      uniform = gpu.pool.acquire("roofline params", packed.byteLength, UNIFORM_USAGE);
      gpu.upload(uniform, packed);
      bindings["params"] = { buffer: uniform };
    }
    const group = gpu.bindGroup(compiled, kernel, bindings);
    const groups = n / workgroup;
    const limit = gpu.device.limits.maxComputeWorkgroupsPerDimension;
    const across = Math.min(groups, limit);
    const times: number[] = [];
    for (let round = 0; round <= rounds; round++) {
      const encoder = gpu.device.createCommandEncoder();
      const writes = timer?.writes(0);
      const pass = encoder.beginComputePass(writes ? { timestampWrites: writes } : {});
      pass.setPipeline(compiled.pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(across, Math.ceil(groups / across));
      pass.end();
      const start = performance.now();
      gpu.submit([encoder.finish()]);
      let ms: number;
      if (timer) ms = (await timer.resolve())[0]! / 1e6;
      else {
        await gpu.wait();
        ms = performance.now() - start;
      }
      if (round > 0) times.push(ms);
    }
    if (uniform) gpu.pool.release(uniform);
    return spread(times).median / 1000;
  }
}
