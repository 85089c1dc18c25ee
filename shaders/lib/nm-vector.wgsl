// y = act(W x + bias + residual) for a few columns, W with N of every M columns shared by the rows of a thread. The words of positions
// and the weights of neighbouring threads lie side by side, so that all lanes read neighbouring words, and all run equally long.
// The including file says what the rows of a thread are: Rows, LOADS of them.
override WG_SIZE: u32 = 32;
const N: u32 = 2u; // @spec 1 2 3 4 5 6 7 8
const M: u32 = 4u; // @spec 4 8 16
const BITS: u32 = 2u; // @spec 2 4
const TO_A_WORD: u32 = 32u / (N * BITS); // groups
override EVEN: bool = false;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> positions: array<u32>; // words x threads
@group(0) @binding(2) var<storage, read> offsets: array<u32>; // K, in words; any other buffer when EVEN
@group(0) @binding(3) var<storage, read> weights: array<Rows>; // words x entries of a word x LOADS x threads; zeros past the last column

fn nm_vector(group: vec3<u32>, lane: u32) {
  let thread = group.x * WG_SIZE + lane;
  let threads = params.blocks_per_group;
  if (thread >= threads) { return; }
  let base = column_base(params, group.y);
  let words = (params.k + M * TO_A_WORD - 1u) / (M * TO_A_WORD);
  var acc: array<Rows, LOADS>;
  for (var i: u32 = 0u; i < LOADS; i++) { // @unroll
    acc[i] = Rows();
  }
  for (var word = 0u; word < words; word++) {
    let some = positions[word * threads + thread];
    for (var e: u32 = 0u; e < TO_A_WORD * N; e++) { // @unroll
      // Past the last column the weights are zero, but x may be anything.
      let k = min((word * TO_A_WORD + e / N) * M + ((some >> (e * BITS)) & ((1u << BITS) - 1u)), params.k - 1u);
      var o = k * params.x_tap;
      if (!EVEN) { o = offsets[k]; }
      let value = x[base + o];
      for (var i: u32 = 0u; i < LOADS; i++) { // @unroll
        acc[i] += weights[((word * (TO_A_WORD * N) + e) * LOADS + i) * threads + thread] * value;
      }
    }
  }
  let out = column_out(params, group.y);
  for (var i: u32 = 0u; i < LOADS; i++) { // @unroll
    store(out, thread * LOADS + i, acc[i]);
  }
}
