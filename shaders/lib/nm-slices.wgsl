// y = act(W * x + bias + residual), W with N of every M columns of each row (N:M), in slices of 8 rows. The 8 lanes of a thread group
// are 8 rows of W; for each chunk of 8 columns of W every lane loads x at one of them, and each lane then takes, by
// subgroupShuffle, the column that its own row's next weight asks for, as lib/ell does. Every row has as many weights in a chunk as
// any other, so there is no inner loop and no lane idles, and a loaded x serves all RG slices of a thread. Positions of a chunk
// lie side by side in WORDS words per lane. Needs subgroups of at least 8.
// One thread of 8 lanes: RG slices x V columns. Reads per chunk 16V B of x, RG N 8 / M weights of 4 B and 4 WORDS B, per lane. No barrier.
const RG: u32 = 4u; // @spec 2 4 8
const V: u32 = 4u; // @spec 2 4 8
const N: u32 = 2u; // @spec 1 2 3 4
const M: u32 = 4u; // @spec 4 8
const BITS: u32 = 2u; // @spec 2 4
const WG_SIZE: u32 = 8u;
const STEPS: u32 = N * 8u / M; // of a slice in a chunk
const WORDS: u32 = (RG * STEPS * BITS + 31u) / 32u;

@group(0) @binding(1) var<storage, read> positions: array<u32>; // groups of slices x chunks x WORDS x 8
@group(0) @binding(2) var<storage, read> offsets: array<u32>; // of the columns of W, rounded up to whole chunks, in X
@group(0) @binding(3) var<storage, read> weights: array<f32>; // groups of slices x chunks x RG x STEPS x 8

fn slice_row(group: vec3<u32>, s: u32, lane: u32) -> u32 {
  let conv_group = group.y / params.blocks_per_group;
  let row = ((group.y - conv_group * params.blocks_per_group) * RG + s) * 8u + lane;
  return select(NONE, conv_group * params.rows_per_group + row, row < params.rows_per_group);
}

fn slices(id: vec3<u32>, lane: u32) {
  let group = columns_by_rows(id);
  let first = group.x * V;
  let conv_group = group.y / params.blocks_per_group;
  var base: array<u32, V>;
  for (var v: u32 = 0u; v < V; v++) { // @unroll
    base[v] = column_base(params, min(first + v, params.columns - 1u)) + conv_group * params.x_group;
  }
  var acc: array<X, SUMS>;
  for (var s: u32 = 0u; s < RG; s++) { // @unroll
    let row = slice_row(group, s, lane);
    let first_sum = X(bias[select(row, 0u, row == NONE)]);
    for (var v: u32 = 0u; v < V; v++) { // @unroll
      acc[s * V + v] = first_sum;
    }
  }
  let chunks = (params.k + 7u) / 8u;
  let at = group.y * chunks;
  for (var c = 0u; c < chunks; c++) {
    let o = offsets[c * 8u + lane];
    var xv: array<X, V>;
    for (var v: u32 = 0u; v < V; v++) { // @unroll
      xv[v] = x_at(base[v] + o);
    }
    var words: array<u32, WORDS>;
    for (var i: u32 = 0u; i < WORDS; i++) { // @unroll
      words[i] = positions[((at + c) * WORDS + i) * 8u + lane];
    }
    for (var s: u32 = 0u; s < RG; s++) { // @unroll
      for (var t: u32 = 0u; t < STEPS; t++) { // @unroll
        let bit = (s * STEPS + t) * BITS;
        let source = ((words[bit / 32u] >> (bit % 32u)) & ((1u << BITS) - 1u)) + t / N * M;
        let w = weights[(((at + c) * RG + s) * STEPS + t) * 8u + lane];
        for (var v: u32 = 0u; v < V; v++) { // @unroll
          acc[s * V + v] += w * subgroupShuffle(xv[v], source);
        }
      }
    }
  }
  store_slices(first, group, lane, &acc);
}
