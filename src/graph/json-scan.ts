import { FileError, printable } from "../errors.ts";

/** Bounds on JSON text from outside. */
export interface JsonLimits {
  readonly depth: number;
  /** Keys of one object. */
  readonly keys: number;
}

/**
 * One pass over JSON text before JSON.parse sees it: refuses nesting beyond the limit and objects with too many keys
 * (E_LIMIT), and objects that name a key twice (E_DUPLICATE), of which JSON.parse would silently keep the last. It does
 * not check syntax; JSON.parse does.
 */
export function scanJson(text: string, limits: JsonLimits): void {
  // One entry per open bracket: the keys seen for an object, null for an array.
  const open: (Set<string> | null)[] = [];
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x22) {
      const end = stringEnd(text, i);
      const keys = open.at(-1);
      if (keys && followedByColon(text, end)) addKey(keys, text.slice(i, end), limits.keys);
      i = end - 1;
    } else if (c === 0x7b || c === 0x5b) {
      open.push(c === 0x7b ? new Set() : null);
      if (open.length > limits.depth) {
        throw new FileError(
          "E_LIMIT",
          `the header nests deeper than ${limits.depth} levels at character ${i}. The file is damaged or hostile.`,
        );
      }
    } else if (c === 0x7d || c === 0x5d) open.pop();
  }
}

/** Index after the closing quote of the string that starts at `start`, or the end of the text. */
function stringEnd(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x5c) i++;
    else if (c === 0x22) return i + 1;
  }
  return text.length;
}

function followedByColon(text: string, from: number): boolean {
  for (let i = from; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return c === 0x3a;
  }
  return false;
}

function addKey(keys: Set<string>, literal: string, limit: number): void {
  let key = literal.slice(1, -1);
  if (key.includes("\\")) {
    try {
      key = String(JSON.parse(literal));
    } catch {
      return; // JSON.parse of the whole text reports it.
    }
  }
  if (keys.has(key)) {
    throw new FileError(
      "E_DUPLICATE",
      `the header names "${printable(key)}" twice. Every name may appear once.`,
      {
        tensor: printable(key),
      },
    );
  }
  keys.add(key);
  if (keys.size > limit) {
    throw new FileError(
      "E_LIMIT",
      `an object of the header has more than ${limit} names; that is the limit.`,
    );
  }
}
