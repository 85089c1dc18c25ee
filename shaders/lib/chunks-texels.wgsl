// The chunks of lib/slices in a texture of words: of each lane its offsets, its positions and its weights in TEXELS texels. A weight
// from memory is a load per step; a texel brings four.
const TEXELS: u32 = (LOADS + WORDS + RG * STEPS + 3u) / 4u;
alias Chunk = array<vec4<u32>, TEXELS>;

@group(0) @binding(1) var words: texture_storage_2d<rgba32uint, read>; // chunks x TEXELS x 8

fn fetch_chunk(at: u32, lane: u32) -> Chunk {
  var some: Chunk;
  for (var i: u32 = 0u; i < TEXELS; i++) { // @unroll
    some[i] = textureLoad(words, texel((at * TEXELS + i) * 8u + lane));
  }
  return some;
}

fn chunk_word(chunk: ptr<function, Chunk>, i: u32) -> u32 {
  return (*chunk)[i / 4u][i % 4u];
}

fn chunk_weight(at: u32, chunk: ptr<function, Chunk>, step: u32, lane: u32) -> f32 {
  return bitcast<f32>(chunk_word(chunk, LOADS + WORDS + step));
}
