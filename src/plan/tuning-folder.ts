import { mkdir, readdir, stat } from "node:fs/promises";
import { availableParallelism, cpus, homedir } from "node:os";
import { join } from "node:path";
import { FileError } from "../errors.ts";
import { openGpuInNode } from "../gpu/dawn.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { OpenOptions } from "../gpu/open.ts";
import { readFileLimited, writeFileWhole } from "../io/files.ts";
import { keepTuning, mostCharacters, type TuningStore } from "./tuning.ts";

/**
 * Where measurements lie in Node: the folder named by SECATEUR_TUNING_CACHE, else `secateur/tuning` among the user's caches;
 * undefined where SECATEUR_TUNING_CACHE is "off".
 */
export function tuningFolder(): string | undefined {
  const said = process.env.SECATEUR_TUNING_CACHE;
  if (said === "off") return undefined;
  return said || join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "secateur", "tuning");
}

/** Measurements as files `<adapter key>.json` of a folder, which is made when the first one is written. */
export function folderStore(folder: string, warn?: (message: string) => void): TuningStore {
  const file = (name: string): string => join(folder, `${name}.json`);
  return {
    host: `${cpus()[0]?.model ?? ""} ${availableParallelism()}`,
    ...(warn && { warn }),
    async read(name) {
      try {
        return new TextDecoder().decode(await readFileLimited(file(name), 4 * mostCharacters));
      } catch (error) {
        if (error instanceof FileError && isMissing(error.cause)) return undefined;
        throw error;
      }
    },
    async write(name, text) {
      await mkdir(folder, { recursive: true });
      await writeFileWhole(file(name), text);
    },
  };
}

const isMissing = (cause: unknown): boolean =>
  cause instanceof Error && "code" in cause && cause.code === "ENOENT";

/** How many files a folder of measurements holds, and their bytes. */
export async function tuningSize(
  folder: string,
): Promise<{ readonly files: number; readonly bytes: number }> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith(".json"));
  const sizes = await Promise.all(
    names.map((name) =>
      stat(join(folder, name)).then(
        (s) => s.size,
        () => 0,
      ),
    ),
  );
  return { files: names.length, bytes: sizes.reduce((sum, size) => sum + size, 0) };
}

/** Opens the GPU in Node, with what was measured on it kept in the folder of `tuningFolder`. */
export async function openGpuWithTuning(options: OpenOptions = {}): Promise<Gpu> {
  const gpu = await openGpuInNode(options);
  const folder = tuningFolder();
  if (folder !== undefined) keepTuning(gpu, folderStore(folder));
  return gpu;
}
