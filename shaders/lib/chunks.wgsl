// The chunks of lib/slices in two arrays: words of each lane (its offsets, then its positions, eight to a word) and its weights, a load
// of a float per step.
alias Chunk = array<u32, LOADS + WORDS>;

@group(0) @binding(1) var<storage, read> words: array<u32>; // chunks x (LOADS + WORDS) x 8: offsets in X, positions
@group(0) @binding(3) var<storage, read> weights: array<f32>; // chunks x RG x STEPS x 8

fn fetch_chunk(at: u32, lane: u32) -> Chunk {
  var some: Chunk;
  for (var i: u32 = 0u; i < LOADS + WORDS; i++) { // @unroll
    some[i] = words[(at * (LOADS + WORDS) + i) * 8u + lane];
  }
  return some;
}

fn chunk_word(chunk: ptr<function, Chunk>, i: u32) -> u32 {
  return (*chunk)[i];
}

fn chunk_weight(at: u32, chunk: ptr<function, Chunk>, step: u32, lane: u32) -> f32 {
  return weights[(at * RG * STEPS + step) * 8u + lane];
}
