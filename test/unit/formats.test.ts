import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { SparseError } from "../../src/errors.ts";
import {
  type Block,
  blockBytes,
  blockFromDense,
  blockHeights,
  blockRowStatistics,
  blockToDense,
  validateBlock,
} from "../../src/tensor/block.ts";
import {
  type Csr,
  csrBytes,
  csrFromDense,
  csrRowStatistics,
  csrToDense,
  validateCsr,
} from "../../src/tensor/csr.ts";
import { viewBytes } from "../../src/tensor/dtype.ts";
import { type HostTensor, tensor } from "../../src/tensor/host-tensor.ts";

const test = suite("formats");

/** Matrices of any size from 0 x 0, any density, with negative zeros and NaN among the values. */
const matrices = fc.tuple(fc.nat(19), fc.nat(9)).chain(([rows, cols]) =>
  fc
    .array(fc.oneof({ weight: 3, arbitrary: fc.constantFrom(0, -0) }, { weight: 2, arbitrary: fc.float() }), {
      minLength: rows * cols,
      maxLength: rows * cols,
    })
    .map((values) => tensor(Float32Array.from(values), [rows, cols])),
);

/** The same values, except that −0 has become 0. */
const sameValues = (a: HostTensor, b: HostTensor): boolean =>
  a.data.length === b.data.length &&
  a.data.every((v: unknown, i: number) => v === b.data[i] || (Number.isNaN(v) && Number.isNaN(b.data[i])));

test("CSR keeps every value, holds no zero and counts its bytes", () => {
  fc.assert(
    fc.property(matrices, (m) => {
      const csr = csrFromDense(m);
      validateCsr(csr);
      const nonzeros = Array.from(m.data as Float32Array).filter((v) => v !== 0).length;
      assert.equal(csrToDense(csr).shape, m.shape);
      assert.ok(sameValues(csrToDense(csr), m));
      assert.is(csr.values.length, nonzeros);
      assert.ok(csr.values.every((v) => v !== 0));
      assert.is(csrBytes(csr), 4 * (m.shape[0]! + 1) + 8 * nonzeros);
    }),
  );
});

test("blocks keep every value, hold no empty block and count their bytes", () => {
  fc.assert(
    fc.property(matrices, fc.constantFrom(...blockHeights), (m, height) => {
      const block = blockFromDense(m, height);
      validateBlock(block);
      assert.equal(blockToDense(block).shape, m.shape);
      assert.ok(sameValues(blockToDense(block), m));
      const [rows, cols] = m.shape as [number, number];
      const occupied = new Set<number>();
      for (const [i, v] of (m.data as Float32Array).entries()) {
        if (v !== 0) occupied.add(Math.floor(Math.floor(i / cols) / height) * cols + (i % cols));
      }
      assert.is(block.colIdx.length, occupied.size);
      assert.is(blockBytes(block), 4 * (Math.ceil(rows / height) + 1) + 4 * (1 + height) * occupied.size);
    }),
  );
});

test("a block of height R covers at least as much as CSR and at most R times it", () => {
  fc.assert(
    fc.property(matrices, fc.constantFrom(...blockHeights), (m, height) => {
      const nonzeros = csrFromDense(m).values.length;
      const blocks = blockFromDense(m, height).colIdx.length;
      assert.ok(blocks <= nonzeros && blocks * height >= nonzeros);
    }),
  );
});

test("a small matrix in CSR", () => {
  const csr = csrFromDense(tensor([0, 5, 0, 0, 0, 0, 7, 0, 8], [3, 3]));
  assert.equal(Array.from(csr.rowPtr), [0, 1, 1, 3]);
  assert.equal(Array.from(csr.colIdx), [1, 0, 2]);
  assert.equal(Array.from(csr.values), [5, 7, 8]);
  assert.equal(csrRowStatistics(csr), { min: 0, max: 2, mean: 1, variation: Math.sqrt(2 / 3), empty: 1 });
});

test("a small matrix in blocks of two, the last one short", () => {
  const block = blockFromDense(tensor([1, 0, 2, 0, 0, 3, 0, 4, 0], [3, 3]), 2);
  assert.equal(Array.from(block.rowPtr), [0, 2, 3]);
  assert.equal(Array.from(block.colIdx), [0, 2, 1]);
  assert.equal(Array.from(block.values), [1, 0, 2, 3, 4, 0]);
  assert.equal(blockRowStatistics(block), { min: 1, max: 2, mean: 1.5, variation: 1 / 3, empty: 0 });
});

test("all-zero, all-dense and empty matrices", () => {
  const zero = csrFromDense(tensor(new Float32Array(12), [3, 4]));
  assert.is(csrBytes(zero), 16);
  assert.equal(csrRowStatistics(zero), { min: 0, max: 0, mean: 0, variation: 0, empty: 3 });
  const full = blockFromDense(tensor(new Float32Array(12).fill(1), [3, 4]), 2);
  assert.is(full.colIdx.length, 8);
  const none = csrFromDense(tensor([], [0, 4]));
  validateCsr(none);
  assert.equal(csrRowStatistics(none), { min: 0, max: 0, mean: 0, variation: 0, empty: 0 });
  validateBlock(blockFromDense(tensor([], [0, 4]), 8));
});

const refused = (run: () => unknown, message: RegExp): void =>
  assert.throws(
    run,
    (e: unknown) => e instanceof SparseError && e.code === "E_SPARSE" && message.test(e.message),
  );

const csr: Csr = csrFromDense(tensor([1, 2, 0, 0, 3, 4], [2, 3]));
const badCsr: Record<string, [Partial<Csr>, RegExp]> = {
  "pointers decrease": [{ rowPtr: Uint32Array.of(0, 9, 4) }, /ends at 9/],
  "pointers decrease inside": [
    { rows: 3, rowPtr: Uint32Array.of(0, 3, 2, 4), colIdx: Uint32Array.of(0, 1, 2, 0) },
    /decrease from 3 to 2/,
  ],
  "first pointer": [{ rowPtr: Uint32Array.of(1, 2, 4) }, /first row pointer is 1/],
  "last pointer": [{ rowPtr: Uint32Array.of(0, 2, 3) }, /last row pointer is 3/],
  "too few pointers": [{ rowPtr: Uint32Array.of(0, 4) }, /3 are needed/],
  "column too large": [{ colIdx: Uint32Array.of(0, 3, 1, 2) }, /column 3 in row 0/],
  "column twice": [{ colIdx: Uint32Array.of(1, 1, 1, 2) }, /must ascend/],
  "columns descend": [{ colIdx: Uint32Array.of(1, 0, 1, 2) }, /must ascend/],
  "value missing": [{ values: new Float32Array(3) }, /3 values for 4 columns/],
  "negative rows": [{ rows: -1 }, /-1 x 3/],
};
for (const [name, [change, message]] of Object.entries(badCsr)) {
  test(`damaged CSR: ${name}`, () => refused(() => validateCsr({ ...csr, ...change }), message));
}

const block: Block = blockFromDense(tensor([1, 0, 2, 0, 0, 3, 0, 4, 0], [3, 3]), 2);
const badBlock: Record<string, [Partial<Block>, RegExp]> = {
  "height 0": [{ height: 0 as 2 }, /height 0/],
  "height 3": [{ height: 3 as 2 }, /height 3/],
  "too few pointers": [{ rowPtr: Uint32Array.of(0, 3) }, /3 are needed/],
  "last pointer": [{ rowPtr: Uint32Array.of(0, 2, 4) }, /last block row pointer is 4/],
  "column too large": [{ colIdx: Uint32Array.of(0, 2, 3) }, /column 3 in block row 1/],
  "value missing": [{ values: new Float32Array(5) }, /5 values for 3 blocks/],
  "value below the matrix": [{ values: Float32Array.of(1, 0, 2, 3, 4, 9) }, /below row 3/],
};
for (const [name, [change, message]] of Object.entries(badBlock)) {
  test(`damaged blocks: ${name}`, () => refused(() => validateBlock({ ...block, ...change }), message));
}

test("other ranks and heights are refused", () => {
  refused(() => csrFromDense(tensor([1], [1, 1, 1])), /\[1, 1, 1\]/);
  refused(() => blockFromDense(tensor([1], [1]), 2), /\[1\]/);
  refused(() => blockFromDense(tensor([1], [1, 1]), 5), /height 5/);
});

test("an unaligned view of a Node buffer is a copy of its bytes, not of its pool", () => {
  const bytes = Buffer.alloc(13);
  bytes.writeFloatLE(1.5, 1);
  bytes.writeFloatLE(-2, 5);
  for (const at of [0, 1, 2, 3]) {
    const shifted = Buffer.concat([Buffer.alloc(at), bytes]);
    assert.equal(Array.from(viewBytes("f32", shifted, 1 + at, 2) as Float32Array), [1.5, -2]);
  }
});

test.run();
