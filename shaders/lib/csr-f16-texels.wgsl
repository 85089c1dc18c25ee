// Entries of lib/csr-f16 in a texture, four of them to a texel.
const PER: u32 = 4u;
alias Entries = vec4<u32>;

@group(0) @binding(2) var entries: texture_storage_2d<rgba32uint, read>;

fn fetch(e: u32) -> Entries {
  return textureLoad(entries, texel(e));
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
