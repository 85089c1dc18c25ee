import { GpuError } from "../errors.ts";
import type { DeviceState } from "./state.ts";
import { allocationSize } from "./usage.ts";

/** Counts of a device's buffers, in bytes as allocated. */
export interface MemoryStats {
  readonly buffers: number;
  readonly bytes: number;
  readonly peakBytes: number;
}

/**
 * Creates and destroys every buffer of a device under one budget. Drivers hand out memory lazily (forty buffers of 1 GiB
 * succeed on a machine of 23 GiB), so the absence of an error means nothing and the budget is ours.
 */
export interface DeviceMemory {
  create(label: string, bytes: number, usage: number): GPUBuffer;
  /** Destroys without waiting; the memory comes back when a later submit has completed. Strangers and repeats are ignored. */
  destroy(buffers: Iterable<GPUBuffer>): void;
  destroyAll(): void;
  owns(buffer: GPUBuffer): boolean;
  stats(): MemoryStats;
  /** What to give up when the budget is reached. */
  onPressure(release: (bytes: number) => void): void;
}

export function createMemory(state: DeviceState, label: string, budget: number): DeviceMemory {
  const { device } = state;
  const owned = new Map<GPUBuffer, number>();
  let bytes = 0;
  let peakBytes = 0;
  let relieve: (bytes: number) => void = () => {};

  const forget = (buffer: GPUBuffer): void => {
    bytes -= owned.get(buffer) ?? 0;
    owned.delete(buffer);
  };
  const memory: DeviceMemory = {
    create(name, wanted, usage) {
      state.alive();
      if (!Number.isSafeInteger(wanted) || wanted < 0) {
        throw new GpuError(
          "E_GPU",
          `the size of the buffer ${name} must be a whole number of bytes, but is ${wanted}.`,
        );
      }
      const size = allocationSize(wanted);
      const most = Math.floor(device.limits.maxBufferSize / 4) * 4;
      if (size > most) {
        throw new GpuError(
          "E_MEMORY",
          `the buffer ${name} needs ${size} bytes, but one buffer of this adapter holds at most ${most}.`,
        );
      }
      if (bytes + size > budget) relieve(bytes + size - budget);
      if (bytes + size > budget) {
        throw new GpuError(
          "E_MEMORY",
          `the buffer ${name} needs ${size} bytes, but ${label} has only ${budget - bytes} left of its memory budget of ${budget}. ` +
            "Use a smaller batch or model, or open the device with a larger memoryBudget.",
        );
      }
      device.pushErrorScope("out-of-memory");
      const buffer = device.createBuffer({ label: name, size, usage });
      const scope = device.popErrorScope();
      owned.set(buffer, size);
      bytes += size;
      peakBytes = Math.max(peakBytes, bytes);
      state
        .paced(() => scope)
        .then(
          (error) => {
            if (!error) return;
            forget(buffer);
            state.collect(
              new GpuError(
                "E_MEMORY",
                `the device has no memory for the buffer ${name} of ${size} bytes: ${error.message.trim()}`,
              ),
            );
          },
          () => {}, // the device is gone, which every other call reports
        );
      return buffer;
    },
    destroy(buffers) {
      for (const buffer of buffers) {
        if (!owned.has(buffer)) continue;
        forget(buffer);
        buffer.destroy();
      }
    },
    destroyAll() {
      memory.destroy([...owned.keys()]);
    },
    owns: (buffer) => owned.has(buffer),
    stats: () => ({ buffers: owned.size, bytes, peakBytes }),
    onPressure(release) {
      relieve = release;
    },
  };
  return memory;
}
