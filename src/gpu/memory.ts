import { GpuError } from "../errors.ts";
import type { TexelFormat } from "../shader/source.ts";
import type { DeviceState } from "./state.ts";
import { texelBytes, texelTexture } from "./texels.ts";
import { allocationSize } from "./usage.ts";

/** Counts of a device's buffers, and the bytes of these and of its textures, as allocated. */
export interface MemoryStats {
  readonly buffers: number;
  readonly bytes: number;
  readonly peakBytes: number;
}

type Resource = GPUBuffer | GPUTexture;

/**
 * Creates and destroys every buffer and texture of a device under one budget. Drivers hand out memory lazily (forty buffers of 1 GiB
 * succeed on a machine of 23 GiB), so the absence of an error means nothing and the budget is ours.
 */
export interface DeviceMemory {
  create(label: string, bytes: number, usage: number): GPUBuffer;
  /** A texture that kernels read vec4s from, at least so many. */
  createTexels(label: string, texels: number, format?: TexelFormat): GPUTexture;
  /** Destroys without waiting; the memory comes back when a later submit has completed. Strangers and repeats are ignored. */
  destroy(resources: Iterable<Resource>): void;
  destroyAll(): void;
  owns(resource: Resource): boolean;
  stats(): MemoryStats;
  /** What to give up when the budget is reached. */
  onPressure(release: (bytes: number) => void): void;
}

export function createMemory(state: DeviceState, label: string, budget: number): DeviceMemory {
  const { device } = state;
  const owned = new Map<Resource, number>();
  let bytes = 0;
  let peakBytes = 0;
  let relieve: (bytes: number) => void = () => {};

  const forget = (resource: Resource): void => {
    bytes -= owned.get(resource) ?? 0;
    owned.delete(resource);
  };
  /** Makes something of so many bytes, unless it is beyond the budget. */
  const make = <T extends Resource>(what: string, size: number, build: () => T): T => {
    if (bytes + size > budget) relieve(bytes + size - budget);
    if (bytes + size > budget) {
      throw new GpuError(
        "E_MEMORY",
        `${what} needs ${size} bytes, but ${label} has only ${budget - bytes} left of its memory budget of ${budget}. ` +
          "Use a smaller batch or model, or open the device with a larger memoryBudget.",
      );
    }
    device.pushErrorScope("out-of-memory");
    const made = build();
    const scope = device.popErrorScope();
    owned.set(made, size);
    bytes += size;
    peakBytes = Math.max(peakBytes, bytes);
    state
      .paced(() => scope)
      .then(
        (error) => {
          if (!error) return;
          forget(made);
          state.collect(
            new GpuError(
              "E_MEMORY",
              `the device has no memory for ${what} of ${size} bytes: ${error.message.trim()}`,
            ),
          );
        },
        () => {}, // the device is gone, which every other call reports
      );
    return made;
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
      return make(`the buffer ${name}`, size, () => device.createBuffer({ label: name, size, usage }));
    },
    createTexels(name, texels, format) {
      state.alive();
      return make(`the texture ${name}`, texelBytes(texels), () =>
        device.createTexture(texelTexture(name, texels, format)),
      );
    },
    destroy(resources) {
      for (const resource of resources) {
        if (!owned.has(resource)) continue;
        forget(resource);
        resource.destroy();
      }
    },
    destroyAll() {
      memory.destroy([...owned.keys()]);
    },
    owns: (resource) => owned.has(resource),
    stats: () => ({ buffers: [...owned.keys()].filter((one) => "size" in one).length, bytes, peakBytes }),
    onPressure(release) {
      relieve = release;
    },
  };
  return memory;
}
