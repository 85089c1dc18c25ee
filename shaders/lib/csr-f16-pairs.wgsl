// The entries of lib/csr-f16, two to a load: for kernels whose loads of W are as dear as those of x. Rows have an even number.
const PER: u32 = 2u;
alias Entries = vec2<u32>;

@group(0) @binding(2) var<storage, read> entries: array<Entries>; // two entries

fn fetch(e: u32) -> Entries {
  return entries[e];
}

fn offset_after(o: u32, some: Entries, i: u32) -> u32 {
  return o + (some[i] >> 16u);
}

fn weight(some: Entries, i: u32) -> f32 {
  return unpack2x16float(some[i]).x;
}

fn unscaled(sum: X) -> X {
  return sum * params.scale;
}
