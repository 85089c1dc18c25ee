import { createHash } from "node:crypto";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { FileError } from "../../errors.ts";
import { runCommand } from "./command.ts";
import type { Log } from "./lavapipe.ts";
import { hasSwiftShader, swiftShaderFolder } from "./swiftshader.ts";
import { untar } from "./tar.ts";

/** An npm package that carries a build of SwiftShader and the Vulkan loader (x64 Linux, glibc 2.17 or later). */
const PACKAGE = "@sparticuz/chromium@138.0.2";
const ARCHIVE = "package/bin/swiftshader.tar.br";
const MOST_BYTES = 256 * 2 ** 20;

/** SHA-256 of each file that is taken, so that nothing else can come in under its name. */
export const SWIFTSHADER_HASHES: Readonly<Record<string, string>> = {
  "libvulkan.so.1": "0e6c7444c43ef671b7d3232706a8b97fb47bb1ce900460f65513b1770dbf4a5d",
  "libvk_swiftshader.so": "fec5ccba6dffd503a71a13a65a53f150caea2f84d23d2f230eec146c541eda1d",
  "vk_swiftshader_icd.json": "c9eef28b6b984fec220ef0abfecc40b502d46946706e47bfe97707027cb818bd",
};

/**
 * Puts SwiftShader into our cache folder, without root, by the user's own npm. True when it is there. Does nothing when it
 * was there before.
 */
export async function fetchSwiftShader(log: Log): Promise<boolean> {
  if (hasSwiftShader()) return true;
  if (process.platform !== "linux" || process.arch !== "x64") {
    log(`SwiftShader can be fetched for x64 Linux only, and this is ${process.arch} ${process.platform}`);
    return false;
  }
  const folder = mkdtempSync(join(tmpdir(), "secateur-"));
  try {
    log(`npm pack ${PACKAGE} (68 MB, for the SwiftShader in it)`);
    const { code, output } = await runCommand("npm", [
      "pack",
      PACKAGE,
      "--silent",
      "--ignore-scripts",
      "--pack-destination",
      folder,
    ]);
    const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"));
    if (code !== 0 || tarball === undefined) {
      log(`npm pack failed: ${output.trim().split("\n").at(-1) ?? `code ${code}`}`);
      return false;
    }
    install(unpackSwiftShader(readFileSync(join(folder, tarball))));
    log(`SwiftShader is now in ${swiftShaderFolder()}`);
    return true;
  } catch (error) {
    log(`SwiftShader could not be unpacked: ${(error as Error).message}`);
    return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The driver's files out of the package's tarball, each checked. */
export function unpackSwiftShader(tarball: Uint8Array, hashes = SWIFTSHADER_HASHES): Map<string, Uint8Array> {
  const outer = untar(gunzipSync(tarball, { maxOutputLength: MOST_BYTES }), (name) => name === ARCHIVE);
  const packed = outer.get(ARCHIVE);
  if (packed === undefined) throw new FileError("E_FORMAT", `the package does not hold ${ARCHIVE}.`);
  const files = untar(brotliDecompressSync(packed, { maxOutputLength: MOST_BYTES }), (name) =>
    Object.hasOwn(hashes, name),
  );
  for (const [name, hash] of Object.entries(hashes)) {
    const bytes = files.get(name);
    if (bytes === undefined) throw new FileError("E_FORMAT", `${ARCHIVE} does not hold ${name}.`);
    const found = createHash("sha256").update(bytes).digest("hex");
    if (found !== hash)
      throw new FileError("E_FORMAT", `${name} in ${ARCHIVE} is not the expected file (SHA-256 ${found}).`);
  }
  return files;
}

/** All files or none: they are written beside the folder, which then takes its name. */
function install(files: ReadonlyMap<string, Uint8Array>): void {
  const target = swiftShaderFolder();
  mkdirSync(dirname(target), { recursive: true });
  const fresh = mkdtempSync(`${target}-`);
  try {
    for (const [name, bytes] of files) writeFileSync(join(fresh, name), bytes, { mode: 0o755 });
    rmSync(target, { recursive: true, force: true });
    renameSync(fresh, target);
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    if (!hasSwiftShader()) throw error; // else another process was faster
  }
}
