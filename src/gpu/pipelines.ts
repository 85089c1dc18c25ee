import { GpuError, SecateurError } from "../errors.ts";
import { locate, type ShaderBinding, type ShaderSource, type UniformLayout } from "../shader/source.ts";
import { type KernelName, sources } from "../shader/sources.gen.ts";
import { allowedValue, type SpecValues, specialise, workgroupSize } from "../shader/specialise.ts";
import type { MappedText } from "../shader/unroll.ts";
import { MATRIX_FEATURE } from "./adapter.ts";
import type { DeviceState } from "./state.ts";
import { texelLayout } from "./texels.ts";
import { COMPUTE_STAGE } from "./usage.ts";

export interface CompileOptions {
  /** Entry point; "main" unless said. */
  readonly entry?: string;
  /** New literals for `// @spec` constants, new types for `// @spec` aliases. */
  readonly spec?: SpecValues;
  /** Values of `override` constants; 0 and 1 for a bool. */
  readonly constants?: Readonly<Record<string, number>>;
  /** Unroll the loops marked `// @unroll`? True unless said. */
  readonly unroll?: boolean;
}

/** A kernel that is not among the embedded ones. */
export interface CustomKernel {
  readonly name: string;
  readonly source: ShaderSource;
}

/** A kernel ready to be dispatched. */
export interface CompiledKernel {
  readonly name: string;
  /** Name, entry point and constants: what profilers and errors call it. */
  readonly label: string;
  readonly pipeline: GPUComputePipeline;
  /** Explicit, and one object for all kernels with bindings of the same shape. */
  readonly layout: GPUBindGroupLayout;
  /** The storage, texture and uniform variables that the entry point uses, by WGSL name. */
  readonly bindings: Readonly<Record<string, ShaderBinding>>;
  readonly params?: UniformLayout;
  /** With overrides and specialisation applied. */
  readonly workgroupSize: readonly [number, number, number];
}

/** Compiles each distinct pipeline once: Dawn never returns a pipeline's 0.2 to 0.3 MB. */
export interface PipelineCache {
  compile(kernel: KernelName | CustomKernel, options?: CompileOptions): Promise<CompiledKernel>;
  size(): number;
  clear(): void;
}

const MOST_PIPELINES = 2048;

/** WGSL extensions that kernels enable, and the device feature that each needs. */
const extensionFeatures = [
  ["f16", "shader-f16"],
  ["subgroups", "subgroups"],
  ["chromium_experimental_subgroup_matrix", MATRIX_FEATURE],
] as const;

export function createPipelineCache(state: DeviceState): PipelineCache {
  const { device } = state;
  const kernels = new Map<string, Promise<CompiledKernel>>(); // least recently used first
  const layouts = new Map<string, { group: GPUBindGroupLayout; pipeline: GPUPipelineLayout }>();
  const customs = new WeakMap<ShaderSource, number>();
  let customCount = 0;

  const layoutOf = (bindings: readonly ShaderBinding[], uniformSize: number) => {
    const entries = bindings.map((b): GPUBindGroupLayoutEntry => {
      if (b.kind === "texels")
        return { binding: b.binding, visibility: COMPUTE_STAGE, storageTexture: texelLayout(b.format) };
      const type = b.kind === "uniform" ? "uniform" : b.access === "read" ? "read-only-storage" : "storage";
      const minBindingSize = b.kind === "uniform" ? uniformSize : 0;
      return { binding: b.binding, visibility: COMPUTE_STAGE, buffer: { type, minBindingSize } };
    });
    entries.sort((a, b) => a.binding - b.binding);
    const key = JSON.stringify(entries);
    let found = layouts.get(key);
    if (found === undefined) {
      const group = device.createBindGroupLayout({ label: key, entries });
      found = { group, pipeline: device.createPipelineLayout({ bindGroupLayouts: [group] }) };
      layouts.set(key, found);
    }
    return found;
  };

  const createModule = (
    label: string,
    code: string,
  ): { module: GPUShaderModule; scope: Promise<unknown> } => {
    device.pushErrorScope("validation"); // the pipeline's rejection tells the same again
    const module = device.createShaderModule({ label, code });
    const scope = state.paced(() => device.popErrorScope()).catch(() => undefined);
    return { module, scope };
  };

  const build = async (
    kernel: CustomKernel,
    options: CompileOptions,
    label: string,
  ): Promise<CompiledKernel> => {
    const { source } = kernel;
    const { entry = "main", spec = {}, constants = {} } = options;
    const entryPoint = Object.hasOwn(source.entries, entry) ? source.entries[entry] : undefined;
    if (entryPoint === undefined) {
      throw new GpuError(
        "E_SHADER",
        `${kernel.name} has no entry point ${entry}; it has ${Object.keys(source.entries).join(", ")}.`,
      );
    }
    checkConstants(kernel, constants);
    const size = workgroupSize(source, entry, spec, constants);
    checkWorkgroup(label, size, device.limits);
    const text = specialise(source.code, spec, options.unroll ?? true);
    for (const [extension, feature] of extensionFeatures) {
      const enables = new RegExp(`^\\s*enable\\s+[^;]*\\b${extension}\\b`, "m");
      if (enables.test(text.code) && !device.features.has(feature)) {
        throw new GpuError("E_SHADER", `${label} needs the feature ${feature}, which this adapter lacks.`);
      }
    }
    const bindings = Object.fromEntries(entryPoint.bindings.map((name) => [name, source.bindings[name]!]));
    const params = Object.values(bindings).some((b) => b.kind === "uniform") ? source.uniform : undefined;
    const layout = layoutOf(Object.values(bindings), params?.size ?? 0);

    const { module, scope } = createModule(label, text.code);
    const pipeline = await state
      .settle(() =>
        device.createComputePipelineAsync({
          label,
          layout: layout.pipeline,
          compute: { module, entryPoint: entry, constants: { ...constants } },
        }),
      )
      .catch(async (error: unknown) => {
        if (error instanceof SecateurError) throw error;
        // Unrolling shifts columns; where the text as written is at fault too, it tells them right.
        for (const unrolled of [false, true]) {
          const mapped = unrolled ? text : specialise(source.code, spec, false);
          const again = createModule(label, mapped.code);
          await again.scope;
          const { messages } = await state.settle(() => again.module.getCompilationInfo());
          const errors = messages.filter((m) => m.type === "error");
          if (errors.length > 0 || unrolled) throw compileError(label, source, mapped, errors, error);
        }
        throw error;
      })
      .finally(() => scope);
    state.alive();
    return {
      name: kernel.name,
      label,
      pipeline,
      layout: layout.group,
      bindings,
      ...(params && { params }),
      workgroupSize: size,
    };
  };

  return {
    async compile(kernel, options = {}) {
      state.alive();
      const custom = typeof kernel === "string" ? embedded(kernel) : kernel;
      let id = custom.name;
      if (typeof kernel !== "string") {
        if (!customs.has(kernel.source)) customs.set(kernel.source, ++customCount);
        id += `!${customs.get(kernel.source)}`;
      }
      const label = labelOf(custom, options);
      const key = `${id} ${label}`;
      const known = kernels.get(key);
      kernels.delete(key);
      const compiled = known ?? build(custom, options, label);
      kernels.set(key, compiled);
      if (known !== undefined) return known;
      const oldest = kernels.keys().next();
      if (kernels.size > MOST_PIPELINES && !oldest.done) kernels.delete(oldest.value);
      try {
        return await compiled;
      } catch (error) {
        if (kernels.get(key) === compiled) kernels.delete(key);
        throw error;
      }
    },
    size: () => kernels.size,
    clear() {
      kernels.clear();
      layouts.clear();
    },
  };
}

function embedded(name: KernelName): CustomKernel {
  const source = Object.hasOwn(sources, name) ? sources[name] : undefined;
  if (source === undefined) throw new GpuError("E_SHADER", `there is no kernel named ${name}.`);
  return { name, source };
}

/** Spelled out in full, with spec values as their marks write them, so that equal requests have equal labels. */
function labelOf(
  { name, source }: CustomKernel,
  { entry = "main", spec = {}, constants = {}, unroll = true }: CompileOptions,
): string {
  const pairs = Object.entries(constants).map(([k, v]) => `${k}=${v}`);
  for (const [k, v] of Object.entries(spec)) {
    const mark = Object.hasOwn(source.spec, k) ? source.spec[k] : undefined;
    pairs.push(`${k}:${mark ? allowedValue(k, mark.values, v) : v}`);
  }
  if (!unroll && source.unrollable > 0) pairs.push("rolled");
  return [
    name,
    ...(entry === "main" ? [] : [entry]),
    ...(pairs.length > 0 ? [`{${pairs.sort().join(" ")}}`] : []),
  ].join(" ");
}

function checkConstants({ name, source }: CustomKernel, constants: Readonly<Record<string, number>>): void {
  for (const [key, value] of Object.entries(constants)) {
    const override = Object.hasOwn(source.overrides, key) ? source.overrides[key] : undefined;
    if (override === undefined) {
      const known = Object.keys(source.overrides).join(", ") || "none";
      throw new GpuError("E_SHADER", `${name} has no override ${key}; it has ${known}.`);
    }
    const whole = override.type !== "f32" && override.type !== "f16";
    if (typeof value !== "number" || !Number.isFinite(value) || (whole && !Number.isInteger(value))) {
      throw new GpuError(
        "E_SHADER",
        `${name}: the override ${key} is ${override.type}, but got ${String(value)}.`,
      );
    }
  }
  for (const [key, override] of Object.entries(source.overrides)) {
    if (override.init === undefined && !Object.hasOwn(constants, key)) {
      throw new GpuError("E_SHADER", `${name}: the override ${key} has no default and was given no value.`);
    }
  }
}

function checkWorkgroup(
  label: string,
  size: readonly [number, number, number],
  limits: GPUSupportedLimits,
): void {
  const most = [
    limits.maxComputeWorkgroupSizeX,
    limits.maxComputeWorkgroupSizeY,
    limits.maxComputeWorkgroupSizeZ,
  ];
  const threads = size[0] * size[1] * size[2];
  if (size.some((n, i) => !(n >= 1) || n > most[i]!) || threads > limits.maxComputeInvocationsPerWorkgroup) {
    throw new GpuError(
      "E_SHADER",
      `${label} has workgroups of ${size.join(" x ")} threads; this adapter takes at most ${most.join(" x ")} and ${limits.maxComputeInvocationsPerWorkgroup} in all.`,
    );
  }
}

/** Points into the file that was written, not into the text that was compiled. */
function compileError(
  label: string,
  source: ShaderSource,
  text: MappedText,
  errors: readonly GPUCompilationMessage[],
  cause: unknown,
): GpuError {
  const rows = errors.map((m) => {
    const where = m.lineNum > 0 ? locate(source, text.lines[m.lineNum - 1] ?? m.lineNum) : source.files[0];
    return `${where}:${m.linePos}: ${m.message.trim()}`;
  });
  if (rows.length === 0)
    rows.push(`${source.files[0]}: ${cause instanceof Error ? cause.message.trim() : String(cause)}`);
  return new GpuError("E_SHADER", `${rows.join("\n")}\n(while compiling ${label})`, {}, { cause });
}
