import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import jpeg from "jpeg-js";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { cifarBatch, compareLabels, convert, readJpegPack } from "../../bench/cifar-jpeg.ts";
import { openData } from "../../src/data/files.ts";
import { fails } from "../support/error.ts";
import { shared } from "../support/files.ts";

const packs = suite("bench: CIFAR-10 from JPEG");
const dir = mkdtempSync(join(tmpdir(), "secateur-jpeg-"));
packs.after(() => rmSync(dir, { recursive: true, force: true }));

/** Red, green and blue of a pixel of the synthetic image: smooth, so that JPEG keeps it almost. */
const pixel = (label: number, x: number, y: number): number[] => [40 + 5 * x, 60 + 4 * y, 20 * label + 20];

function jpegOf(label: number, width = 32, height = 32): Uint8Array {
  const data = new Uint8Array(width * height * 4).fill(255);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) data.set(pixel(label, x, y), 4 * (y * width + x));
  return jpeg.encode({ width, height, data }, 95).data;
}

function packOf(images: readonly { readonly label: number; readonly bytes: Uint8Array }[]): Uint8Array {
  const u32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
  const table = images.flatMap(({ label, bytes }) => [Uint8Array.of(label), u32(bytes.length)]);
  const files = images.map(({ bytes }) => bytes);
  return new Uint8Array(Buffer.concat([Buffer.from("JPGP"), u32(images.length), ...table, ...files]));
}

const images = [7, 0, 9].map((label) => ({ label, bytes: jpegOf(label) }));
const sound = packOf(images);
const table = 8 + 5 * images.length;

packs("a pack has labels, files and where they lie", () => {
  const pack = readJpegPack(sound, "p");
  assert.equal([...pack.labels], [7, 0, 9]);
  assert.equal(
    pack.files.map((f) => [...f]),
    images.map((i) => [...i.bytes]),
  );
  const [a, b] = images.map((i) => i.bytes.length);
  assert.equal(pack.offsets, [table, table + a!, table + a! + b!]);
});

packs("a batch has label, red, green and blue planes, and loads", async () => {
  const batch = cifarBatch(readJpegPack(sound, "p"), "p");
  assert.is(batch.length, 3 * 3073);
  const file = join(dir, "batch.bin");
  writeFileSync(file, batch);
  const set = await openData(`cifar10:${file}`, "train");
  assert.equal([set.length, ...set.labels], [3, 7, 0, 9]);
  let most = 0;
  for (const [n, { label }] of images.entries())
    for (let y = 0; y < 32; y++)
      for (let x = 0; x < 32; x++)
        for (const [c, wanted] of pixel(label, x, y).entries())
          most = Math.max(most, Math.abs(set.images[((n * 3 + c) * 32 + y) * 32 + x]! - wanted));
  // At quality 95 the synthetic images come back nearly as they were; swapped axes or channels would be off by 100 and more.
  assert.ok(most <= 8, `a byte is off by ${most}`);
  assert.equal(cifarBatch(readJpegPack(sound, "p"), "p", 1), batch.subarray(0, 3073));
});

packs("damage names the file and the byte", async () => {
  const read = (bytes: Uint8Array): unknown => readJpegPack(bytes, "bad");
  const changed = (at: number, ...bytes: number[]): Uint8Array => {
    const copy = sound.slice();
    copy.set(bytes, at);
    return copy;
  };
  await fails(() => read(sound.subarray(0, 5)), "E_TRUNCATED", /^bad, byte 5: .*header of 8/);
  await fails(() => read(changed(0, 65)), "E_FORMAT", /^bad, byte 0: not a JPEG pack: .* 65,80,71,80/);
  await fails(() => read(changed(4, 0, 0, 0, 0)), "E_SIZE", /^bad, byte 4: .*no images/);
  await fails(
    () => read(changed(4, 255, 255, 255, 255)),
    "E_TRUNCATED",
    /table of 4294967295 images ends at byte 21474836483/,
  );
  await fails(() => read(changed(13, 10)), "E_FORMAT", /^bad, byte 13: label 10 of image 1/);
  await fails(
    () => read(changed(9, 255, 255, 255, 255)),
    "E_TRUNCATED",
    new RegExp(`^bad, byte ${sound.length}: the JPEG of image 0`),
  );
  await fails(
    () => read(sound.subarray(0, sound.length - 1)),
    "E_TRUNCATED",
    new RegExp(`^bad, byte ${sound.length - 1}: the JPEG of image 2 ends at byte ${sound.length}`),
  );
  await fails(
    () => read(Uint8Array.from([...sound, 1, 2])),
    "E_SIZE",
    new RegExp(`^bad, byte ${sound.length}: 2 bytes follow`),
  );
});

packs("a JPEG that cannot be read, or has another size, names its place", async () => {
  const first = images[0]!;
  const at = table - 5 + first.bytes.length;
  const batch = (bytes: Uint8Array): unknown => {
    const file = packOf([first, { label: 1, bytes }]);
    return cifarBatch(readJpegPack(file, "bad"), "bad");
  };
  const place = (why: string): RegExp => new RegExp(`^bad, byte ${at}: ${why}`);
  await fails(() => batch(Uint8Array.of()), "E_FORMAT", place("the JPEG of image 1 cannot be read"));
  await fails(
    () => batch(Uint8Array.from([1, 2, 3])),
    "E_FORMAT",
    place("the JPEG of image 1 cannot be read"),
  );
  await fails(
    () => batch(first.bytes.subarray(0, 300)),
    "E_FORMAT",
    place("the JPEG of image 1 cannot be read"),
  );
  await fails(() => batch(jpegOf(1, 24, 32)), "E_SIZE", place("image 1 is 24 × 32"));
  await fails(() => batch(jpegOf(1, 1600, 1600)), "E_FORMAT", place("the JPEG of image 1 cannot be read"));
});

packs("labels stored apart must agree", async () => {
  const stored = Uint8Array.from([1, 2, 7, 0, 8]);
  compareLabels(Uint8Array.from([7, 0]), stored, 2, "labels", "p");
  compareLabels(Uint8Array.from([1, 2, 7, 0, 8, 5, 5]), stored, 0, "labels", "p");
  await fails(
    () => compareLabels(Uint8Array.from([7, 0, 9]), stored, 2, "labels", "p"),
    "E_FORMAT",
    /^labels, byte 4: label 8, but image 2 of p has label 9/,
  );
});

packs("a folder is converted batch by batch; a damaged pack leaves nothing of its own", async () => {
  const from = join(dir, "from");
  const to = join(dir, "to");
  mkdirSync(from);
  for (let n = 1; n <= 5; n++) writeFileSync(join(from, `jpeg-train-${n}.jpgp`), sound);
  const lines: string[] = [];
  await fails(() => convert(from, to, (line) => lines.push(line)), "E_IO", /cannot read .*jpeg-test\.jpgp/);
  assert.is(lines.length, 5);
  assert.match(lines[0]!, "3 images, labels as packed");
  writeFileSync(join(from, "jpeg-test.jpgp"), sound.subarray(0, 100));
  await fails(() => convert(from, to), "E_TRUNCATED", /jpeg-test\.jpgp, byte 100/);
  assert.equal(
    readdirSync(to).sort(),
    [1, 2, 3, 4, 5].map((n) => `jpeg-train-${n}.bin`),
  );
  writeFileSync(join(from, "jpeg-test.jpgp"), sound);
  writeFileSync(join(from, "test-labels-0000-0999.u8"), Uint8Array.from([7, 0, 9]));
  convert(from, to, (line) => lines.push(line));
  assert.match(lines.at(-1)!, "labels checked");
  assert.equal(readFileSync(join(to, "jpeg-test.bin")).length, 3 * 3073);
});

packs("the first real test images are near the lossless ones", async () => {
  const path = shared("datasets/cifar10/jpeg-test.jpgp", "the real JPEG pack");
  const lossless = shared("datasets/cifar10/lossless-test-0000-0999.bin.gz", "the real CIFAR-10 images");
  if (!path || !lossless) return;
  const pack = readJpegPack(readFileSync(path), path);
  assert.is(pack.files.length, 10_000);
  const n = 200;
  const batch = cifarBatch(pack, path, n);
  const wanted = await openData(`cifar10:${lossless}`, "test", { limit: n });
  let sum = 0;
  for (let i = 0; i < n; i++) {
    assert.is(batch[i * 3073], wanted.labels[i]);
    for (let p = 0; p < 3072; p++) sum += Math.abs(batch[i * 3073 + 1 + p]! - wanted.images[i * 3072 + p]!);
  }
  const mean = sum / n / 3072;
  // 6.07 over the first 1,000: what quality 75 and halved chroma cost.
  assert.ok(mean > 3 && mean < 8, `mean absolute difference ${mean}`);
});

packs.run();
