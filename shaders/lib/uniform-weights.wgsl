// The weights of an entry as vec4s that all threads of a group read alike: what a GPU serves from its constant path.
const R4: u32 = 2u; // @spec 1 2 4
const R: u32 = R4 * 4u;
alias Weights = array<vec4<f32>, R4>;

@group(0) @binding(3) var<storage, read> weights: array<vec4<f32>>; // entries x R4

fn fetch(e: u32, lane: u32) -> Weights {
  var w: Weights;
  for (var i: u32 = 0u; i < R4; i++) { // @unroll
    w[i] = weights[e * R4 + i];
  }
  return w;
}

fn weight(w: ptr<function, Weights>, r: u32) -> f32 {
  return (*w)[r / 4u][r % 4u];
}
