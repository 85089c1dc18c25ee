// Entries of CSR in one word: the step of lib/csr-u16 in the high half, the value in half precision in the low one. Values are
// times a power of two per matrix, so that none of those kept is subnormal; sums are in f32.
const PER: u32 = 1u;
alias Entries = u32;

@group(0) @binding(2) var<storage, read> entries: array<Entries>;

fn fetch(e: u32) -> Entries {
  return entries[e];
}

fn offset_after(o: u32, some: Entries, i: u32) -> u32 {
  return o + (some >> 16u);
}

fn weight(some: Entries, i: u32) -> f32 {
  return unpack2x16float(some).x;
}

fn unscaled(sum: X) -> X {
  return sum * params.scale;
}
