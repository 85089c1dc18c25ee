import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ErrorCode } from "../../src/errors.ts";
import { readSafetensors, writeSafetensors } from "../../src/io/safetensors.ts";
import { allocate, byteWidth, type DType, dtypes, viewBytes } from "../../src/tensor/dtype.ts";
import { type HostTensor, tensor, toNumbers } from "../../src/tensor/host-tensor.ts";
import { refuses, sameTensor, shared } from "../support/files.ts";

const test = suite("safetensors");

/** A file with this header text and this many data bytes. */
function file(header: string | Uint8Array, data = 0, length?: bigint): Uint8Array {
  const text = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const out = new Uint8Array(8 + text.length + data);
  new DataView(out.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  out.set(text, 8);
  return out;
}

const entry = (name: string, shape: string, offsets: string, dtype = "F32"): string =>
  `"${name}":{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}`;
const one = (shape: string, offsets: string, data: number): Uint8Array =>
  file(`{${entry("a", shape, offsets)}}`, data);

const anyTensor: fc.Arbitrary<HostTensor> = fc
  .tuple(fc.constantFrom(...dtypes), fc.array(fc.nat(4), { maxLength: 3 }))
  .chain(([dtype, shape]: [DType, number[]]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    return fc
      .uint8Array({ minLength: size * byteWidth(dtype), maxLength: size * byteWidth(dtype) })
      .map((bytes) => {
        const raw = viewBytes(dtype, new Uint8Array(bytes), 0, size);
        const data = dtype === "bool" ? Uint8Array.from(raw as Uint8Array, (x) => x & 1) : raw;
        return { dtype, shape, data };
      });
  });

test("what is written is read back, bit by bit, whatever the names", () => {
  const property = fc.property(
    fc.uniqueArray(fc.tuple(fc.string({ unit: "binary" }), anyTensor), {
      selector: ([name]) => name,
      maxLength: 6,
    }),
    fc.uniqueArray(fc.tuple(fc.string({ unit: "binary" }), fc.string({ unit: "binary" })), {
      selector: ([key]) => key,
      maxLength: 4,
    }),
    (tensors, metadata) => {
      const given = new Map(tensors.filter(([name]) => name !== "__metadata__"));
      const bytes = writeSafetensors(given, new Map(metadata));
      const back = readSafetensors(bytes);
      assert.equal([...back.tensors.keys()].sort(), [...given.keys()].sort());
      assert.equal([...back.metadata].sort(), [...metadata].sort());
      for (const [name, t] of given) sameTensor(t, back.tensors.get(name)!, name);
      const shuffled = writeSafetensors(new Map([...given].reverse()), new Map([...metadata].reverse()));
      assert.ok(Buffer.from(bytes).equals(Buffer.from(shuffled)), "bytes depend on the order of the maps");
    },
  );
  fc.assert(property, { numRuns: 300, seed: 7 });
});

test("names that JavaScript objects trip over are ordinary names", () => {
  const names = ["__proto__", "constructor", "toString", "hasOwnProperty", "a.__proto__.b"];
  const given = new Map(names.map((name, i) => [name, tensor([i], [1])]));
  const back = readSafetensors(writeSafetensors(given)).tensors;
  for (const [i, name] of names.entries()) assert.equal(toNumbers(back.get(name)!), [i]);
  assert.is(({} as Record<string, unknown>).b, undefined, "Object.prototype was polluted");
});

test("NaN, infinities, empty tensors, scalars and unaligned data load", () => {
  const odd = file(`{${entry("a", "[3]", "[0,12]")}}   `.slice(0, -1), 12);
  assert.ok((odd.length - 12) % 4 !== 0, "the data of this case is meant to be unaligned");
  new DataView(odd.buffer).setFloat32(odd.length - 12, Number.NaN, true);
  new DataView(odd.buffer).setFloat32(odd.length - 8, Number.NEGATIVE_INFINITY, true);
  assert.equal(toNumbers(readSafetensors(odd).tensors.get("a")!), [Number.NaN, Number.NEGATIVE_INFINITY, 0]);
  const empty = `{${entry("e", "[0,9007199254740991]", "[0,0]")},${entry("f", "[0]", "[0,0]")},${entry("s", "[]", "[0,4]")}}`;
  const tensors = readSafetensors(file(empty, 4)).tensors;
  assert.equal(tensors.get("e")!.shape, [0, 9007199254740991]);
  assert.equal(toNumbers(tensors.get("s")!), [0]);
});

test("a view into a larger buffer is read in place, also a Buffer of Node's pool", () => {
  const bytes = writeSafetensors(new Map([["w", tensor([1, 2, 3], [3])]]));
  for (let shift = 0; shift < 8; shift++) {
    const pool = Buffer.alloc(bytes.length + 16);
    pool.set(bytes, shift);
    const back = readSafetensors(pool.subarray(shift, shift + bytes.length)).tensors.get("w")!;
    assert.equal(toNumbers(back), [1, 2, 3]);
  }
});

test("BF16 is widened exactly", () => {
  const bytes = file(`{${entry("a", "[3]", "[0,6]", "BF16")}}`, 6);
  bytes.set([0x80, 0x3f, 0x20, 0xc1, 0x80, 0x7f], bytes.length - 6);
  const t = readSafetensors(bytes).tensors.get("a")!;
  assert.is(t.dtype, "f32");
  assert.equal(toNumbers(t), [1, -10, Number.POSITIVE_INFINITY]);
});

test("bool bytes other than 0 and 1 become 1", () => {
  const bytes = file(`{${entry("a", "[3]", "[0,3]", "BOOL")}}`, 3);
  bytes.set([0, 255, 1], bytes.length - 3);
  assert.equal(toNumbers(readSafetensors(bytes).tensors.get("a")!), [0, 1, 1]);
});

const ok = entry("a", "[1]", "[0,4]");
const many = (n: number): string => `{${Array.from({ length: n }, (_, i) => `"${i}":{}`).join(",")}}`;
const cases: readonly (readonly [string, ErrorCode, () => Uint8Array])[] = [
  ["empty file", "E_TRUNCATED", () => new Uint8Array(0)],
  ["seven bytes", "E_TRUNCATED", () => new Uint8Array(7)],
  ["header length 0", "E_HEADER_SIZE", () => file(`{${ok}}`, 4, 0n)],
  ["header length 2^63", "E_HEADER_SIZE", () => file(`{${ok}}`, 4, 2n ** 63n)],
  ["header length 2^53", "E_HEADER_SIZE", () => file(`{${ok}}`, 4, 2n ** 53n)],
  ["header length size + 1", "E_HEADER_SIZE", () => file("{}", 0, 3n)],
  ["header over the limit", "E_LIMIT", () => file(`{}${" ".repeat(17 * 2 ** 20)}`)],
  ["not UTF-8", "E_HEADER_SYNTAX", () => file(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d))],
  ["BOM", "E_HEADER_SYNTAX", () => file("\ufeff{}")],
  ["no object", "E_HEADER_SYNTAX", () => file("12")],
  ["array", "E_HEADER_SYNTAX", () => file("[]")],
  ["leading space", "E_HEADER_SYNTAX", () => file(" {}")],
  ["trailing text", "E_HEADER_SYNTAX", () => file("{}x")],
  ["trailing newline", "E_HEADER_SYNTAX", () => file("{}\n")],
  ["trailing NUL", "E_HEADER_SYNTAX", () => file("{}\0")],
  ["two objects", "E_HEADER_SYNTAX", () => file("{}{}")],
  ["cut off", "E_HEADER_SYNTAX", () => file(`{${ok}`, 4)],
  ["open string", "E_HEADER_SYNTAX", () => file('{"a')],
  ["depth bomb", "E_LIMIT", () => file(`{"a":${"[".repeat(5_000_000)}`)],
  ["depth bomb of objects", "E_LIMIT", () => file('{"a":'.repeat(100_000))],
  ["a million keys", "E_LIMIT", () => file(many(1_000_000))],
  ["duplicate name", "E_DUPLICATE", () => file(`{${ok},${ok}}`, 4)],
  ["duplicate name, escaped", "E_DUPLICATE", () => file(`{${ok},${entry("\\u0061", "[1]", "[0,4]")}}`, 4)],
  ["duplicate __proto__", "E_DUPLICATE", () => file('{"__proto__":{},"__proto__":{}}')],
  ["duplicate field", "E_DUPLICATE", () => file('{"a":{"dtype":"F32","dtype":"F32"}}')],
  ["duplicate metadata", "E_DUPLICATE", () => file('{"__metadata__":{"k":"1","k":"2"}}')],
  ["unknown dtype", "E_DTYPE", () => file(`{${entry("a", "[1]", "[0,4]", "F99")}}`, 4)],
  ["dtype of Object.prototype", "E_DTYPE", () => file(`{${entry("a", "[1]", "[0,4]", "constructor")}}`, 4)],
  ["dtype without one of ours", "E_DTYPE", () => file(`{${entry("a", "[1]", "[0,8]", "U64")}}`, 8)],
  ["dtype a list", "E_DTYPE", () => file('{"a":{"dtype":["F32"],"shape":[1],"data_offsets":[0,4]}}', 4)],
  ["entry null", "E_DTYPE", () => file('{"a":null}')],
  [
    "unknown field",
    "E_HEADER_SYNTAX",
    () => file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}', 4),
  ],
  ["shape negative", "E_SHAPE", () => one("[-1]", "[0,4]", 4)],
  ["shape 1.5", "E_SHAPE", () => one("[1.5]", "[0,6]", 6)],
  ["shape text", "E_SHAPE", () => one('["4"]', "[0,16]", 16)],
  ["shape null", "E_SHAPE", () => one("null", "[0,4]", 4)],
  ["dimension null", "E_SHAPE", () => one("[null]", "[0,4]", 4)],
  ["shape 1e400", "E_SHAPE", () => one("[1e400]", "[0,4]", 4)],
  ["shape 2^53 + 1", "E_SHAPE", () => one("[9007199254740993]", "[0,4]", 4)],
  ["rank 1000", "E_SHAPE", () => one(`[${Array(1000).fill(1)}]`, "[0,4]", 4)],
  ["product overflow", "E_OVERFLOW", () => one("[4194305,4194305,211106198978564]", "[0,16]", 16)],
  ["product 2^64", "E_OVERFLOW", () => one("[4294967296,4294967296]", "[0,0]", 0)],
  ["offsets reversed", "E_OFFSETS", () => one("[1]", "[4,0]", 4)],
  ["offsets negative", "E_OFFSETS", () => one("[1]", "[-4,0]", 4)],
  ["offsets fractional", "E_OFFSETS", () => one("[1]", "[0.5,4.5]", 8)],
  ["three offsets", "E_OFFSETS", () => one("[1]", "[0,4,8]", 8)],
  ["offsets beyond the end", "E_OFFSETS", () => one("[2]", "[0,8]", 4)],
  ["offsets 2^60", "E_OFFSETS", () => one("[1]", "[1152921504606846976,1152921504606846980]", 4)],
  ["offsets missing", "E_OFFSETS", () => file('{"a":{"dtype":"F32","shape":[1]}}', 4)],
  ["overlap", "E_OVERLAP", () => file(`{${entry("a", "[2]", "[0,8]")},${entry("b", "[2]", "[4,12]")}}`, 12)],
  [
    "many tensors on the same bytes",
    "E_OVERLAP",
    () => {
      const all = Array.from({ length: 50_000 }, (_, i) => entry(`t${i}`, "[1024]", "[0,4096]"));
      return file(`{${all.join(",")}}`, 4096);
    },
  ],
  [
    "empty tensor inside another",
    "E_OVERLAP",
    () => file(`{${entry("a", "[2]", "[0,8]")},${entry("b", "[0]", "[4,4]")}}`, 8),
  ],
  ["hole", "E_HOLE", () => file(`{${entry("a", "[1]", "[0,4]")},${entry("b", "[1]", "[8,12]")}}`, 12)],
  ["hole in front", "E_HOLE", () => one("[1]", "[4,8]", 8)],
  ["uncovered tail", "E_HOLE", () => one("[1]", "[0,4]", 5)],
  ["size unlike shape", "E_SIZE", () => one("[2]", "[0,4]", 4)],
  ["metadata a number", "E_METADATA", () => file('{"__metadata__":{"k":1}}')],
  ["metadata nested", "E_METADATA", () => file('{"__metadata__":{"k":{"a":"b"}}}')],
  ["metadata null", "E_METADATA", () => file('{"__metadata__":null}')],
  ["metadata a list", "E_METADATA", () => file('{"__metadata__":["a"]}')],
];
for (const [what, code, make] of cases) {
  test(`refuses: ${what}`, () => {
    const bytes = make();
    const error = refuses(() => readSafetensors(bytes, { file: "evil.safetensors" }), code, what);
    assert.is(error.where.file, "evil.safetensors");
    assert.ok(error.message.length < 600, "the message is short");
  });
}

test("truncation at every byte is refused", () => {
  const bytes = writeSafetensors(
    new Map([
      ["a", tensor([1, 2], [2])],
      ["b", tensor([3], [1], "i64")],
    ]),
    new Map([["k", "v"]]),
  );
  for (let n = 0; n < bytes.length; n++) {
    refuses(
      () => readSafetensors(bytes.subarray(0, n)),
      ["E_TRUNCATED", "E_HEADER_SIZE", "E_HEADER_SYNTAX", "E_OFFSETS"],
      `the first ${n} bytes`,
    );
  }
});

test("the header limit can be raised, but not beyond the format's own", () => {
  const big = file(`{}${" ".repeat(17 * 2 ** 20)}`);
  assert.is(readSafetensors(big, { headerLimit: 20 * 2 ** 20 }).tensors.size, 0);
});

test("hostile names are escaped in messages", () => {
  const bytes = file(`{${entry("a\\u0000\\n\\u2028", "[2]", "[0,4]")}}`, 4);
  const error = refuses(() => readSafetensors(bytes), "E_SIZE", "odd name");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: their absence is what is tested
  assert.not.match(error.message, /[\u0000-\u001f\u2028]/);
});

test("every shared model file loads", () => {
  const folder = shared("models", "shared models load");
  if (!folder) return;
  const files = readdirSync(folder).filter((f) => f.endsWith(".safetensors"));
  assert.ok(files.length >= 10);
  for (const name of files) {
    const bytes = readFileSync(join(folder, name));
    const { tensors, metadata } = readSafetensors(bytes, { file: name });
    assert.ok(tensors.size > 0 && metadata.size > 0, name);
    const again = readSafetensors(writeSafetensors(tensors, metadata));
    for (const [key, t] of tensors) sameTensor(t, again.tensors.get(key)!, `${name} ${key}`);
  }
});

test("an allocation of every dtype has the width its name in the file promises", () => {
  for (const dtype of dtypes) {
    const t: HostTensor = { dtype, shape: [3], data: allocate(dtype, 3) };
    sameTensor(t, readSafetensors(writeSafetensors(new Map([["t", t]]))).tensors.get("t")!, dtype);
  }
});

test.run();
