import type { Gpu } from "./gpu.ts";
import { BufferUsage } from "./usage.ts";

/** Times of compute passes, taken by the GPU itself. */
export interface PassTimer {
  /** For `beginComputePass({ timestampWrites })` of span `i`. */
  writes(i: number): GPUComputePassTimestampWrites;
  /** Nanoseconds of each span, once the passes have been submitted. A span that was not written has no meaning. */
  resolve(): Promise<number[]>;
  dispose(): void;
}

/** A timer for so many passes; undefined where the device has no timestamp-query. */
export function createTimer(gpu: Gpu, spans: number): PassTimer | undefined {
  gpu.check();
  if (!gpu.device.features.has("timestamp-query")) return undefined;
  const querySet = gpu.device.createQuerySet({ label: "timer", type: "timestamp", count: spans * 2 });
  const bytes = spans * 16;
  const buffer = gpu.createBuffer("timer", bytes, BufferUsage.QUERY_RESOLVE | BufferUsage.COPY_SRC);
  return {
    writes: (i) => ({ querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 }),
    async resolve() {
      const encoder = gpu.device.createCommandEncoder({ label: "timer" });
      encoder.resolveQuerySet(querySet, 0, spans * 2, buffer, 0);
      gpu.submit([encoder.finish()]);
      const ticks = new BigInt64Array(await gpu.read(buffer, 0, bytes));
      return Array.from({ length: spans }, (_, i) => Number(ticks[2 * i + 1]! - ticks[2 * i]!));
    },
    dispose() {
      querySet.destroy();
      void gpu.destroyBuffers([buffer]);
    },
  };
}
