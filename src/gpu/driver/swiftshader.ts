import { copyFileSync, existsSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

/** Where our own copy of SwiftShader lies once `doctor --fix` has fetched it. */
export function swiftShaderFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "secateur", "swiftshader-138.0.2");
}

const LOADER = "libvulkan.so.1";
export const SWIFTSHADER_FILES = [LOADER, "libvk_swiftshader.so", "vk_swiftshader_icd.json"] as const;

/** Is it there, whole? */
export function hasSwiftShader(): boolean {
  return SWIFTSHADER_FILES.every((name) => existsSync(join(swiftShaderFolder(), name)));
}

/**
 * Points the Vulkan loader of this process, before Dawn creates an instance, at our SwiftShader alone. False where it is not
 * installed. The loader itself can only be found beside Dawn's library where the system has none.
 */
export function useCachedSwiftShader(): boolean {
  if (process.platform !== "linux" || !hasSwiftShader()) return false;
  const manifest = join(swiftShaderFolder(), "vk_swiftshader_icd.json");
  process.env.VK_DRIVER_FILES = manifest;
  process.env.VK_ICD_FILENAMES = manifest;
  provideLoader();
  return true;
}

/** Puts a Vulkan loader beside Dawn's library where the system has none; a folder that cannot be written stays as it is. */
function provideLoader(): void {
  const target = loaderBesideDawn();
  if (target === undefined || existsSync(target) || systemHasLoader()) return;
  try {
    copyFileSync(join(swiftShaderFolder(), LOADER), target);
  } catch {
    // loaderProblem() says what to do
  }
}

/** What to do where SwiftShader is installed and the Vulkan loader cannot be put where Dawn looks for it. */
export function loaderProblem(): string | undefined {
  if (process.platform !== "linux" || !hasSwiftShader() || systemHasLoader()) return undefined;
  const target = loaderBesideDawn();
  if (target !== undefined && existsSync(target)) return undefined;
  return `SwiftShader is installed, but ${target ?? "the package webgpu"} cannot be written: start Node with LD_LIBRARY_PATH=${swiftShaderFolder()}.`;
}

function loaderBesideDawn(): string | undefined {
  try {
    const folder = dirname(createRequire(import.meta.url).resolve("webgpu"));
    return join(folder, "dist", `linux-${process.arch}`, LOADER);
  } catch {
    return undefined;
  }
}

/** Looks where the dynamic linker of the usual distributions looks. */
export function systemHasLoader(): boolean {
  const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
  const folders = [
    ...(process.env.LD_LIBRARY_PATH ?? "").split(":").filter((f) => f !== ""),
    `/usr/lib/${machine}-linux-gnu`,
    `/lib/${machine}-linux-gnu`,
    "/usr/lib64",
    "/lib64",
    "/usr/lib",
    "/usr/local/lib",
    dirname(process.execPath),
  ];
  return folders.some((folder) => existsSync(join(folder, LOADER)));
}
