import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Dataset } from "../../src/data/dataset.ts";
import { parseCifar10, parseDigits, parseMnist } from "../../src/data/formats.ts";
import { type ErrorCode, FileError } from "../../src/errors.ts";
import { seeded } from "../../src/tensor/random.ts";
import { cifarRecord, digitsLine, idx } from "../support/datasets.ts";
import { fails } from "../support/error.ts";

const formats = suite("data: file formats");
const files = ["images", "labels"] as const;

formats("MNIST: dimensions, pixels and labels as stored", () => {
  const pixels = [...Array(3 * 4 * 5).keys()];
  const set = parseMnist(idx([3, 4, 5], pixels), idx([3], [7, 0, 9]), files);
  assert.is(set.name, "mnist");
  assert.is(set.length, 3);
  assert.equal([...set.shape], [1, 4, 5]);
  assert.equal([...set.images], pixels);
  assert.equal([...set.labels], [7, 0, 9]);
});

formats("MNIST: every damage names the file and the byte", async () => {
  const images = idx([2, 2, 2], Array(8).fill(1));
  const labels = idx([2], [1, 2]);
  const wrong = (at: number, value: number): Uint8Array => {
    const bytes = images.slice();
    bytes[at] = value;
    return bytes;
  };
  const cases: [string, Uint8Array, Uint8Array, ErrorCode, string, number][] = [
    ["empty", new Uint8Array(), labels, "E_TRUNCATED", "images", 0],
    ["header cut", images.subarray(0, 10), labels, "E_TRUNCATED", "images", 10],
    ["pixels cut", images.subarray(0, 20), labels, "E_TRUNCATED", "images", 20],
    ["bytes left over", Uint8Array.from([...images, 0]), labels, "E_SIZE", "images", 24],
    ["magic", wrong(0, 1), labels, "E_FORMAT", "images", 0],
    ["type", wrong(2, 13), labels, "E_FORMAT", "images", 0],
    ["rank", wrong(3, 1), labels, "E_FORMAT", "images", 0],
    ["dimensions beyond every file", wrong(4, 255), labels, "E_TRUNCATED", "images", 24],
    ["no images", idx([0, 2, 2], []), idx([0], []), "E_SIZE", "images", 4],
    ["no pixels", idx([2, 0, 2], []), labels, "E_SIZE", "images", 4],
    ["files swapped", labels, images, "E_TRUNCATED", "images", 10],
    ["too few labels", images, idx([1], [1]), "E_SIZE", "labels", 4],
    ["label 10", images, idx([2], [1, 10]), "E_FORMAT", "labels", 9],
  ];
  for (const [what, x, y, code, file, offset] of cases) {
    const error = await fails(() => parseMnist(x, y, files), code, new RegExp(`^${file}, byte ${offset}: `));
    assert.equal(error.where, { file, offset }, what);
  }
});

formats("CIFAR-10: records of several batches, one after the other", () => {
  const bytes = (...labels: number[]): Uint8Array =>
    Uint8Array.from(labels.flatMap((label) => [...cifarRecord(label)]));
  const set = parseCifar10([
    { bytes: bytes(3, 9), file: "a" },
    { bytes: bytes(0), file: "b" },
  ]);
  assert.is(set.length, 3);
  assert.equal([...set.shape], [3, 32, 32]);
  assert.equal([...set.labels], [3, 9, 0]);
  for (const [n, label] of [3, 9, 0].entries())
    assert.equal(set.images.subarray(n * 3072, (n + 1) * 3072), cifarRecord(label).subarray(1));
});

formats("CIFAR-10: damage names the batch and the byte", async () => {
  const good = { bytes: cifarRecord(1), file: "good" };
  const bad = (bytes: Uint8Array): unknown => parseCifar10([good, { bytes, file: "bad" }]);
  await fails(() => bad(new Uint8Array()), "E_TRUNCATED", /^bad, byte 0: /);
  await fails(() => bad(cifarRecord(2).subarray(0, 3000)), "E_TRUNCATED", /^bad, byte 0: .*has 3000/);
  const cut = Uint8Array.from([...cifarRecord(2), 1, 2]);
  await fails(() => bad(cut), "E_TRUNCATED", /^bad, byte 3073: .*has 2/);
  const label = Uint8Array.from([...cifarRecord(2), ...cifarRecord(10)]);
  await fails(() => bad(label), "E_FORMAT", /^bad, byte 3073: label 10/);
});

formats("digits: lines of 64 pixels and a label, whatever ends the lines", () => {
  const text = `${digitsLine(3, 4)}\r\n\n ${digitsLine(16, 9)}`;
  const set = parseDigits(new TextEncoder().encode(text), "d");
  assert.is(set.length, 2);
  assert.equal([...set.shape], [1, 8, 8]);
  assert.equal([...set.labels], [4, 9]);
  assert.equal([...set.images.subarray(0, 65)], [...Array(64).fill(3), 16]);
});

formats("digits: damage names the file and the line's first byte", async () => {
  const first = `${digitsLine(1, 1)}\n`;
  const parse = (second: string): unknown => parseDigits(new TextEncoder().encode(first + second), "d");
  const at = `^d, byte ${first.length}: `;
  await fails(() => parse("1,2,3"), "E_FORMAT", new RegExp(`${at}a line has 3 values`));
  await fails(() => parse(digitsLine(17, 1)), "E_FORMAT", new RegExp(`${at}a pixel`));
  for (const pixel of ["-1", "1.5", "", "x", "1e1", "0x1"])
    await fails(() => parse(digitsLine(pixel, 1)), "E_FORMAT", new RegExp(`${at}a pixel`));
  await fails(() => parse(digitsLine(1, 10)), "E_FORMAT", new RegExp(`${at}label 10`));
  await fails(() => parse(digitsLine(1, "")), "E_FORMAT", new RegExp(`${at}label `));
  await fails(() => parseDigits(new Uint8Array(), "d"), "E_TRUNCATED", /no images/);
  await fails(() => parseDigits(new Uint8Array(2 ** 26 + 1), "d"), "E_SIZE", /at most/);
});

formats("digits: places are bytes of the file, whatever the characters before them", async () => {
  const bytes = (...parts: (string | number[])[]): Uint8Array =>
    Uint8Array.from(parts.flatMap((p) => (typeof p === "string" ? [...new TextEncoder().encode(p)] : p)));
  const mark = [0xef, 0xbb, 0xbf];
  assert.equal([...parseDigits(bytes(mark, `${digitsLine(1, 5)}\n`), "d").labels], [5]);
  const first = bytes(mark, [0xa0, 0xa0], "\n", `${digitsLine(1, 5)}\r\n`);
  const error = await fails(() => parseDigits(bytes([...first], "1,2"), "d"), "E_FORMAT", /has 2 values/);
  assert.equal(error.where, { file: "d", offset: first.length });
});

formats("digits: an endless line is refused before it is taken apart", async () => {
  const commas = new Uint8Array(2 ** 26).fill(44);
  const started = performance.now();
  await fails(() => parseDigits(commas, "d"), "E_FORMAT", /^d, byte 0: a line has 67108864 bytes/);
  assert.ok(performance.now() - started < 10_000);
});

/** A data set that is what it says: as many labels and pixels as images, no label out of range. */
function consistent(set: Dataset): void {
  const each = set.shape.reduce((n, d) => n * d, 1);
  assert.ok(set.length > 0 && each > 0);
  assert.is(set.images.length, set.length * each);
  assert.is(set.labels.length, set.length);
  assert.ok(set.labels.every((label) => label < set.classes));
}

formats("damaged bytes end in a data set that is sound or in a FileError that names the file", () => {
  const text = new TextEncoder().encode(`${digitsLine(3, 4)}\n${digitsLine(16, 9)}\n`);
  const batch = Uint8Array.from([...cifarRecord(3), ...cifarRecord(9)]);
  const images = idx([3, 2, 2], Array(12).fill(7));
  const labels = idx([3], [1, 2, 3]);
  const readers: readonly [Uint8Array, (bytes: Uint8Array) => Dataset][] = [
    [text, (bytes) => parseDigits(bytes, "damaged")],
    [batch, (bytes) => parseCifar10([{ bytes, file: "damaged" }])],
    [images, (bytes) => parseMnist(bytes, labels, ["damaged", "labels"])],
    [labels, (bytes) => parseMnist(images, bytes, ["images", "damaged"])],
  ];
  const random = seeded(20);
  let refused = 0;
  let read = 0;
  for (const [sound, parse] of readers) {
    consistent(parse(sound));
    for (let round = 0; round < 500; round++) {
      const cut = random.uniform() < 0.3 ? random.below(sound.length + 1) : sound.length;
      const bytes = sound.slice(0, cut);
      for (let n = random.below(3); n > 0 && cut > 0; n--) bytes[random.below(cut)] = random.below(256);
      try {
        consistent(parse(bytes));
        read++;
      } catch (error) {
        if (!(error instanceof FileError)) throw error;
        assert.match(error.message, "damaged");
        refused++;
      }
    }
  }
  assert.ok(refused > 200 && read > 200, `${refused} refused, ${read} read`);
});

formats("text from a file cannot steer the terminal or flood it", async () => {
  const line = new TextEncoder().encode(digitsLine(1, `\u001b[31m${"x".repeat(5000)}`));
  const error = await fails(() => parseDigits(line, "\u001b[2Jname"), "E_FORMAT");
  assert.not.match(error.message, "\u001b");
  assert.ok(error.message.length < 300, `${error.message.length} characters`);
});

formats.run();
