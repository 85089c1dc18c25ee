import { copyFileSync, existsSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Where our own copy of SwiftShader lies once `doctor --fix` has fetched it. */
export function swiftShaderFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "secateur", "swiftshader-138.0.2");
}

export const SWIFTSHADER_FILES = [
  "libvulkan.so.1",
  "libvk_swiftshader.so",
  "vk_swiftshader_icd.json",
] as const;

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
  if (systemHasLoader()) return;
  try {
    const folder = join(
      dirname(fileURLToPath(import.meta.resolve("webgpu"))),
      "dist",
      `linux-${process.arch}`,
    );
    const target = join(folder, "libvulkan.so.1");
    if (existsSync(folder) && !existsSync(target))
      copyFileSync(join(swiftShaderFolder(), "libvulkan.so.1"), target);
  } catch {
    // Then no adapter is found, and that error says what to do.
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
  return folders.some((folder) => existsSync(join(folder, "libvulkan.so.1")));
}
