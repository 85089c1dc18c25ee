import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Dataset } from "../../src/data/dataset.ts";
import { glyphs } from "../../src/data/glyphs.ts";
import { splitValidation, subset } from "../../src/data/split.ts";
import { fails } from "../support/error.ts";

const split = suite("data: subsets and validation");

/** Image i has the bytes 10 i to 10 i + 3 and label i mod 10. */
const counted = (length: number): Dataset => ({
  name: "digits",
  classes: 10,
  shape: [1, 2, 2],
  images: Uint8Array.from({ length: 4 * length }, (_, i) => 10 * Math.floor(i / 4) + (i % 4)),
  labels: Uint8Array.from({ length }, (_, i) => i % 10),
  length,
});

split("indices pick images in their order, more than once if asked", () => {
  const set = counted(5);
  for (const indices of [[4, 0, 4], Uint32Array.from([4, 0, 4])]) {
    const picked = subset(set, indices);
    assert.equal([...picked.images], [40, 41, 42, 43, 0, 1, 2, 3, 40, 41, 42, 43]);
    assert.equal([...picked.labels], [4, 0, 4]);
    assert.equal([picked.name, picked.classes, picked.length, ...picked.shape], ["digits", 10, 3, 1, 2, 2]);
  }
  const copy = subset(set, [0]);
  copy.images.fill(99);
  assert.is(set.images[0], 0);
  assert.is(subset(set, []).length, 0);
});

split("a range is a view, without its end", () => {
  const set = counted(5);
  const middle = subset(set, { from: 1, to: 3 });
  assert.equal([...middle.images], [10, 11, 12, 13, 20, 21, 22, 23]);
  assert.equal([[...middle.labels], middle.length], [[1, 2], 2]);
  assert.is(middle.images.buffer, set.images.buffer);
  assert.equal(subset(set, { from: 0, to: 5 }), set);
  assert.is(subset(set, { from: 5, to: 5 }).images.length, 0);
});

split("the last tenth is for validation, rounded down; both parts make up the whole", () => {
  const set = glyphs("train", 29, 1);
  const { train, validation } = splitValidation(set);
  assert.equal([train.length, validation.length], [27, 2]);
  assert.equal(validation.images, set.images.slice(27 * 784));
  assert.equal([...train.labels, ...validation.labels], [...set.labels]);
  assert.equal(train.images, set.images.slice(0, 27 * 784));
  assert.is(splitValidation(counted(9)).validation.length, 0);
});

split("a count is taken as it is; 0 means none", () => {
  const set = counted(5);
  assert.equal([...splitValidation(set, 4).validation.labels], [1, 2, 3, 4]);
  assert.equal([...splitValidation(set, 4).train.labels], [0]);
  const none = splitValidation(set, 0);
  assert.equal(none.train, set);
  assert.equal([none.validation.length, none.validation.images.length], [0, 0]);
});

split("counts that leave nothing to train with, indices and ranges outside are refused", async () => {
  const set = counted(5);
  for (const count of [5, 6])
    await fails(() => splitValidation(set, count), "E_INPUT", /leave none of the 5 of digits/);
  for (const count of [-1, 0.5, Number.NaN])
    await fails(() => splitValidation(set, count), "E_INPUT", /^count of validation images is/);
  await fails(() => splitValidation(counted(0)), "E_INPUT", /to train with/);
  for (const bad of [-1, 5, 1.5, Number.NaN])
    await fails(() => subset(set, [0, bad]), "E_INPUT", /^index 1 of the subset is .* images 0 to 4\.$/);
  for (const [from, to] of [
    [-1, 2],
    [3, 2],
    [0, 6],
    [0.5, 2],
    [0, Number.NaN],
  ] as const)
    await fails(() => subset(set, { from, to }), "E_INPUT", /no range of digits, which has 5/);
});

split.run();
