import { mkdirSync } from "node:fs";
import { tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { GpuError } from "../errors.ts";
import { loaderProblem, useCachedSwiftShader } from "./driver/swiftshader.ts";
import type { Gpu } from "./gpu.ts";
import { type OpenOptions, openFrom } from "./open.ts";

/** Where nothing fits: what to do about it. */
const NO_ADAPTER =
  "no GPU adapter was found. Run `npx secateur doctor --fix` to get a software driver, or install your GPU's Vulkan driver and libvulkan1.";

/**
 * Timestamps would be rounded to 65,536 ns. Half precision on NVIDIA under Vulkan hides behind a toggle of its own, though it
 * works in compute shaders; subgroup matrices are experimental, which a toggle has to allow.
 */
const TOGGLES = [
  "disable-dawn-features=timestamp_quantization",
  "enable-dawn-features=vulkan_enable_f16_on_nvidia,allow_unsafe_apis",
];

/** Dawn's instances. They stay here for ever: collecting one while it is in use crashes the process. */
const instances = new Map<string, GPU>();

/**
 * Opens the GPU in Node through Dawn. Throws `E_NO_ADAPTER`, saying what to do. Where no other adapter exists and our own
 * copy of SwiftShader is installed, or the environment says `SECATEUR_DRIVER=swiftshader`, that is used.
 */
export async function openGpuInNode(options: OpenOptions = {}): Promise<Gpu> {
  const settings: OpenOptions = { ...options, memoryBudget: options.memoryBudget ?? hostMemory() / 2 };
  if (options.device !== undefined) return openFrom(undefined, settings, NO_ADAPTER);
  const forced = process.env.SECATEUR_DRIVER === "swiftshader";
  if (forced && !useCachedSwiftShader()) {
    throw new GpuError(
      "E_NO_ADAPTER",
      "SECATEUR_DRIVER=swiftshader, but SwiftShader is not installed. Run `npx secateur doctor --fix`.",
    );
  }
  let failure: unknown;
  for (const names of searchOrder(settings.adapter)) {
    // Last of all our own SwiftShader, which the process sees from then on.
    if (names === undefined && (forced || !useCachedSwiftShader())) break;
    try {
      return await openFrom(await instanceFor(names ?? "cached"), settings, NO_ADAPTER);
    } catch (error) {
      if (!(error instanceof GpuError) || error.code !== "E_NO_ADAPTER") throw error;
      failure ??= error;
    }
  }
  const problem = loaderProblem();
  throw problem === undefined ? failure : new GpuError("E_NO_ADAPTER", problem, {}, { cause: failure });
}

/** What to look through: "" is whatever the loader offers first, other names are adapters', undefined is our SwiftShader. */
function searchOrder(adapter: OpenOptions["adapter"]): readonly (string | undefined)[] {
  if (adapter === "hardware") return [""];
  // Beside a hardware adapter a software one is reached only by its name.
  return adapter === "software" ? ["", "llvmpipe", "SwiftShader", "Microsoft", undefined] : ["", undefined];
}

async function instanceFor(name: string): Promise<GPU> {
  let instance = instances.get(name);
  if (instance === undefined) {
    instance = await createInstance(name === "" || name === "cached" ? [] : [`adapter=${name}`]);
    instances.set(name, instance);
  }
  return instance;
}

async function createInstance(extra: readonly string[]): Promise<GPU> {
  quietMesa();
  let webgpu: typeof import("webgpu");
  try {
    webgpu = await import("webgpu");
  } catch (error) {
    const why = (error as Error).message.split("\n")[0];
    throw new GpuError(
      "E_NO_ADAPTER",
      `the package webgpu could not be loaded (${why}). Install it with npm; it needs glibc 2.34 or later on Linux.`,
      {},
      { cause: error },
    );
  }
  return webgpu.create([...TOGGLES, ...extra]);
}

/** Mesa complains on standard error where this folder is not named. */
function quietMesa(): void {
  if (process.platform !== "linux" || process.env.XDG_RUNTIME_DIR) return;
  const folder = join(tmpdir(), `secateur-runtime-${process.getuid?.() ?? 0}`);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    process.env.XDG_RUNTIME_DIR = folder;
  } catch {
    // Only a warning would have been saved.
  }
}

function hostMemory(): number {
  const limit = process.constrainedMemory?.() ?? 0;
  return limit > 0 && limit < totalmem() ? limit : totalmem();
}
