import { GpuError } from "../errors.ts";
import type { CompiledKernel } from "./pipelines.ts";
import type { DeviceState } from "./state.ts";

/** A range of a buffer, in bytes; to the buffer's end unless `size` is given. */
export interface BufferRange {
  readonly buffer: GPUBuffer;
  readonly offset?: number;
  readonly size?: number;
}

/** What a variable of a kernel is bound to. */
export type Bound = BufferRange | { readonly texture: GPUTexture };

/**
 * A bind group for a compiled kernel, by variable name. Everything that WebGPU would refuse later, without saying whose
 * fault it was, is checked here: names, alignment, sizes, and whether one buffer is both read and written.
 */
export function createBindGroup(
  state: DeviceState,
  compiled: CompiledKernel,
  label: string,
  bindings: Readonly<Record<string, Bound>>,
): GPUBindGroup {
  state.alive();
  const { limits } = state.device;
  const bad = (why: string): GpuError => new GpuError("E_GPU", `${label} (${compiled.label}): ${why}.`);
  const wanted = Object.keys(compiled.bindings);
  const unknown = Object.keys(bindings).filter((name) => !Object.hasOwn(compiled.bindings, name));
  if (unknown.length > 0)
    throw bad(`the kernel has no binding ${unknown.join(", ")}; it has ${wanted.join(", ")}`);

  const seen: { name: string; buffer: GPUBuffer; start: number; end: number; writes: boolean }[] = [];
  const entries = wanted.map((name): GPUBindGroupEntry => {
    const range = Object.hasOwn(bindings, name) ? bindings[name] : undefined;
    if (range === undefined) throw bad(`nothing is bound to ${name}`);
    const { binding, kind, access } = compiled.bindings[name]!;
    if ("texture" in range || kind === "texels") {
      if (!("texture" in range)) throw bad(`${name} takes a texture, but a buffer is bound to it`);
      if (kind !== "texels") throw bad(`${name} takes a buffer, but a texture is bound to it`);
      return { binding, resource: range.texture.createView() };
    }
    const { buffer, offset = 0 } = range;
    const size = range.size ?? Math.floor((buffer.size - offset) / 4) * 4;
    const [step, most] =
      kind === "uniform"
        ? [limits.minUniformBufferOffsetAlignment, limits.maxUniformBufferBindingSize]
        : [limits.minStorageBufferOffsetAlignment, limits.maxStorageBufferBindingSize];
    if (!Number.isSafeInteger(offset) || offset < 0 || offset % step !== 0) {
      throw bad(`the offset ${offset} of ${name} must be a multiple of ${step} bytes`);
    }
    if (!Number.isSafeInteger(size) || size <= 0 || size % 4 !== 0) {
      throw bad(`the size ${size} of ${name} must be a positive multiple of 4 bytes`);
    }
    if (offset + size > buffer.size) {
      throw bad(
        `${name} takes bytes ${offset} to ${offset + size} of ${buffer.label}, which has ${buffer.size}`,
      );
    }
    if (size > most)
      throw bad(`${name} takes ${size} bytes, but one binding of this adapter holds at most ${most}`);
    if (kind === "uniform" && size < (compiled.params?.size ?? 0)) {
      throw bad(`params takes ${compiled.params?.size} bytes, but ${size} are bound`);
    }
    const writes = access === "read_write";
    const start = offset;
    const end = offset + size;
    for (const other of seen) {
      if (other.buffer !== buffer || (!writes && !other.writes)) continue;
      if (writes !== other.writes) {
        throw bad(`the buffer ${buffer.label} is both read and written, as ${other.name} and ${name}`);
      }
      if (start < other.end && other.start < end) {
        throw bad(`${other.name} and ${name} write overlapping ranges of the buffer ${buffer.label}`);
      }
    }
    seen.push({ name, buffer, start, end, writes });
    return { binding, resource: { buffer, offset, size } };
  });
  return state.device.createBindGroup({ label, layout: compiled.layout, entries });
}
