// Entries of CSR in a texture, two of them to a texel: offset and value, offset and value. As words, since a texture of floats need
// not keep the bits of an offset. Rows of an odd number end with a zero.
const PER: u32 = 2u;
alias Entries = vec4<u32>;

@group(0) @binding(2) var entries: texture_storage_2d<rgba32uint, read>;

fn fetch(e: u32) -> Entries {
  return textureLoad(entries, texel(e));
}

fn offset_after(o: u32, some: Entries, i: u32) -> u32 {
  return some[2u * i];
}

fn weight(some: Entries, i: u32) -> f32 {
  return bitcast<f32>(some[2u * i + 1u]);
}

fn unscaled(sum: X) -> X {
  return sum;
}
