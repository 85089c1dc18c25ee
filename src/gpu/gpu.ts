import { GpuError } from "../errors.ts";
import { type ParamValues, packParams } from "../shader/params.ts";
import type { TexelFormat } from "../shader/source.ts";
import type { KernelName } from "../shader/sources.gen.ts";
import type { AdapterFacts } from "./adapter.ts";
import { type Bound, createBindGroup } from "./bind.ts";
import { createMemory, type MemoryStats } from "./memory.ts";
import {
  type CompiledKernel,
  type CompileOptions,
  type CustomKernel,
  createPipelineCache,
} from "./pipelines.ts";
import { type BufferPool, createPool } from "./pool.ts";
import { createTransfers } from "./staging.ts";
import { type DeviceLoss, trackDevice } from "./state.ts";
import { writeTexels } from "./texels.ts";

export interface GpuStats extends MemoryStats {
  readonly pipelines: number;
  readonly pendingReads: number;
  /** Bytes of buffers that lie in the pool for reuse. */
  readonly pooledBytes: number;
}

export interface WaitOptions {
  /** Give up after so many milliseconds with `E_TIMEOUT`: WebGPU itself sets no limit to a shader's time. */
  readonly timeoutMs?: number;
}

/**
 * One device and all that is made on it. Errors that WebGPU reports to nobody are collected and thrown by the next `check`,
 * `read` or `wait`. After `dispose` every method throws `E_DISPOSED` at once, after the loss of the device `E_DEVICE_LOST`;
 * only giving back (`destroyBuffers`, `pool.release`, `pool.trim`) and `dispose` itself then do nothing quietly.
 */
export interface Gpu {
  readonly device: GPUDevice;
  readonly adapter: AdapterFacts;
  /** Resolves when the device is lost or destroyed; never rejects. */
  readonly lost: Promise<DeviceLoss>;
  readonly pool: BufferPool;
  /** Throws `E_DISPOSED`, `E_DEVICE_LOST` or an error that the device has reported meanwhile (`E_GPU`, `E_MEMORY`). */
  check(): void;
  /**
   * Zero-filled. The size is rounded up to a multiple of 4, at least 16 bytes, so a tensor without elements can be bound.
   * Throws `E_MEMORY` above the adapter's limit or the memory budget.
   */
  createBuffer(label: string, bytes: number, usage: number): GPUBuffer;
  /** A texture that kernels read vec4s from, at least so many; `recordPass` fills it. Throws `E_MEMORY` as `createBuffer` does. */
  createTexels(label: string, texels: number): GPUTexture;
  /** A texture of the host's vec4s. */
  uploadTexels(label: string, words: Float32Array | Uint32Array, format?: TexelFormat): GPUTexture;
  /** Destroys buffers and textures of this Gpu and resolves when their memory has really returned. */
  destroyBuffers(buffers: Iterable<GPUBuffer | GPUTexture>): Promise<void>;
  /** Each distinct request is compiled once. Throws `E_SHADER`, with file:line:column where the text is at fault. */
  compile(kernel: KernelName | CustomKernel, options?: CompileOptions): Promise<CompiledKernel>;
  /** Checks names, alignment, limits and aliasing; throws `E_GPU` naming the label. */
  bindGroup(compiled: CompiledKernel, label: string, bindings: Readonly<Record<string, Bound>>): GPUBindGroup;
  /** The bytes of the kernel's uniform struct; throws `E_GPU` for an unknown, missing or unfit field. */
  packParams(compiled: CompiledKernel, values: ParamValues): Uint8Array<ArrayBuffer>;
  /**
   * Writes data of any length at an offset that is a multiple of 4. A length that is not is filled up with zeros to the next.
   */
  upload(buffer: GPUBuffer, data: ArrayBufferView, byteOffset?: number): void;
  /** Reads back, after all work submitted so far. To the buffer's end unless a length is given. */
  read(buffer: GPUBuffer, byteOffset?: number, byteLength?: number): Promise<ArrayBuffer>;
  /** Await something (`wait`, `read`) at least every 64 submits, or Dawn's memory grows. */
  submit(commands: readonly GPUCommandBuffer[]): void;
  /** Resolves when all submitted work is done. Throws `E_TIMEOUT` when it takes longer than allowed. */
  wait(options?: WaitOptions): Promise<void>;
  /** Awaits a promise of the device without burning the core that a software adapter computes on. */
  paced<T>(run: () => Promise<T>): Promise<T>;
  stats(): GpuStats;
  /** Gives everything back; may be called twice. The device goes too, unless it is the caller's. */
  dispose(): void;
  [Symbol.dispose](): void;
}

export interface GpuSettings {
  readonly label: string;
  /** Was the device made by us? Then it is ours to destroy. */
  readonly own: boolean;
  /** In bytes. */
  readonly memoryBudget: number;
}

const MOST_POOLED = 2 ** 30;

/** Makes a {@link Gpu} of a device. */
export function wrapDevice(device: GPUDevice, adapter: AdapterFacts, settings: GpuSettings): Gpu {
  const { label, own, memoryBudget } = settings;
  const state = trackDevice(device, label, adapter.software, own);
  const memory = createMemory(state, label, memoryBudget);
  let submitted = 0;
  let finished = 0;

  const submit = (commands: readonly GPUCommandBuffer[]): void => {
    state.alive();
    submitted++;
    device.queue.submit([...commands]);
  };
  const workDone = async (): Promise<void> => {
    const upTo = submitted;
    await device.queue.onSubmittedWorkDone();
    finished = Math.max(finished, upTo);
  };
  // Destroyed memory returns only when a later submit has completed.
  const memoryReturned = async (): Promise<void> => {
    if (!state.usable) return;
    submit([]);
    await state.settle(workDone).catch((error: unknown) => {
      if (state.usable) throw error;
    });
  };
  const transfers = createTransfers(state, memory, submit);
  const pipelines = createPipelineCache(state);
  const pool = createPool(state, memory, Math.min(MOST_POOLED, memoryBudget / 4), memoryReturned);

  const gpu: Gpu = {
    device,
    adapter,
    lost: state.lost,
    pool,
    check: state.check,
    createBuffer: memory.create,
    createTexels: memory.createTexels,
    uploadTexels(name, words, format) {
      const texture = memory.createTexels(name, words.length / 4, format);
      writeTexels(device, texture, words);
      return texture;
    },
    async destroyBuffers(buffers) {
      memory.destroy(buffers);
      await memoryReturned();
    },
    compile: pipelines.compile,
    bindGroup: (compiled, name, bindings) => createBindGroup(state, compiled, name, bindings),
    packParams: (compiled, values) => packParams(compiled.label, compiled.params, values),
    upload: transfers.upload,
    read: transfers.read,
    submit,
    async wait({ timeoutMs } = {}) {
      state.check();
      await within(state.settle(workDone), timeoutMs, label);
      state.check();
    },
    paced: state.paced,
    stats: () => ({
      ...memory.stats(),
      pipelines: pipelines.size(),
      pendingReads: transfers.pendingReads(),
      pooledBytes: pool.stats().freeBytes,
    }),
    dispose() {
      const idle = submitted === finished && transfers.pendingReads() === 0;
      if (!state.retire()) return;
      pipelines.clear();
      if (!own) {
        memory.destroyAll();
        device.queue.submit([]);
      } else if (idle) {
        device.destroy();
      } else {
        // destroy() blocks the thread until the device's work ends, for ever if it never does.
        state
          .paced(() => device.queue.onSubmittedWorkDone())
          .then(
            () => device.destroy(),
            () => device.destroy(),
          );
      }
    },
    [Symbol.dispose]() {
      gpu.dispose();
    },
  };
  return gpu;
}

async function within<T>(promise: Promise<T>, timeoutMs: number | undefined, label: string): Promise<T> {
  if (timeoutMs === undefined) return promise;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const why = `the work submitted to ${label} did not end within ${timeoutMs} ms`;
      reject(
        new GpuError(
          "E_TIMEOUT",
          `${why}. Split it into smaller dispatches; a shader that never ends needs the process to be ended.`,
        ),
      );
    }, timeoutMs);
  });
  promise.catch(() => {}); // may fail long after its caller has gone
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
