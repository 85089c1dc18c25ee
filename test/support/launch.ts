import type { BufferRange } from "../../src/gpu/bind.ts";
import { dispatch, workgroupCounts } from "../../src/gpu/dispatch.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import type { CompiledKernel } from "../../src/gpu/pipelines.ts";

/** Submits one dispatch of a kernel. */
export function launch(
  gpu: Gpu,
  kernel: CompiledKernel,
  bindings: Readonly<Record<string, GPUBuffer | BufferRange>>,
  groups: number | readonly [number, number, number],
  timestampWrites?: GPUComputePassTimestampWrites,
): void {
  const ranges = Object.fromEntries(
    Object.entries(bindings).map(([name, bound]) => [name, "buffer" in bound ? bound : { buffer: bound }]),
  );
  const group = gpu.bindGroup(kernel, kernel.label, ranges);
  const encoder = gpu.device.createCommandEncoder();
  const pass = encoder.beginComputePass(timestampWrites ? { timestampWrites } : {});
  pass.setPipeline(kernel.pipeline);
  pass.setBindGroup(0, group);
  const limit = gpu.adapter.limits["maxComputeWorkgroupsPerDimension"]!;
  dispatch(pass, workgroupCounts(groups, limit, kernel.label));
  pass.end();
  gpu.submit([encoder.finish()]);
}
