// The entries of a block row of lib/block in panels: U of them side by side, first their offsets and then the R weights of each, in a
// texture of words. Every lane loads one texel of a panel, or a few, and passes its words on by subgroupShuffle, so that a panel of up
// to 32 words costs one load. Needs subgroups of at least 8. The last panel of a block row ends with zeros.
const R: u32 = 8u; // @spec 2 4 8 16 32
const U: u32 = 2u; // @spec 1 2 4
const TEXELS: u32 = (U + U * R + 3u) / 4u; // of a panel
const LOADS: u32 = (TEXELS + 7u) / 8u;
alias Weights = array<vec4<u32>, LOADS>;

@group(0) @binding(1) var<storage, read> row_ptr: array<u32>; // block rows + 1, in panels
@group(0) @binding(2) var panels: texture_storage_2d<rgba32uint, read>;

fn first_entry(block: u32) -> u32 {
  return row_ptr[block];
}

fn fetch(e: u32, lane: u32) -> Weights {
  var w: Weights;
  for (var i: u32 = 0u; i < LOADS; i++) { // @unroll
    w[i] = textureLoad(panels, texel(e * TEXELS + min(i * 8u + (lane & 7u), TEXELS - 1u)));
  }
  return w;
}

fn word(w: ptr<function, Weights>, i: u32) -> u32 {
  return subgroupShuffle((*w)[i / 32u][i % 4u], (i / 4u) % 8u);
}

fn entry_offset(block: u32, e: u32, start: u32, w: ptr<function, Weights>, u: u32) -> u32 {
  return word(w, u);
}

fn weight(w: ptr<function, Weights>, i: u32) -> f32 {
  return bitcast<f32>(word(w, U + i));
}
