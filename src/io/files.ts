import { randomBytes } from "node:crypto";
import { open, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { FileError, printable, UsageError } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { arches, findArch } from "../nets/arches.ts";
import { buildNet } from "../nets/build-net.ts";
import { externalBeside } from "./external.ts";
import { formatOf, modelFromBytes, modelToBytes, neededFormat } from "./model.ts";
import { defaultMaxBytes, type LoadOptions, loadModel as loadFromWeb, type ModelSource } from "./web.ts";

/**
 * Loads a model from a path, a URL or bytes. External tensor data is read for models opened by path, from their own
 * folder only. Throws E_IO, E_LIMIT, and what the readers throw.
 */
export async function loadModel(source: ModelSource, options: LoadOptions = {}): Promise<Graph> {
  const path = pathOf(source);
  if (path === undefined) return loadFromWeb(source, options);
  const maxBytes = options.maxBytes ?? defaultMaxBytes;
  const bytes = await readFileLimited(path, maxBytes);
  return modelFromBytes(bytes, { name: path, ...options }, externalBeside(path, maxBytes));
}

function pathOf(source: ModelSource): string | undefined {
  if (typeof source !== "string" && !(source instanceof URL)) return undefined;
  const text = String(source);
  if (/^file:\/\//i.test(text)) {
    try {
      return fileURLToPath(text);
    } catch (cause) {
      throw ioError(text, "opened", cause);
    }
  }
  return source instanceof URL || /^(https?|data|blob):/i.test(text) ? undefined : text;
}

/**
 * Writes a model file, whole or not at all, and returns its bytes; the extension chooses the format. Throws E_INPUT for
 * another extension, E_IO where the file cannot be written.
 */
export async function saveModel(graph: Graph, path: string): Promise<Uint8Array> {
  const bytes = modelToBytes(graph, neededFormat(path));
  await writeFileWhole(path, bytes);
  return bytes;
}

/** The forms of MODEL on the command line. */
export type ModelSpec =
  | { readonly kind: "file"; readonly path: string; readonly arch?: string }
  | { readonly kind: "net"; readonly arch: string };

/**
 * `file.onnx`, `file.safetensors`, `ARCH:weights.safetensors` or `ARCH`. Throws E_USAGE for anything else.
 */
export function parseModelSpec(text: string): ModelSpec {
  if (findArch(text)) return { kind: "net", arch: text };
  const colon = text.indexOf(":");
  const arch = text.slice(0, Math.max(colon, 0));
  if (findArch(arch)) {
    const path = text.slice(colon + 1);
    if (path === "")
      throw new UsageError(`"${printable(text)}" names no weights. Write ${arch}:weights.safetensors.`);
    return { kind: "file", path, arch };
  }
  if (formatOf(text)) return { kind: "file", path: text };
  throw new UsageError(
    `"${printable(text)}" is no model: give file.onnx, file.safetensors, ARCH:weights.safetensors or ARCH, ` +
      `where ARCH is one of ${arches.map((a) => a.name).join(" ")}.`,
  );
}

/** Opens a MODEL argument; a bare ARCH gets weights drawn from `seed`. Throws E_USAGE, E_IO, and what the readers throw. */
export async function openModel(
  spec: string,
  options: LoadOptions & { readonly seed?: number } = {},
): Promise<Graph> {
  const parsed = parseModelSpec(spec);
  if (parsed.kind === "net") return buildNet(parsed.arch, { seed: options.seed });
  return loadModel(parsed.path, parsed.arch === undefined ? options : { ...options, arch: parsed.arch });
}

/** A regular file's bytes, refused before reading when it is larger than `maxBytes`. Throws E_IO, E_LIMIT. */
export async function readFileLimited(path: string, maxBytes: number = defaultMaxBytes): Promise<Uint8Array> {
  try {
    const before = await stat(path);
    if (!before.isFile()) throw new FileError("E_IO", `${printable(path)} is no regular file.`);
    const handle = await open(path, "r");
    try {
      const { size } = await handle.stat();
      if (size > maxBytes) {
        throw new FileError(
          "E_LIMIT",
          `${printable(path)} has ${size} bytes; the limit is ${maxBytes}. Raise maxBytes if it is meant.`,
        );
      }
      const bytes = new Uint8Array(size);
      for (let done = 0; done < size; ) {
        const { bytesRead } = await handle.read(bytes, done, Math.min(size - done, 2 ** 30), done);
        if (bytesRead === 0)
          throw new FileError("E_IO", `${printable(path)} became shorter while it was read.`);
        done += bytesRead;
      }
      return bytes;
    } finally {
      await handle.close();
    }
  } catch (cause) {
    throw cause instanceof FileError ? cause : ioError(path, "read", cause);
  }
}

/** Writes through a temporary file beside the target, so that the target is never half written. Throws E_IO. */
export async function writeFileWhole(path: string, data: Uint8Array | string): Promise<void> {
  // A link is followed, so that it stays one; a device or folder is no place for a file.
  const target = await realpath(path).catch(() => path);
  const temporary = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString("hex")}.tmp`);
  try {
    const before = await stat(target).catch(() => undefined);
    if (before && !before.isFile()) throw new FileError("E_IO", `${printable(path)} is no regular file.`);
    const handle = await open(temporary, "wx");
    try {
      await handle.writeFile(data);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, target);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw cause instanceof FileError ? cause : ioError(path, "written", cause);
  }
}

function ioError(path: string, what: string, cause: unknown): FileError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const reasons = new Map([
    ["ENOENT", what === "written" ? "its folder does not exist" : "there is no such file"],
    ["EACCES", "access is denied"],
    ["EPERM", "access is denied"],
    ["EISDIR", "it is a folder"],
    ["ENOTDIR", "a part of its path is no folder"],
    ["ENOSPC", "the disk is full"],
    ["EROFS", "the file system is read-only"],
    ["ENOTEMPTY", "it is a folder"],
    ["EEXIST", "it is a folder"],
  ]);
  const why = reasons.get(code) ?? printable(cause instanceof Error ? cause.message : String(cause));
  return new FileError(
    "E_IO",
    `${printable(path)} cannot be ${what}: ${why}.`,
    { file: printable(path) },
    { cause },
  );
}
