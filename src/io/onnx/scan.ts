import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { FileError } from "../../errors.ts";
import { maxNodes } from "../../graph/graph.ts";

/** Bounds that hold before the protobuf library allocates anything. */
export const scanLimits = {
  depth: 64,
  nodes: maxNodes,
  /** Sub-messages of any type: each becomes an object of some hundred bytes. */
  messages: 1_000_000,
  /** Elements of repeated numbers outside raw_data: each may take 32 bytes once decoded. */
  elements: 2 ** 24,
} as const;

const wireNames = ["varint", "64-bit", "length-delimited", "group start", "group end", "32-bit"];

interface FieldRule {
  /** Wire type of one element. */
  readonly wire: number;
  readonly packable: boolean;
  readonly text: boolean;
  readonly label: string;
  readonly message: DescMessage | undefined;
}

const rulesOf = new WeakMap<DescMessage, ReadonlyMap<number, FieldRule>>();

/**
 * Walks protobuf bytes once, without decoding, and refuses what a decoder might choke on: groups, field number 0, wire
 * types that do not fit the schema, lengths beyond the enclosing message, varints over ten bytes, text that is not UTF-8
 * (all E_PROTO), bytes that end inside a value (E_TRUNCATED), and depth or counts beyond {@link scanLimits} (E_LIMIT).
 */
export function scanProto(root: DescMessage, bytes: Uint8Array): void {
  const stack: { rules: ReadonlyMap<number, FieldRule>; end: number }[] = [
    { rules: fieldRules(root), end: bytes.length },
  ];
  const counts = { messages: 0, nodes: 0, elements: 0 };
  const cursor = makeCursor(bytes);
  for (let top = stack.at(-1); top; top = stack.at(-1)) {
    if (cursor.at >= top.end) {
      stack.pop();
      continue;
    }
    const start = cursor.at;
    const tag = cursor.number(top.end);
    const field = Math.floor(tag / 8);
    const wire = tag % 8;
    if (field === 0 || tag > 0xffffffff) fail(`field number ${field} is not legal`, start);
    if (wire !== 0 && wire !== 1 && wire !== 2 && wire !== 5) {
      fail(`wire type ${wire} (${wireNames[wire] ?? "unknown"}) is not accepted`, start);
    }
    const rule = top.rules.get(field);
    if (rule && wire !== rule.wire && !(rule.packable && wire === 2)) {
      fail(`${rule.label} has wire type ${wireNames[wire]}, not ${wireNames[rule.wire]}`, start);
    }
    if (wire !== 2) {
      if (wire === 0) cursor.skipVarint(top.end);
      else cursor.skip(wire === 1 ? 8 : 4, top.end);
      if (rule?.packable) count(counts, "elements", 1, start);
      continue;
    }
    const length = cursor.number(top.end);
    if (length > top.end - cursor.at) {
      const left = top.end - cursor.at;
      fail(
        `a value of ${length} bytes is announced where ${left} are left; the file is damaged or truncated`,
        start,
      );
    }
    const end = cursor.at + length;
    if (rule?.message) {
      count(counts, "messages", 1, start);
      if (rule.message.name === "NodeProto") count(counts, "nodes", 1, start);
      stack.push({ rules: fieldRules(rule.message), end });
      if (stack.length > scanLimits.depth) limit(`messages nest deeper than ${scanLimits.depth}`, start);
      continue;
    }
    if (rule?.packable) count(counts, "elements", cursor.packed(rule, end), start);
    else if (rule?.text) checkText(bytes.subarray(cursor.at, end), rule.label, start);
    cursor.at = end;
  }
}

function fail(what: string, offset: number): never {
  throw new FileError("E_PROTO", `${what} (byte ${offset}). This is no ONNX file, or it is damaged.`, {
    offset,
  });
}

function limit(what: string, offset: number): never {
  throw new FileError("E_LIMIT", `${what} (byte ${offset}); that is the limit.`, { offset });
}

function count(
  counts: Record<string, number>,
  kind: "messages" | "nodes" | "elements",
  n: number,
  offset: number,
) {
  counts[kind]! += n;
  if (counts[kind]! > scanLimits[kind]) limit(`the file holds more than ${scanLimits[kind]} ${kind}`, offset);
}

interface Cursor {
  at: number;
  number(end: number): number;
  skipVarint(end: number): void;
  skip(n: number, end: number): void;
  packed(rule: FieldRule, end: number): number;
}

function makeCursor(bytes: Uint8Array): Cursor {
  const cut = (at: number): never => {
    throw new FileError(
      "E_TRUNCATED",
      `the data ends inside a value at byte ${at}. The file is damaged or truncated.`,
      {
        offset: at,
      },
    );
  };
  const cursor: Cursor = {
    at: 0,
    // A varint of up to ten bytes as a double: exact below 2^53, far beyond any length above.
    number(end) {
      let value = 0;
      let scale = 1;
      const start = cursor.at;
      for (;;) {
        if (cursor.at >= end) cut(cursor.at);
        const byte = bytes[cursor.at++]!;
        value += (byte & 0x7f) * scale;
        if (byte < 0x80) return value;
        scale *= 128;
        if (cursor.at - start >= 10) fail("a varint is longer than ten bytes", start);
      }
    },
    skipVarint(end) {
      const start = cursor.at;
      for (;;) {
        if (cursor.at >= end) cut(cursor.at);
        if (bytes[cursor.at++]! < 0x80) return;
        if (cursor.at - start >= 10) fail("a varint is longer than ten bytes", start);
      }
    },
    skip(n, end) {
      if (end - cursor.at < n) cut(cursor.at);
      cursor.at += n;
    },
    packed(rule, end) {
      const start = cursor.at;
      let n = 0;
      if (rule.wire === 0) for (; cursor.at < end; n++) cursor.skipVarint(end);
      else {
        const width = rule.wire === 1 ? 8 : 4;
        n = (end - start) / width;
        if (!Number.isInteger(n))
          fail(`${rule.label} has ${end - start} bytes, no multiple of ${width}`, start);
      }
      return n;
    },
  };
  return cursor;
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

function checkText(bytes: Uint8Array, label: string, offset: number): void {
  try {
    utf8.decode(bytes);
  } catch {
    fail(`${label} is not UTF-8`, offset);
  }
}

function fieldRules(desc: DescMessage): ReadonlyMap<number, FieldRule> {
  let rules = rulesOf.get(desc);
  if (!rules) {
    rules = new Map(desc.fields.map((field) => [field.number, ruleOf(field, desc)]));
    rulesOf.set(desc, rules);
  }
  return rules;
}

function ruleOf(field: DescField, desc: DescMessage): FieldRule {
  const label = `${desc.name}.${field.name}`;
  const message = "message" in field ? field.message : undefined;
  const scalar = "scalar" in field ? field.scalar : undefined;
  const repeated = field.fieldKind === "list";
  const wire = message ? 2 : scalar === undefined ? 0 : wireOf(scalar);
  return { wire, packable: repeated && wire !== 2, text: scalar === ScalarType.STRING, label, message };
}

function wireOf(scalar: ScalarType): number {
  switch (scalar) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return 2;
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return 1;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return 5;
    default:
      return 0;
  }
}
