import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openData } from "../../src/data/files.ts";
import { cifarRecord, digitsLine, idx } from "../support/datasets.ts";
import { fails } from "../support/error.ts";
import { shared } from "../support/files.ts";

const files = suite("data: files");
const dir = mkdtempSync(join(tmpdir(), "secateur-data-"));
files.after(() => rmSync(dir, { recursive: true, force: true }));

const put = (name: string, bytes: Uint8Array | string): string => {
  const path = join(dir, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, bytes);
  return path;
};
const hash = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

files("MNIST: split chooses the files, plain or gzipped alike", async () => {
  put("m/train-images-idx3-ubyte", idx([2, 1, 2], [1, 2, 3, 4]));
  put("m/train-labels-idx1-ubyte.gz", gzipSync(idx([2], [5, 6])));
  put("m/t10k-images-idx3-ubyte.gz", gzipSync(idx([1, 1, 2], [7, 8])));
  put("m/t10k-labels-idx1-ubyte", idx([1], [9]));
  const train = await openData(`mnist:${dir}/m`, "train");
  assert.equal([...train.images], [1, 2, 3, 4]);
  assert.equal([...train.labels], [5, 6]);
  const test = await openData(`mnist:${dir}/m`, "test");
  assert.equal([...test.images, ...test.labels], [7, 8, 9]);
});

files("MNIST: names with a dot, as some copies have them", async () => {
  put("dotted/t10k-images.idx3-ubyte", idx([1, 1, 2], [7, 8]));
  put("dotted/t10k-labels.idx1-ubyte.gz", gzipSync(idx([1], [9])));
  const test = await openData(`mnist:${dir}/dotted`, "test");
  assert.equal([...test.images, ...test.labels], [7, 8, 9]);
});

files("CIFAR-10 and digits: several files, gzipped or not, and a limit", async () => {
  const a = put("a.bin", Uint8Array.from([...cifarRecord(1), ...cifarRecord(2)]));
  const b = put("b.bin.gz", gzipSync(cifarRecord(3)));
  const set = await openData(`cifar10:${a},${b}`, "test");
  assert.equal([...set.labels], [1, 2, 3]);
  assert.equal(set.images.subarray(2 * 3072), cifarRecord(3).subarray(1));
  const two = await openData(`cifar10:${a},${b}`, "test", { limit: 2 });
  assert.equal([two.length, two.images.length, two.labels.length], [2, 6144, 2]);
  const digits = put("d.csv.gz", gzipSync(`${digitsLine(2, 7)}\n`));
  assert.equal([...(await openData(`digits:${digits}`, "train")).labels], [7]);
});

files("glyphs: 10,000 to train, 2,000 to test, or as many as asked for", async () => {
  assert.is((await openData("glyphs", "train")).length, 10_000);
  const test = await openData("glyphs", "test");
  assert.is(test.length, 2_000);
  const few = await openData("glyphs", "test", { limit: 5 });
  assert.equal(few.images, test.images.subarray(0, 5 * 784));
});

files("missing and unreadable files are named", async () => {
  await fails(() => openData(`cifar10:${dir}/none.bin`, "test"), "E_IO", /none\.bin/);
  await fails(() => openData(`cifar10:${dir}`, "test"), "E_IO", /not a file/);
  await fails(() => openData(`mnist:${dir}/nowhere`, "test"), "E_IO", /t10k-images-idx3-ubyte.*nowhere/);
  const error = await fails(() => openData("digits:/no\u001b[2Jsuch", "test"), "E_IO");
  assert.not.match(error.message, "\u001b");
});

files("damaged gzip files: cut, corrupt, and larger than their promise", async () => {
  const whole = gzipSync(Uint8Array.from({ length: 3073 }, (_, i) => (Math.imul(i, 0x9e3779b1) >>> 24) % 10));
  const cut = put("cut.gz", whole.subarray(0, 60));
  await fails(() => openData(`cifar10:${cut}`, "test"), "E_TRUNCATED", /cut\.gz, byte 60: /);
  const corrupt = whole.slice();
  corrupt[corrupt.length - 6]! ^= 0xff; // the checksum
  await fails(
    () => openData(`cifar10:${put("bad.gz", corrupt)}`, "test"),
    "E_FORMAT",
    /bad\.gz is a damaged/,
  );
  const header = put("head.gz", Uint8Array.from([0x1f, 0x8b, 99, 0, 0, 0, 0, 0, 0, 0]));
  await fails(() => openData(`cifar10:${header}`, "test"), "E_FORMAT", /head\.gz/);
  const odd = put("odd.bin.gz", gzipSync(cifarRecord(1).subarray(0, 100)));
  await fails(() => openData(`cifar10:${odd}`, "test"), "E_TRUNCATED", /odd\.bin\.gz, byte 0: .*has 100/);
});

files("specs, splits and limits that mean nothing", async () => {
  for (const spec of ["", "mnist", "mnist:", "cifar10:", "digits", "glyphs:", "glyphs:x", "imagenet:x", ":x"])
    await fails(() => openData(spec, "test"), "E_INPUT", /Use mnist:DIR/);
  await fails(() => openData("cifar10:a,,b", "test"), "E_INPUT", /empty file/);
  await fails(() => openData("glyphs", "dev" as "test"), "E_INPUT", /split/);
  for (const limit of [-1, 2.5, Number.NaN])
    await fails(() => openData(`mnist:${dir}/m`, "test", { limit }), "E_INPUT", /limit/);
});

/** How often each label occurs. */
function histogram(labels: Uint8Array): number[] {
  const counts = Array<number>(10).fill(0);
  for (const label of labels) counts[label]!++;
  return counts;
}

files("the real MNIST files", async () => {
  const path = shared("datasets/mnist", "the real MNIST files");
  if (!path) return;
  const test = await openData(`mnist:${path}`, "test");
  assert.equal([test.length, ...test.shape], [10_000, 1, 28, 28]);
  assert.equal([...test.labels.subarray(0, 5)], [7, 2, 1, 0, 4]);
  const train = await openData(`mnist:${path}`, "train");
  assert.is(train.length, 60_000);
  assert.equal(histogram(test.labels), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
  assert.equal(histogram(train.labels), [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
  // The mean that the literature normalises MNIST by.
  const mean = train.images.reduce((sum, v) => sum + v, 0) / train.images.length / 255;
  assert.ok(Math.abs(mean - 0.1307) < 5e-5, `mean ${mean}`);
});

files("the real CIFAR-10 images, against the labels stored apart", async () => {
  const path = shared("datasets/cifar10/lossless-test-0000-0999.bin.gz", "the real CIFAR-10 images");
  const apart = shared("datasets/cifar10/test-labels-0000-0999.u8", "the labels of CIFAR-10");
  if (!path || !apart) return;
  const set = await openData(`cifar10:${path}`, "test");
  assert.equal([set.length, ...set.shape], [1000, 3, 32, 32]);
  assert.is(hash(set.labels), hash(readFileSync(apart)));
});

files(
  "the real CIFAR-10 training images, against the labels stored apart, and both files as one set",
  async () => {
    const path = shared(
      "datasets/cifar10/lossless-train-0000-3999.bin.gz",
      "the real CIFAR-10 training images",
    );
    const test = shared("datasets/cifar10/lossless-test-0000-0999.bin.gz", "the real CIFAR-10 images");
    const apart = shared("datasets/cifar10/train-labels-50000.u8", "the training labels of CIFAR-10");
    if (!path || !test || !apart) return;
    const labels = readFileSync(apart);
    assert.equal(histogram(labels), Array(10).fill(5000));
    const set = await openData(`cifar10:${path},${test}`, "train");
    assert.is(set.length, 5000);
    assert.is(hash(set.labels.subarray(0, 4000)), hash(labels.subarray(0, 4000)));
    // The mean per channel that the literature normalises CIFAR-10 by is that of all 50,000.
    const wanted = [0.4914, 0.4822, 0.4465];
    for (const [c, mean] of wanted.entries()) {
      let sum = 0;
      for (let n = 0; n < 4000; n++)
        for (let i = 0; i < 1024; i++) sum += set.images[(n * 3 + c) * 1024 + i]!;
      const got = sum / 4000 / 1024 / 255;
      assert.ok(Math.abs(got - mean) < 0.01, `channel ${c} has mean ${got}`);
    }
  },
);

files.run();
