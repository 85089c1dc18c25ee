import { FileError, InputError, printable } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { guardedAsync } from "./fault.ts";
import { type ModelOptions, modelFromBytes, modelToBytes, neededFormat } from "./model.ts";

/** Where a model comes from: a URL, bytes, or (in Node) a path. */
export type ModelSource = string | URL | Uint8Array | ArrayBuffer;

export interface LoadOptions extends ModelOptions {
  /** Largest accepted file in bytes (default 4 GiB). */
  readonly maxBytes?: number;
}

export const defaultMaxBytes = 2 ** 32;

/**
 * Loads a model from a URL (a string is one, relative to the page) or from bytes. External tensor data is never
 * followed. The graph may keep views of the bytes, so leave them as they are.
 * Throws E_IO where the URL cannot be read, E_LIMIT where it is too large, and what {@link modelFromBytes} throws.
 */
export async function loadModel(source: ModelSource, options: LoadOptions = {}): Promise<Graph> {
  if (source instanceof Uint8Array) return modelFromBytes(source, options);
  if (source instanceof ArrayBuffer) return modelFromBytes(new Uint8Array(source), options);
  if (typeof source !== "string" && !(source instanceof URL)) {
    throw new InputError(`a model is loaded from a URL, a path or bytes, not from ${String(source)}.`);
  }
  const url = String(source);
  const name = options.name ?? url.replace(/[?#].*$/, "");
  const bytes = await guardedAsync(undefined, () => fetchBytes(url, options.maxBytes ?? defaultMaxBytes));
  return modelFromBytes(bytes, { ...options, name });
}

/**
 * The bytes of a model file; `name` chooses the format by its extension. In Node the same call also writes the file of
 * that name. Throws E_INPUT for any other extension.
 */
export async function saveModel(graph: Graph, name: string): Promise<Uint8Array> {
  return modelToBytes(graph, neededFormat(name));
}

/** The body of a URL, refused as soon as it is longer than `maxBytes`. */
async function fetchBytes(url: string, maxBytes: number): Promise<Uint8Array> {
  const failed = (why: string, cause?: unknown): never => {
    throw new FileError(
      "E_IO",
      `${printable(url)} cannot be read: ${printable(why)}.`,
      { file: printable(url) },
      { cause },
    );
  };
  const response = await fetch(url).catch((cause: unknown) => {
    return failed(cause instanceof Error ? cause.message : String(cause), cause);
  });
  if (!response.ok) return failed(`the server answered ${response.status}`);
  if (!response.body) return new Uint8Array(0);
  const reader = response.body.getReader();
  const parts: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const part = await reader.read().catch((cause: unknown) => failed("the transfer broke off", cause));
    if (part.done) break;
    parts.push(part.value);
    size += part.value.length;
    if (size > maxBytes) {
      await reader.cancel();
      throw new FileError(
        "E_LIMIT",
        `${printable(url)} is larger than ${maxBytes} bytes. Raise maxBytes if it is meant.`,
      );
    }
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
