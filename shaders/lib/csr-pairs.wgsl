// Entries of CSR as they are fastest to read where bytes do not matter: offset and value side by side, so a non-zero costs one
// 8-byte load.
const PER: u32 = 1u;
alias Entries = vec2<u32>;

@group(0) @binding(2) var<storage, read> entries: array<Entries>; // offset in X, bits of the value

fn fetch(e: u32) -> Entries {
  return entries[e];
}

fn offset_after(o: u32, some: Entries, i: u32) -> u32 {
  return some.x;
}

fn weight(some: Entries, i: u32) -> f32 {
  return bitcast<f32>(some.y);
}

fn unscaled(sum: X) -> X {
  return sum;
}
