import type { Gpu } from "./gpu.ts";
import { recordTexelCopy, type TexelCopy } from "./texels.ts";
import { createTimer } from "./timer.ts";

/** A dispatch that is ready to be recorded. */
export interface RecordableDispatch {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly groups: readonly [number, number, number];
  /** What has to lie in a texture first. */
  readonly copy?: TexelCopy;
}

/** Dispatches that are ready to be recorded, in order. */
export interface Recordable {
  readonly dispatches: readonly RecordableDispatch[];
}

/** All dispatches, `repeats` times over, as one command buffer; the timestamps are those of its start and end. */
export function recordPass(
  gpu: Gpu,
  { dispatches }: Recordable,
  label: string,
  repeats: number,
  writes?: GPUComputePassTimestampWrites,
): GPUCommandBuffer {
  const encoder = gpu.device.createCommandEncoder({ label });
  recordDispatches(encoder, dispatches, label, repeats, writes);
  return encoder.finish();
}

/** As few compute passes as hold them: one, and one more for every copy into a texture, which ends a pass. Timestamps: of the first one's start and the last one's end. */
export function recordDispatches(
  encoder: GPUCommandEncoder,
  dispatches: readonly RecordableDispatch[],
  label: string,
  repeats: number,
  writes?: GPUComputePassTimestampWrites,
): void {
  let copies = repeats * dispatches.filter(({ copy }) => copy).length;
  let pass = encoder.beginComputePass({ label, ...edges(writes, true, copies === 0) });
  for (let i = 0; i < repeats; i++) {
    for (const { pipeline, group, groups, copy } of dispatches) {
      if (copy) {
        pass.end();
        recordTexelCopy(encoder, copy);
        copies--;
        pass = encoder.beginComputePass({ label, ...edges(writes, false, copies === 0) });
      }
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(...groups);
    }
  }
  pass.end();
}

/** What the first pass, the last, or one that is both, writes of a span. */
function edges(
  writes: GPUComputePassTimestampWrites | undefined,
  first: boolean,
  last: boolean,
): Pick<GPUComputePassDescriptor, "timestampWrites"> {
  if (!writes || !(first || last)) return {};
  const { querySet, beginningOfPassWriteIndex, endOfPassWriteIndex } = writes;
  return {
    timestampWrites: {
      querySet,
      ...(first && { beginningOfPassWriteIndex }),
      ...(last && { endOfPassWriteIndex }),
    },
  };
}

/** Milliseconds of one run: by the GPU's own clock where it has one, of `repeats` in one command buffer. */
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
