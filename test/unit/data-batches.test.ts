import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Augmentation, type BatchOptions, batchesOf } from "../../src/data/batches.ts";
import { type Dataset, preprocess } from "../../src/data/dataset.ts";
import { seeded } from "../../src/tensor/random.ts";
import { fails } from "../support/error.ts";

const batches = suite("data: training batches");
const preprocessing = { scale: 1 / 255, mean: [0.4, 0.5, 0.6], std: [0.2, 0.25, 0.3] };

/** Images of random bytes, so that no two crops of one are the same; labels 0, 1, 2, 0, … */
function noise(length: number, shape: readonly [number, number, number] = [3, 6, 5], classes = 3): Dataset {
  const random = seeded(9);
  const size = length * shape[0] * shape[1] * shape[2];
  return {
    name: "cifar10",
    classes,
    shape,
    images: Uint8Array.from({ length: size }, () => random.below(256)),
    labels: Uint8Array.from({ length }, (_, i) => i % classes),
    length,
  };
}

const plain = (batch: number, more: Partial<BatchOptions> = {}): BatchOptions => ({
  batch,
  seed: 1,
  preprocessing,
  ...more,
});

/** Crop and mirror by the book: pad the bytes with zeros, cut out, turn round, then preprocess every value. */
function naive(
  set: Dataset,
  index: number,
  pad: number,
  top: number,
  left: number,
  mirror: boolean,
): number[] {
  const [channels, height, width] = set.shape;
  const out: number[] = [];
  for (let c = 0; c < channels; c++) {
    const padded = Array.from({ length: height + 2 * pad }, () => Array<number>(width + 2 * pad).fill(0));
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        padded[y + pad]![x + pad] = set.images[((index * channels + c) * height + y) * width + x]!;
    for (let y = 0; y < height; y++) {
      const row = padded[top + y]!.slice(left, left + width);
      for (const byte of mirror ? row.reverse() : row)
        out.push(Math.fround((byte / 255 - preprocessing.mean[c]!) / preprocessing.std[c]!));
    }
  }
  return out;
}

interface Place {
  readonly top: number;
  readonly left: number;
  readonly mirror: boolean;
}

/** The only crop of the image that these values can be; fails where there is none or more than one. */
function placeOf(set: Dataset, index: number, pad: number, values: ArrayLike<number>): Place {
  const found: Place[] = [];
  for (let top = 0; top <= 2 * pad; top++)
    for (let left = 0; left <= 2 * pad; left++)
      for (const mirror of [false, true]) {
        const wanted = naive(set, index, pad, top, left, mirror);
        if (wanted.every((v, i) => Math.abs(v - values[i]!) < 1e-6)) found.push({ top, left, mirror });
      }
  assert.is(found.length, 1, `image ${index} fits ${found.length} crops`);
  return found[0]!;
}

/** Places of all images of an epoch, by index. */
function places(set: Dataset, batch: number, epoch: number, augment: Augmentation, seed = 1): Place[] {
  const stream = batchesOf(set, plain(batch, { augment, seed }));
  const each = set.shape[0] * set.shape[1] * set.shape[2];
  const out: Place[] = [];
  for (let step = 0; step < stream.stepsPerEpoch; step++) {
    const { images, indices } = stream.get(epoch, step);
    for (const [n, index] of indices.entries()) {
      const values = (images.data as Float32Array).subarray(n * each, (n + 1) * each);
      out[index] = placeOf(set, index, augment.pad ?? 0, values);
    }
  }
  return out;
}

/** Indices of a whole epoch, in order. */
const orderOf = (set: Dataset, options: BatchOptions, epoch: number): number[] => {
  const stream = batchesOf(set, options);
  return Array.from({ length: stream.stepsPerEpoch }, (_, step) => [
    ...stream.get(epoch, step).indices,
  ]).flat();
};

batches("an epoch has every image once, in an order of its own; what fills no batch is left out", () => {
  const set = noise(24);
  const all = [...Array(24).keys()];
  const first = orderOf(set, plain(8), 0);
  const second = orderOf(set, plain(8), 1);
  assert.equal(
    [...first].sort((a, b) => a - b),
    all,
  );
  assert.equal(
    [...second].sort((a, b) => a - b),
    all,
  );
  assert.not.equal(first, second);
  assert.not.equal(first, all);
  const stream = batchesOf(set, plain(7));
  assert.equal([stream.batch, stream.stepsPerEpoch, stream.images], [7, 3, 21]);
  assert.is(new Set(orderOf(set, plain(7), 0)).size, 21);
  // The order is the epoch's, not the batch size's.
  assert.equal(orderOf(set, plain(7), 0), first.slice(0, 21));
});

batches("an image comes to every place of the order about equally often", () => {
  const set = noise(10, [1, 1, 1]);
  const stream = batchesOf(set, plain(10, { preprocessing: { scale: 1, mean: [0], std: [1] } }));
  const counts = Array.from({ length: 10 }, () => Array<number>(10).fill(0));
  for (let epoch = 0; epoch < 2000; epoch++)
    for (const [place, index] of stream.get(epoch, 0).indices.entries()) counts[index]![place]!++;
  // 200 expected, standard deviation 13.4: five of them.
  for (const [index, row] of counts.entries())
    assert.ok(
      row.every((n) => Math.abs(n - 200) < 67),
      `image ${index}: ${row}`,
    );
});

batches("these orders stay what they are: a training resumed by a later version goes on with them", () => {
  const set = noise(12);
  assert.equal(orderOf(set, plain(12), 0), [0, 10, 3, 1, 11, 5, 2, 9, 6, 7, 4, 8]);
  assert.equal(orderOf(set, plain(12, { seed: 4_294_967_295 }), 7), [5, 10, 0, 8, 6, 3, 4, 2, 9, 11, 7, 1]);
  const augment = { pad: 2, flip: true };
  const shown = places(set, 12, 3, augment).map((p) => `${p.top}${p.left}${p.mirror ? "m" : ""}`);
  assert.is(shown.join(" "), "31 40m 41m 33m 23m 24 22m 02m 34m 12m 32m 03");
});

batches("without augmentation a batch is the preprocessed images and their labels", () => {
  const set = noise(9);
  const { images, targets, indices } = batchesOf(set, plain(4)).get(2, 1);
  assert.equal([images.dtype, ...images.shape], ["f32", 4, 3, 6, 5]);
  assert.equal([targets.dtype, ...targets.shape], ["f32", 4, 3]);
  assert.is(indices.length, 4);
  for (const [n, index] of indices.entries()) {
    const wanted = preprocess(set, index, 1, preprocessing).data as Float32Array;
    assert.equal((images.data as Float32Array).slice(n * 90, (n + 1) * 90), wanted);
    const row = [...(targets.data as Float32Array).subarray(n * 3, (n + 1) * 3)];
    assert.equal(
      row,
      [0, 1, 2].map((label) => (label === index % 3 ? 1 : 0)),
    );
  }
});

batches("smoothed targets share ε among all classes", () => {
  const { targets, indices } = batchesOf(noise(8, [3, 2, 2], 4), plain(8, { labelSmoothing: 0.2 })).get(0, 0);
  for (const [n, index] of indices.entries())
    for (let label = 0; label < 4; label++)
      assert.is(targets.data[n * 4 + label], Math.fround(label === index % 4 ? 0.85 : 0.05));
});

batches("crops and flips are those of zero-padded bytes, and each about equally often", () => {
  const set = noise(300);
  const seen = places(set, 50, 0, { pad: 2, flip: true });
  const counts = { top: Array(5).fill(0), left: Array(5).fill(0), corner: Array(25).fill(0), mirror: [0, 0] };
  for (const { top, left, mirror } of seen) {
    counts.top[top]++;
    counts.left[left]++;
    counts.corner[5 * top + left]++;
    counts.mirror[mirror ? 1 : 0]!++;
  }
  // 60 expected of 300 (standard deviation 6.9), 12 per corner (3.4), 150 mirrored (8.7): five of them.
  for (const n of [...counts.top, ...counts.left]) assert.ok(Math.abs(n - 60) < 35, JSON.stringify(counts));
  for (const n of counts.corner) assert.ok(n > 0 && n < 29, JSON.stringify(counts));
  assert.ok(Math.abs(counts.mirror[1]! - 150) < 43, JSON.stringify(counts));
});

batches("an image's crop belongs to seed, epoch and image, not to its batch", () => {
  const set = noise(40);
  const augment = { pad: 2, flip: true };
  const one = places(set, 40, 5, augment);
  assert.equal(places(set, 8, 5, augment), one);
  const same = (a: Place[], b: Place[]): number =>
    a.filter((p, i) => p.top === b[i]!.top && p.left === b[i]!.left && p.mirror === b[i]!.mirror).length;
  // One in 50 agrees by chance.
  assert.ok(same(places(set, 40, 6, augment), one) < 8);
  assert.ok(same(places(set, 40, 5, augment, 2), one) < 8);
});

batches("padding and flipping can be asked for alone, and draw the same", () => {
  const set = noise(40);
  const both = places(set, 40, 0, { pad: 2, flip: true });
  const padded = places(set, 40, 0, { pad: 2 });
  const flipped = places(set, 40, 0, { flip: true });
  assert.equal(
    padded,
    both.map((p) => ({ ...p, mirror: false })),
  );
  assert.equal(
    flipped.map((p) => p.mirror),
    both.map((p) => p.mirror),
  );
  assert.ok(flipped.some((p) => p.mirror) && flipped.some((p) => !p.mirror));
});

batches("the border is a black byte, preprocessed like any other", () => {
  const white = { ...noise(20), images: new Uint8Array(20 * 90).fill(255) };
  const { images } = batchesOf(white, plain(20, { augment: { pad: 3 } })).get(0, 0);
  const seen = new Set<string>();
  for (const [i, v] of (images.data as Float32Array).entries()) seen.add(`${Math.floor(i / 30) % 3}: ${v}`);
  const wanted = [0, 1, 2].flatMap((c) =>
    [0, 1].map((v) => `${c}: ${Math.fround((v - preprocessing.mean[c]!) / preprocessing.std[c]!)}`),
  );
  assert.equal([...seen].sort(), wanted.sort());
});

batches("batches are the same whatever was asked for before; seeds differ", () => {
  const set = noise(30);
  const options = plain(7, { augment: { pad: 2, flip: true }, labelSmoothing: 0.1 });
  const forwards = batchesOf(set, options);
  const wanted = [0, 1, 2].flatMap((epoch) => [0, 1, 2, 3].map((step) => forwards.get(epoch, step)));
  const other = batchesOf(set, options);
  for (const i of [11, 0, 6, 6, 1, 10, 3, 8, 2, 4, 9, 5, 7])
    assert.equal(other.get(Math.floor(i / 4), i % 4), wanted[i]);
  const seeded2 = batchesOf(set, { ...options, seed: 2 }).get(0, 0);
  assert.not.equal(seeded2.indices, wanted[0]!.indices);
});

batches("a batch is the caller's own: changing it changes no other", () => {
  const stream = batchesOf(noise(20), plain(5));
  const first = stream.get(0, 0);
  const kept = structuredClone(first);
  const second = stream.get(0, 1);
  assert.equal(first, kept);
  second.indices.fill(99);
  first.indices.fill(99);
  (first.images.data as Float32Array).fill(99);
  assert.equal(stream.get(0, 0), kept);
});

batches("a data set smaller than the batch is one batch", () => {
  const stream = batchesOf(noise(5), plain(64));
  assert.equal([stream.batch, stream.stepsPerEpoch, stream.images], [5, 1, 5]);
  assert.equal([...stream.get(0, 0).images.shape], [5, 3, 6, 5]);
});

batches("bad data, options, epochs and steps are refused", async () => {
  const set = noise(10);
  const bad = (more: Partial<BatchOptions>, why: RegExp): Promise<unknown> =>
    fails(() => batchesOf(set, plain(5, more)), "E_INPUT", why);
  for (const batch of [0, -1, 2.5, Number.NaN]) await bad({ batch }, /^batch is/);
  for (const seed of [-1, 2 ** 32, 0.5]) await bad({ seed }, /^seed is/);
  for (const pad of [-1, 5, 0.5]) await bad({ augment: { pad } }, /pad is .* from 0 to 4 /);
  for (const labelSmoothing of [-0.1, 1, Number.NaN]) await bad({ labelSmoothing }, /labelSmoothing is/);
  await bad({ preprocessing: { scale: 1, mean: [0, 0], std: [1] } }, /mean has 2 entries/);
  await fails(() => batchesOf(noise(0), plain(5)), "E_INPUT", /no images/);
  const strange = { ...set, labels: Uint8Array.from([0, 1, 2, 3, 0, 0, 0, 0, 0, 0]) };
  await fails(() => batchesOf(strange, plain(5)), "E_INPUT", /^image 3 of cifar10 has label 3; .* 0 to 2\.$/);
  const stream = batchesOf(set, plain(5));
  for (const step of [-1, 2, 0.5]) await fails(() => stream.get(0, step), "E_INPUT", /^step of the epoch/);
  for (const epoch of [-1, 0.5, 2 ** 32]) await fails(() => stream.get(epoch, 0), "E_INPUT", /^epoch is/);
});

batches.run();
