// The weight of an entry of a single row, which all threads of a group read alike.
const R: u32 = 1u;
alias Weights = f32;

@group(0) @binding(3) var<storage, read> weights: array<f32>; // one per entry

fn fetch(e: u32, lane: u32) -> Weights {
  return weights[e];
}

fn weight(w: ptr<function, Weights>, r: u32) -> f32 {
  return *w;
}
