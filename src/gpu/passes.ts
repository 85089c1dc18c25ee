import type { Gpu } from "./gpu.ts";
import { createTimer } from "./timer.ts";

/** Dispatches that are ready to be recorded, in order. */
export interface Recordable {
  readonly dispatches: readonly {
    readonly pipeline: GPUComputePipeline;
    readonly group: GPUBindGroup;
    readonly groups: readonly [number, number, number];
  }[];
}

/** All dispatches, `repeats` times over, as one compute pass. */
export function recordPass(
  gpu: Gpu,
  { dispatches }: Recordable,
  label: string,
  repeats: number,
  timestampWrites?: GPUComputePassTimestampWrites,
): GPUCommandBuffer {
  const encoder = gpu.device.createCommandEncoder({ label });
  const pass = encoder.beginComputePass({ label, ...(timestampWrites && { timestampWrites }) });
  for (let i = 0; i < repeats; i++) {
    for (const { pipeline, group, groups } of dispatches) {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(...groups);
    }
  }
  pass.end();
  return encoder.finish();
}

/** Milliseconds of one run: by the GPU's own clock where it has one, of `repeats` in one pass. */
export async function timePass(
  gpu: Gpu,
  device: Recordable,
  label: string,
  repeats: number,
): Promise<number> {
  const timer = createTimer(gpu, 1);
  try {
    const start = performance.now();
    gpu.submit([recordPass(gpu, device, label, repeats, timer?.writes(0))]);
    if (timer) return (await timer.resolve())[0]! / 1e6 / repeats;
    await gpu.wait();
    return (performance.now() - start) / repeats;
  } finally {
    timer?.dispose();
  }
}
