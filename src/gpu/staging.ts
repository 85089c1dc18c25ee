import { GpuError } from "../errors.ts";
import type { DeviceMemory } from "./memory.ts";
import type { DeviceState } from "./state.ts";
import { BufferUsage, MAP_READ_MODE } from "./usage.ts";

/** Data between host and device. */
export interface Transfers {
  upload(buffer: GPUBuffer, data: ArrayBufferView, byteOffset?: number): void;
  read(buffer: GPUBuffer, byteOffset?: number, byteLength?: number): Promise<ArrayBuffer>;
  pendingReads(): number;
}

const CHUNK = 32 * 2 ** 20;
const LEAST = 4096;
/** Bytes written after which Dawn is made to let go of its own copies. */
const FLUSH = 64 * 2 ** 20;
const MOST_IDLE_BYTES = 64 * 2 ** 20;

/**
 * `submit` hands command buffers to the queue. Reads go through a ring of staging buffers, each of which belongs to one read
 * from its copy until it is unmapped: mapping a buffer twice is an error in WebGPU.
 */
export function createTransfers(
  state: DeviceState,
  memory: DeviceMemory,
  submit: (commands: readonly GPUCommandBuffer[]) => void,
): Transfers {
  const { device } = state;
  const idle: GPUBuffer[] = [];
  let pending = 0;
  let written = 0;

  const take = (bytes: number): GPUBuffer => {
    const size = 2 ** Math.ceil(Math.log2(Math.max(bytes, LEAST)));
    const at = idle.findIndex((buffer) => buffer.size === size);
    if (at >= 0) return idle.splice(at, 1)[0]!;
    return memory.create("staging", size, BufferUsage.MAP_READ | BufferUsage.COPY_DST);
  };
  const give = (buffer: GPUBuffer): void => {
    if (!memory.owns(buffer)) return;
    idle.push(buffer);
    let bytes = idle.reduce((sum, b) => sum + b.size, 0);
    while (bytes > MOST_IDLE_BYTES) {
      const oldest = idle.shift()!;
      bytes -= oldest.size;
      memory.destroy([oldest]);
    }
  };
  const readPart = async (source: GPUBuffer, start: number, target: Uint8Array): Promise<void> => {
    const first = Math.floor(start / 4) * 4;
    const bytes = Math.ceil((start + target.length) / 4) * 4 - first;
    const staging = take(bytes);
    const encoder = device.createCommandEncoder({ label: "read" });
    encoder.copyBufferToBuffer(source, first, staging, 0, bytes);
    submit([encoder.finish()]);
    try {
      await state.settle(() => staging.mapAsync(MAP_READ_MODE, 0, bytes));
      target.set(
        new Uint8Array(staging.getMappedRange(0, bytes)).subarray(
          start - first,
          start - first + target.length,
        ),
      );
      staging.unmap();
      give(staging);
    } catch (error) {
      memory.destroy([staging]); // in an unknown state: never reused
      state.check();
      throw new GpuError(
        "E_GPU",
        `reading the buffer ${source.label} failed: ${(error as Error).message}`,
        {},
        { cause: error },
      );
    }
  };

  return {
    upload(buffer, data, byteOffset = 0) {
      state.alive();
      checkRange("upload to", buffer, byteOffset, Math.ceil(data.byteLength / 4) * 4, BufferUsage.COPY_DST);
      if (byteOffset % 4 !== 0) {
        throw new GpuError(
          "E_GPU",
          `upload to the buffer ${buffer.label}: the offset ${byteOffset} is not a multiple of 4.`,
        );
      }
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      const whole = bytes.length - (bytes.length % 4);
      for (let at = 0; at < whole; at += CHUNK) {
        const part = bytes.subarray(at, Math.min(at + CHUNK, whole));
        device.queue.writeBuffer(buffer, byteOffset + at, part as Uint8Array<ArrayBuffer>);
        written += part.length;
        if (written < FLUSH) continue;
        submit([]);
        written = 0;
      }
      if (whole === bytes.length) return;
      const tail = new Uint8Array(4);
      tail.set(bytes.subarray(whole));
      device.queue.writeBuffer(buffer, byteOffset + whole, tail);
    },
    async read(buffer, byteOffset = 0, byteLength = buffer.size - byteOffset) {
      state.check();
      checkRange("read of", buffer, byteOffset, byteLength, BufferUsage.COPY_SRC);
      const result = new Uint8Array(byteLength);
      pending++;
      try {
        for (let at = 0; at < byteLength; at += CHUNK) {
          await readPart(buffer, byteOffset + at, result.subarray(at, Math.min(at + CHUNK, byteLength)));
        }
      } finally {
        pending--;
      }
      state.check();
      return result.buffer;
    },
    pendingReads: () => pending,
  };
}

function checkRange(what: string, buffer: GPUBuffer, offset: number, length: number, usage: number): void {
  const name = `${what} the buffer ${buffer.label || "(unnamed)"}`;
  if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0) {
    throw new GpuError(
      "E_GPU",
      `${name}: offset ${offset} and length ${length} must be whole numbers of bytes.`,
    );
  }
  if (length > buffer.size || offset > buffer.size - length) {
    throw new GpuError(
      "E_GPU",
      `${name}: bytes ${offset} to ${offset + length} lie outside its ${buffer.size} bytes.`,
    );
  }
  if ((buffer.usage & usage) === 0) {
    const flag = usage === BufferUsage.COPY_SRC ? "COPY_SRC" : "COPY_DST";
    throw new GpuError("E_GPU", `${name}: it was created without the usage ${flag}.`);
  }
}
