// The weights of an entry, each read by one lane and passed to the others by subgroupShuffle: an adapter on which a load that
// all threads do alike costs as much as any other (lavapipe in a loop) reads 8 weights for the price of one.
// Needs subgroups of at least 8.
const R: u32 = 16u; // @spec 2 4 8 16 32 64
const LOADS: u32 = (R + 7u) / 8u;
alias Weights = array<f32, LOADS>;

@group(0) @binding(3) var<storage, read> weights: array<f32>; // entries x R

fn fetch(e: u32, lane: u32) -> Weights {
  var w: Weights;
  for (var i: u32 = 0u; i < LOADS; i++) { // @unroll
    w[i] = weights[e * R + i * 8u + (lane & 7u) % R];
  }
  return w;
}

fn weight(w: ptr<function, Weights>, r: u32) -> f32 {
  return subgroupShuffle((*w)[r / 8u], r % 8u);
}
