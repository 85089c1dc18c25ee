// Entries of CSR in 6 bytes: 16 bits for how far an entry's offset lies behind the one before (the first: behind the column's
// base), two to a word, and the value in f32. A row has an even number of entries; a zero fills it up, and bridges what is
// further apart than 16 bits say.
const PER: u32 = 2u;

@group(0) @binding(2) var<storage, read> steps: array<u32>; // of two entries, the first in the low half, in X
@group(0) @binding(3) var<storage, read> weights: array<vec2<f32>>; // of the same two

struct Entries {
  steps: u32,
  weights: vec2<f32>,
}

fn fetch(e: u32) -> Entries {
  return Entries(steps[e], weights[e]);
}

fn offset_after(o: u32, some: Entries, i: u32) -> u32 {
  return o + ((some.steps >> (16u * i)) & 0xffffu);
}

fn weight(some: Entries, i: u32) -> f32 {
  return some.weights[i];
}

fn unscaled(sum: X) -> X {
  return sum;
}
