import { workgroupCounts } from "../../src/gpu/dispatch.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { STORAGE_USAGE, UNIFORM_USAGE } from "../../src/gpu/usage.ts";
import type { Dispatch, Operand } from "../../src/kernels/lowering.ts";

/** Key of an operand: one buffer each. */
export const keyOf = (operand: Operand): string =>
  operand.kind === "value" ? `value ${operand.name}` : `${operand.kind} ${operand.id}`;

/**
 * Runs dispatches over buffers given as words, each in a buffer of exactly that size, and gives every buffer back as it is
 * afterwards. Every kernel is held to its declared bindings, and to what all adapters offer: 8 storage buffers, 256 threads.
 */
export async function runDispatches(
  gpu: Gpu,
  dispatches: readonly Dispatch[],
  contents: ReadonlyMap<string, Uint32Array>,
): Promise<Map<string, Uint32Array>> {
  const buffers = new Map<string, GPUBuffer>();
  const uniforms: GPUBuffer[] = [];
  try {
    for (const [key, words] of contents) {
      const buffer = gpu.createBuffer(key, words.byteLength, STORAGE_USAGE);
      if (words.length > 0) gpu.upload(buffer, words);
      buffers.set(key, buffer);
    }
    const encoder = gpu.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (const d of dispatches) {
      const compiled = await gpu.compile(d.kernel, {
        ...(d.entry && { entry: d.entry }),
        ...(d.spec && { spec: d.spec }),
        ...(d.constants && { constants: d.constants }),
      });
      const bindings: Record<string, { buffer: GPUBuffer }> = {};
      for (const [name, operand] of Object.entries(d.bindings)) {
        const buffer = buffers.get(keyOf(operand));
        if (!buffer) throw new Error(`${d.kernel}: nothing is known of ${keyOf(operand)}`);
        bindings[name] = { buffer };
      }
      if (Object.keys(bindings).length > 8) throw new Error(`${d.kernel} binds more than 8 buffers`);
      if (d.params) {
        const bytes = gpu.packParams(compiled, d.params);
        const uniform = gpu.createBuffer("params", bytes.byteLength, UNIFORM_USAGE);
        uniforms.push(uniform);
        gpu.upload(uniform, bytes);
        bindings["params"] = { buffer: uniform };
      }
      const limit = gpu.device.limits.maxComputeWorkgroupsPerDimension;
      const counts = workgroupCounts(d.groups, limit, d.kernel);
      if (counts.some((n) => n === 0)) continue;
      pass.setPipeline(compiled.pipeline);
      pass.setBindGroup(0, gpu.bindGroup(compiled, d.kernel, bindings));
      pass.dispatchWorkgroups(...counts);
    }
    pass.end();
    gpu.submit([encoder.finish()]);
    const results = new Map<string, Uint32Array>();
    for (const [key, buffer] of buffers) {
      const bytes = (contents.get(key)?.length ?? 0) * 4;
      results.set(key, bytes === 0 ? new Uint32Array(0) : new Uint32Array(await gpu.read(buffer, 0, bytes)));
    }
    return results;
  } finally {
    await gpu.destroyBuffers([...buffers.values(), ...uniforms]);
  }
}
