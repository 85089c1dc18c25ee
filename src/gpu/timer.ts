import { GpuError } from "../errors.ts";
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

/** WebGPU's limit to a query set is 4,096 timestamps; each span takes two. */
const MOST_SPANS = 2048;

/** A timer for 1 to 2,048 passes; undefined where the device has no timestamp-query. Throws `E_GPU` for other counts. */
export function createTimer(gpu: Gpu, spans: number): PassTimer | undefined {
  gpu.check();
  if (!Number.isInteger(spans) || spans < 1 || spans > MOST_SPANS) {
    throw new GpuError("E_GPU", `a timer takes 1 to ${MOST_SPANS} spans, but was asked for ${spans}.`);
  }
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
