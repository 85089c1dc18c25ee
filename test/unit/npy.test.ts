import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ErrorCode } from "../../src/errors.ts";
import { readNpy, writeNpy } from "../../src/io/npy.ts";
import { byteWidth, dtypes, viewBytes } from "../../src/tensor/dtype.ts";
import { tensor, toNumbers } from "../../src/tensor/host-tensor.ts";
import { refuses, sameTensor } from "../support/files.ts";

const test = suite("npy");

function npy(header: string, data: ArrayLike<number>, version = 1): Uint8Array {
  const text = new TextEncoder().encode(header);
  const length =
    version === 1 ? [text.length & 255, text.length >> 8] : [text.length & 255, text.length >> 8, 0, 0];
  return Uint8Array.from([
    0x93,
    0x4e,
    0x55,
    0x4d,
    0x50,
    0x59,
    version,
    0,
    ...length,
    ...text,
    ...Array.from(data),
  ]);
}
const dict = (descr: string, fortran: boolean, shape: string): string =>
  `{'descr': '${descr}', 'fortran_order': ${fortran ? "True" : "False"}, 'shape': ${shape}, }\n`;

test("what is written is read back, bit by bit", () => {
  const any = fc.tuple(fc.constantFrom(...dtypes), fc.array(fc.nat(3), { maxLength: 4 }), fc.nat(255));
  fc.assert(
    fc.property(any, ([dtype, shape, seed]) => {
      const size = shape.reduce((a, b) => a * b, 1);
      const bytes = Uint8Array.from({ length: size * byteWidth(dtype) }, (_, i) =>
        dtype === "bool" ? (seed + i) & 1 : (seed * 31 + i * 17) & 255,
      );
      const t = { dtype, shape, data: viewBytes(dtype, bytes, 0, size) };
      const out = writeNpy(t);
      assert.is((out.length - bytes.length) % 64, 0, "data is aligned to 64 bytes");
      sameTensor(t, readNpy(out), `${dtype} [${shape}]`);
    }),
    { numRuns: 200, seed: 3 },
  );
});

test("the bytes are those that NumPy writes", () => {
  const text = Buffer.from(writeNpy(tensor([1, 2], [2, 1]))).toString("latin1");
  assert.is(text.slice(0, 128), `\x93NUMPY\x01\x00v\x00${dict("<f4", false, "(2, 1)").trim().padEnd(117)}\n`);
  assert.match(Buffer.from(writeNpy(tensor([1], [1]))).toString("latin1"), /'shape': \(1,\), /);
  assert.match(Buffer.from(writeNpy(tensor([1], []))).toString("latin1"), /'shape': \(\), /);
});

test("Fortran order, versions 2 and 3, big-endian and native order are converted", () => {
  const column = npy(dict("|u1", true, "(2, 3)"), [1, 4, 2, 5, 3, 6]);
  assert.equal(toNumbers(readNpy(column)), [1, 2, 3, 4, 5, 6]);
  const cube = npy(dict("|u1", true, "(2, 2, 2)"), [0, 4, 2, 6, 1, 5, 3, 7]);
  assert.equal(toNumbers(readNpy(cube)), [0, 1, 2, 3, 4, 5, 6, 7]);
  for (const version of [2, 3]) {
    assert.equal(
      toNumbers(readNpy(npy(dict("<i2".replace("2", "4"), false, "(1,)"), [7, 0, 0, 0], version))),
      [7],
    );
  }
  const big = npy(dict(">i4", false, "(2,)"), [0, 0, 0, 1, 255, 255, 255, 255]);
  const copy = Uint8Array.from(big);
  assert.equal(toNumbers(readNpy(Buffer.from(big.buffer))), [1, -1]);
  assert.equal(big, copy, "the caller's bytes are left alone");
  assert.equal(toNumbers(readNpy(npy(dict("=f4", false, "()"), [0, 0, 128, 63]))), [1]);
  assert.equal(
    toNumbers(readNpy(npy('{"shape":(2,3),"fortran_order":False,"descr":"|b1"}', [0, 1, 2, 0, 0, 9]))),
    [0, 1, 1, 0, 0, 1],
  );
});

const good = dict("<f4", false, "(1,)");
const cases: readonly (readonly [string, ErrorCode, Uint8Array])[] = [
  ["empty", "E_TRUNCATED", new Uint8Array(0)],
  ["other magic", "E_HEADER_SYNTAX", npy(good, [0, 0, 0, 0]).fill(0, 0, 1)],
  ["version 9", "E_HEADER_SYNTAX", npy(good, [0, 0, 0, 0], 9)],
  ["header beyond the end", "E_TRUNCATED", npy(good, []).subarray(0, 40)],
  [
    "header of a gigabyte",
    "E_LIMIT",
    Uint8Array.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 2, 0, 0, 0, 0, 64]),
  ],
  ["no dict", "E_HEADER_SYNTAX", npy("[1, 2]", [])],
  [
    "code in the header",
    "E_HEADER_SYNTAX",
    npy("{'descr': __import__('os'), 'fortran_order': False, 'shape': ()}", []),
  ],
  ["missing key", "E_HEADER_SYNTAX", npy("{'descr': '<f4', 'shape': ()}", [])],
  [
    "key twice",
    "E_HEADER_SYNTAX",
    npy("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}", []),
  ],
  ["negative dimension", "E_HEADER_SYNTAX", npy(dict("<f4", false, "(-1,)"), [])],
  [
    "structured",
    "E_HEADER_SYNTAX",
    npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': ()}", []),
  ],
  ["objects", "E_DTYPE", npy(dict("|O", false, "()"), [])],
  ["int16", "E_DTYPE", npy(dict("<i2", false, "()"), [0, 0])],
  ["overflow", "E_OVERFLOW", npy(dict("<f4", false, "(4294967296, 4294967296)"), [])],
  ["bomb", "E_OVERFLOW", npy(dict("<f4", false, "(99999999999,)"), [])],
  ["large claim, no data", "E_TRUNCATED", npy(dict("<f4", false, "(2000000000,)"), [])],
  ["dimension beyond 2^53", "E_SHAPE", npy(dict("<f4", false, "(9007199254740993,)"), [])],
  ["rank 9", "E_SHAPE", npy(dict("<f4", false, "(1,1,1,1,1,1,1,1,1)"), [0, 0, 0, 0])],
  ["short", "E_TRUNCATED", npy(good, [0, 0, 0])],
  ["long", "E_SIZE", npy(good, [0, 0, 0, 0, 0])],
];
for (const [what, code, bytes] of cases) {
  test(`refuses: ${what}`, () => {
    refuses(() => readNpy(bytes), code, what);
  });
}

test("truncation at every byte is refused", () => {
  const bytes = writeNpy(tensor([1, 2, 3], [3]));
  for (let n = 0; n < bytes.length; n++) {
    refuses(() => readNpy(bytes.subarray(0, n)), ["E_TRUNCATED", "E_HEADER_SYNTAX"], `the first ${n} bytes`);
  }
});

test.run();
