import type { DeviceMemory } from "./memory.ts";
import type { DeviceState } from "./state.ts";
import { allocationSize } from "./usage.ts";

export interface PoolStats {
  /** Buffers handed out and not yet released. */
  readonly used: number;
  readonly free: number;
  readonly freeBytes: number;
}

/** Buffers kept for reuse. Sizes are rounded up to a class, so a buffer may be longer than asked; its contents are left over. */
export interface BufferPool {
  acquire(label: string, bytes: number, usage: number): GPUBuffer;
  /** Gives a buffer back. A buffer that is not out of this pool is ignored. */
  release(buffer: GPUBuffer): void;
  stats(): PoolStats;
  /** Destroys all free buffers and waits until their memory has returned. */
  trim(): Promise<void>;
}

/** @param cap Most bytes of free buffers; the oldest go first. */
export function createPool(
  state: DeviceState,
  memory: DeviceMemory,
  cap: number,
  returned: () => Promise<void>,
): BufferPool {
  const used = new Map<GPUBuffer, string>();
  const free = new Map<GPUBuffer, string>(); // oldest first
  let freeBytes = 0;

  const evict = (surplus: number): void => {
    let wanted = surplus;
    for (const buffer of [...free.keys()]) {
      if (wanted <= 0) return;
      wanted -= buffer.size;
      freeBytes -= buffer.size;
      free.delete(buffer);
      memory.destroy([buffer]);
    }
  };
  memory.onPressure(evict);

  return {
    acquire(label, bytes, usage) {
      state.alive();
      const size =
        Number.isSafeInteger(bytes) && bytes >= 0
          ? sizeClass(allocationSize(bytes), state.device.limits.maxBufferSize)
          : bytes;
      const key = `${usage}/${size}`;
      for (const [buffer, other] of free) {
        if (other !== key) continue;
        free.delete(buffer);
        freeBytes -= buffer.size;
        used.set(buffer, key);
        buffer.label = label;
        return buffer;
      }
      const buffer = memory.create(label, size, usage);
      used.set(buffer, key);
      return buffer;
    },
    release(buffer) {
      const key = used.get(buffer);
      used.delete(buffer);
      if (key === undefined || !memory.owns(buffer) || !state.usable) return;
      free.set(buffer, key);
      freeBytes += buffer.size;
      evict(freeBytes - cap);
    },
    stats: () => ({ used: used.size, free: free.size, freeBytes }),
    async trim() {
      evict(Number.POSITIVE_INFINITY);
      await returned();
    },
  };
}

/** Powers of two with three steps between: at most a quarter is wasted. */
function sizeClass(bytes: number, most: number): number {
  if (bytes <= 256) return 256;
  const step = 2 ** Math.max(2, Math.floor(Math.log2(bytes - 1)) - 2);
  const size = Math.ceil(bytes / step) * step;
  return size > most ? bytes : size;
}
