import { createHash } from "node:crypto";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Dataset, firstImages, preprocess } from "../../src/data/dataset.ts";
import { glyphs } from "../../src/data/glyphs.ts";
import { fails } from "../support/error.ts";

const data = suite("data: glyphs and preprocessing");
const hash = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex").slice(0, 16);
const pixels = 28 * 28;

data("the first glyphs are these bytes, on every machine", () => {
  assert.is(hash(glyphs("train", 64, 1).images), "fd004acb73ac3872");
  assert.is(hash(glyphs("test", 64, 1).images), "433690b11aaabe8f");
});

data("a longer set begins with the shorter one; seeds and splits differ", () => {
  const short = glyphs("train", 20, 7);
  const long = glyphs("train", 50, 7);
  assert.equal(long.images.subarray(0, 20 * pixels), short.images);
  assert.equal(long.labels.subarray(0, 20), short.labels);
  assert.is.not(hash(glyphs("train", 20, 8).images), hash(short.images));
  assert.is.not(hash(glyphs("test", 20, 7).images), hash(short.images));
});

data("no test image is a training image, and every image differs", () => {
  const seen = new Set<string>();
  const add = (set: Dataset): void => {
    for (let i = 0; i < set.length; i++) seen.add(hash(set.images.subarray(i * pixels, (i + 1) * pixels)));
  };
  add(glyphs("train", 1000, 1));
  add(glyphs("test", 500, 1));
  assert.is(seen.size, 1500);
});

data("classes come about equally often, drawn in ink on a dark ground", () => {
  const set = glyphs("train", 3000, 3);
  assert.is(set.classes, 10);
  assert.equal([...set.shape], [1, 28, 28]);
  for (let c = 0; c < 10; c++) {
    const n = set.labels.filter((l) => l === c).length;
    // 300 expected, standard deviation 16.4: five of them.
    assert.ok(Math.abs(n - 300) < 82, `class ${c} has ${n} of 3000`);
  }
  for (let i = 0; i < 200; i++) {
    const image = set.images.subarray(i * pixels, (i + 1) * pixels);
    const bright = image.filter((v) => v > 90).length;
    assert.ok(bright > 15 && bright < pixels / 2, `image ${i} has ${bright} bright pixels`);
  }
});

data("bad counts, seeds and splits are refused", async () => {
  for (const count of [-1, 1.5, Number.NaN, 1e9, "5" as unknown as number])
    await fails(() => glyphs("train", count, 1), "E_INPUT", /count of glyphs/);
  for (const seed of [-1, 0.5, 2 ** 31]) await fails(() => glyphs("train", 1, seed), "E_INPUT", /seed/);
  await fails(() => glyphs("dev" as "test", 1, 1), "E_INPUT", /split/);
  assert.is(glyphs("train", 0, 1).length, 0);
});

const small: Dataset = {
  name: "cifar10",
  classes: 10,
  shape: [3, 1, 2],
  images: Uint8Array.from({ length: 18 }, (_, i) => i * 10),
  labels: Uint8Array.from([1, 2, 3]),
  length: 3,
};

data("preprocessing is (byte * scale - mean) / std, per channel or for all", () => {
  const each = preprocess(small, 1, 2, { scale: 0.5, mean: [1, 2, 3], std: [2, 4, 5] });
  assert.equal([...each.shape], [2, 3, 1, 2]);
  assert.is(each.dtype, "f32");
  const mean = [1, 2, 3];
  const std = [2, 4, 5];
  for (let i = 0; i < 12; i++) {
    const channel = Math.floor(i / 2) % 3;
    const wanted = Math.fround(((6 + i) * 10 * 0.5 - mean[channel]!) / std[channel]!);
    assert.is(each.data[i], wanted);
  }
  const one = preprocess(small, 0, 1, { scale: 1, mean: [10], std: [2] });
  assert.equal([...(one.data as Float32Array)], [-5, 0, 5, 10, 15, 20]);
  assert.equal([...preprocess(small, 3, 0, { scale: 1, mean: [0], std: [1] }).shape], [0, 3, 1, 2]);
});

data("preprocessing refuses ranges outside the data and channels that do not fit", async () => {
  const plain = { scale: 1, mean: [0], std: [1] };
  for (const [from, count] of [
    [0, 4],
    [3, 1],
    [-1, 1],
    [0, -1],
    [0.5, 1],
    [0, Number.NaN],
  ] as const)
    await fails(() => preprocess(small, from, count, plain), "E_INPUT", /outside cifar10/);
  await fails(() => preprocess(small, 0, 1, { ...plain, mean: [0, 0] }), "E_INPUT", /mean has 2 entries/);
  await fails(() => preprocess(small, 0, 1, { ...plain, std: [1, 1, 1, 1] }), "E_INPUT", /std has 4/);
});

data("the first images, and limits that are none", async () => {
  const two = firstImages(small, 2);
  assert.is(two.length, 2);
  assert.is(two.images.length, 12);
  assert.equal([...two.labels], [1, 2]);
  assert.is(firstImages(small, undefined), small);
  assert.is(firstImages(small, 99), small);
  for (const limit of [-1, 1.5, Number.NaN]) await fails(() => firstImages(small, limit), "E_INPUT", /limit/);
});

data("preprocessing refuses numbers that leave no image", async () => {
  const plain = { scale: 1, mean: [0], std: [1] };
  for (const bad of [
    { scale: Number.NaN },
    { scale: Number.POSITIVE_INFINITY },
    { mean: [0, Number.NaN, 0] },
    { std: [0] },
    { std: [1, -1, 1] },
    { std: [Number.POSITIVE_INFINITY] },
  ])
    await fails(() => preprocess(small, 0, 1, { ...plain, ...bad }), "E_INPUT", /finite, and std above 0/);
});

data.run();
