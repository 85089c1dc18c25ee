import { GpuError, InputError } from "../errors.ts";
import {
  type AdapterInfo,
  adapterFacts,
  COMPUTE_LIMITS,
  isSoftware,
  refuseNullBackend,
  WANTED_FEATURES,
} from "./adapter.ts";
import { type Gpu, wrapDevice } from "./gpu.ts";

export interface OpenOptions {
  /** The caller's own device: used, never destroyed. */
  readonly device?: GPUDevice;
  /** "any" unless said. */
  readonly adapter?: "hardware" | "software" | "any";
  /** Most bytes of device memory to allocate. */
  readonly memoryBudget?: number;
  /** What errors call this device. */
  readonly label?: string;
}

/** Where a browser does not say how much memory there is. */
const DEFAULT_BUDGET = 4 * 2 ** 30;

const NO_ADAPTER =
  "WebGPU found no adapter. Use a browser with WebGPU switched on and a GPU that it supports.";

/**
 * Opens the GPU through `navigator.gpu`, or wraps the caller's own device. Throws `E_NO_ADAPTER` where there is none that
 * fits.
 */
export async function openGpu(options: OpenOptions = {}): Promise<Gpu> {
  const { navigator } = globalThis as { navigator?: { gpu?: GPU } };
  if (options.device === undefined && navigator?.gpu === undefined) {
    throw new GpuError(
      "E_NO_ADAPTER",
      "this environment has no WebGPU (navigator.gpu). Pass a device of your own, or use a browser that has it.",
    );
  }
  return openFrom(navigator?.gpu, options, NO_ADAPTER);
}

/** Opens the first adapter that fits among what the given entry points offer; each is a WebGPU instance. */
export async function openFrom(
  instances: GPU | readonly GPU[] | undefined,
  options: OpenOptions,
  noAdapter: string,
): Promise<Gpu> {
  const { adapter: wanted = "any", memoryBudget = DEFAULT_BUDGET, label = "the GPU" } = options;
  if (!["hardware", "software", "any"].includes(wanted)) {
    throw new InputError(
      `adapter must be "hardware", "software" or "any", but is ${JSON.stringify(wanted)}.`,
    );
  }
  if (!(memoryBudget > 0))
    throw new InputError(`memoryBudget must be a positive number of bytes, but is ${memoryBudget}.`);
  if (options.device !== undefined) {
    const info: AdapterInfo = options.device.adapterInfo ?? {};
    refuseNullBackend(info);
    // A device does not say which WGSL is compiled for it; the entry point that it most likely came from does.
    const [entry] = instances === undefined ? [] : [instances].flat();
    return wrapDevice(options.device, adapterFacts(options.device, info, entry?.wgslLanguageFeatures), {
      label,
      own: false,
      memoryBudget,
    });
  }
  const found = await chooseAdapter(instances === undefined ? [] : [instances].flat(), wanted);
  if (found === undefined) throw new GpuError("E_NO_ADAPTER", noAdapter);
  if ("refused" in found) {
    throw new GpuError(
      "E_NO_ADAPTER",
      `a ${wanted} adapter was asked for, but there is only ${found.refused}.`,
    );
  }
  const { adapter } = found;
  const limits = COMPUTE_LIMITS.map((name) => [name, adapter.limits[name]] as const);
  let device: GPUDevice;
  try {
    device = await adapter.requestDevice({
      label,
      requiredFeatures: WANTED_FEATURES.filter((name) => adapter.features.has(name)),
      requiredLimits: Object.fromEntries(limits.filter(([, value]) => value !== undefined)),
    });
  } catch (error) {
    const { description = "unnamed" } = adapter.info ?? {};
    const message = `the adapter ${description} gives no device: ${(error as Error).message}`;
    throw new GpuError("E_NO_ADAPTER", message, {}, { cause: error });
  }
  const facts = adapterFacts(device, adapter.info ?? {}, found.instance.wgslLanguageFeatures);
  return wrapDevice(device, facts, { label, own: true, memoryBudget });
}

async function chooseAdapter(
  instances: readonly GPU[],
  wanted: "hardware" | "software" | "any",
): Promise<{ instance: GPU; adapter: GPUAdapter } | { refused: string } | undefined> {
  let refused: string | undefined;
  // An adapter serves one device only, so each call asks for a fresh one.
  const requests: GPURequestAdapterOptions[] =
    wanted === "software" ? [{ forceFallbackAdapter: true }, {}] : [{ powerPreference: "high-performance" }];
  for (const instance of instances) {
    for (const request of requests) {
      const adapter = await instance.requestAdapter(request).catch(() => null);
      if (adapter === null) continue;
      const info: AdapterInfo = adapter.info ?? {};
      refuseNullBackend(info);
      if (wanted === "any" || isSoftware(info) === (wanted === "software")) return { instance, adapter };
      refused = info.description || info.device || info.vendor || "an unnamed adapter of the other kind";
    }
  }
  return refused === undefined ? undefined : { refused };
}
