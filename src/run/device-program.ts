import { internal } from "../errors.ts";
import type { Bound } from "../gpu/bind.ts";
import { workgroupCounts } from "../gpu/dispatch.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { RecordableDispatch } from "../gpu/passes.ts";
import type { CompiledKernel } from "../gpu/pipelines.ts";
import { type TexelCopy, texelBytes } from "../gpu/texels.ts";
import { STORAGE_USAGE, UNIFORM_USAGE } from "../gpu/usage.ts";
import type { Operand } from "../kernels/lowering.ts";
import { toWords } from "../kernels/words.ts";
import type { Lowered } from "../plan/lower.ts";
import { operandKey, planMemory } from "../plan/memory.ts";
import { constantTexels, heldTexels, texelsNeeded } from "./program-texels.ts";

/** One dispatch, ready to be recorded. */
export interface ReadyDispatch extends RecordableDispatch {
  readonly label: string;
  readonly step: number;
}

/** A lowered program with its buffers placed and pipelines built. */
export interface DeviceProgram {
  readonly dispatches: readonly ReadyDispatch[];
  /** Buffer of each graph input and variable, in rows layout. */
  readonly inputs: ReadonlyMap<string, GPUBuffer>;
  readonly outputs: ReadonlyMap<string, GPUBuffer>;
  readonly memory: { readonly activations: number; readonly constants: number; readonly uniforms: number };
  dispose(): void;
}

const uniformAlignment = 256;

/** Builds pipelines (in parallel), places buffers, uploads constants and prepares every bind group. */
export async function buildDeviceProgram(gpu: Gpu, lowered: Lowered, label: string): Promise<DeviceProgram> {
  const live = lowered.dispatches.filter(({ dispatch }) => {
    const { groups } = dispatch;
    return typeof groups === "number" ? groups > 0 : groups.every((g) => g > 0);
  });
  const compiled = await Promise.all(
    live.map(({ dispatch: d }) =>
      gpu.compile(d.kernel, { entry: d.entry, spec: d.spec, constants: d.constants, unroll: true }),
    ),
  );
  const owned: GPUBuffer[] = [];
  const textures: GPUTexture[] = [];
  const texels = texelsNeeded(live);
  const acquire = (name: string, bytes: number, usage: number): GPUBuffer => {
    const buffer = gpu.pool.acquire(`${label} ${name}`, bytes, usage);
    owned.push(buffer);
    return buffer;
  };
  try {
    const plan = planMemory(lowered);
    const slots = plan.slots.map((slot, i) => acquire(`slot ${i}`, slot.words * 4, STORAGE_USAGE));
    const encoder = gpu.device.createCommandEncoder({ label: `${label} clear` });
    for (const [i, slot] of plan.slots.entries()) if (slot.halo !== undefined) encoder.clearBuffer(slots[i]!);
    gpu.submit([encoder.finish()]);
    let constantBytes = 0;
    const formats = constantTexels(live, compiled);
    const constants = lowered.constants.map(({ label: name, data }, id) => {
      const words = toWords(data, name);
      constantBytes += words.byteLength;
      const format = formats.get(id);
      if (format) {
        const texture = gpu.uploadTexels(`${label} ${name}`, words as Float32Array | Uint32Array, format);
        textures.push(texture);
        return texture;
      }
      const buffer = acquire(name, words.byteLength, STORAGE_USAGE);
      gpu.upload(buffer, words);
      return buffer;
    });
    const bufferOf = (operand: Operand): GPUBuffer =>
      operand.kind === "constant"
        ? (constants[operand.id] as GPUBuffer)
        : slots[plan.slotOf.get(operandKey(operand)) ?? internal(`${operandKey(operand)} has no slot`)]!;
    const uniforms = packUniforms(gpu, live, compiled, acquire);
    const shared = texels > 0 ? gpu.createTexels(`${label} texels`, texels) : undefined;
    if (shared) textures.push(shared);
    const held = heldTexels(shared);
    const dispatches = live.map(({ dispatch, label: name, step }, i): ReadyDispatch => {
      const kernel = compiled[i]!;
      const bindings: Record<string, Bound> = {};
      const used = new Set(Object.keys(kernel.bindings));
      const written: GPUBuffer[] = [];
      let copy: TexelCopy | undefined;
      for (const [variable, operand] of Object.entries(dispatch.bindings)) {
        if (!used.has(variable)) continue;
        const count = dispatch.texels?.[variable];
        if (count !== undefined && operand.kind === "constant") {
          bindings[variable] = { texture: constants[operand.id] as GPUTexture };
          continue;
        }
        const buffer = bufferOf(operand);
        if (kernel.bindings[variable]!.access === "read_write") written.push(buffer);
        bindings[variable] = count === undefined ? { buffer } : { texture: shared! };
        if (count !== undefined) copy = held.take(buffer, count);
      }
      held.forget(written);
      const uniform = uniforms.at(i);
      if (uniform && used.has("params")) bindings["params"] = uniform;
      return {
        label: name,
        step,
        pipeline: kernel.pipeline,
        group: gpu.bindGroup(kernel, `${dispatch.kernel} ${name}`, bindings),
        groups: workgroupCounts(dispatch.groups, gpu.device.limits.maxComputeWorkgroupsPerDimension, name),
        ...(copy && { copy }),
      };
    });
    const named = (keys: ReadonlyMap<string, string>): Map<string, GPUBuffer> =>
      new Map([...keys].map(([name, key]) => [name, bufferOf({ kind: "value", name: key })]));
    return {
      dispatches,
      inputs: named(lowered.inputs),
      outputs: named(lowered.outputs),
      memory: {
        activations:
          plan.slots.reduce((sum, s) => sum + s.words * 4, 0) + (texels > 0 ? texelBytes(texels) : 0),
        constants: constantBytes,
        uniforms: uniforms.bytes,
      },
      dispose: giveBack,
    };
  } catch (error) {
    giveBack();
    throw error;
  }

  function giveBack(): void {
    for (const buffer of owned.splice(0)) gpu.pool.release(buffer);
    if (textures.length > 0) void gpu.destroyBuffers(textures.splice(0));
  }
}

interface Uniforms {
  readonly bytes: number;
  at(i: number): { buffer: GPUBuffer; offset: number; size: number } | undefined;
}

/** All uniform structs in one buffer, each at an aligned offset. */
function packUniforms(
  gpu: Gpu,
  live: Lowered["dispatches"],
  compiled: readonly CompiledKernel[],
  acquire: (name: string, bytes: number, usage: number) => GPUBuffer,
): Uniforms {
  const parts = live.map(({ dispatch }, i) =>
    dispatch.params && compiled[i]!.params ? gpu.packParams(compiled[i]!, dispatch.params) : undefined,
  );
  const offsets: number[] = [];
  let bytes = 0;
  for (const part of parts) {
    offsets.push(bytes);
    if (part) bytes += Math.ceil(part.byteLength / uniformAlignment) * uniformAlignment;
  }
  if (bytes === 0) return { bytes, at: () => undefined };
  const all = new Uint8Array(bytes);
  for (const [i, part] of parts.entries()) if (part) all.set(part, offsets[i]);
  const buffer = acquire("uniforms", bytes, UNIFORM_USAGE);
  gpu.upload(buffer, all);
  return {
    bytes,
    at: (i) => (parts[i] ? { buffer, offset: offsets[i]!, size: parts[i]!.byteLength } : undefined),
  };
}
