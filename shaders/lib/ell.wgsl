// y = act(W * x + bias + residual), W unstructured, in slices of 8 rows and chunks of 8 input channels (sliced ELL, Monakov et al.
// 2010, cut along the columns as well). x lies with the 8 channels of a chunk side by side (conv/interleave), one per lane, so a
// load brings what 8 columns of W need; each lane then takes, by subgroupShuffle, the channel that its own row's next weight asks
// for. An x that CSR loads once per non-zero is loaded once for all RG slices of a thread. A step of a slice is one weight per row,
// zero where a row has none left in the chunk. Needs subgroups of at least 8.
// One thread of 8 lanes: RG slices x V columns. Reads per chunk 16V B of x per lane, per step 8 B per lane. No barrier.
const RG: u32 = 4u; // @spec 1 2 4 8
const V: u32 = 8u; // @spec 4 8
const WG_SIZE: u32 = 8u;

@group(0) @binding(0) var<storage, read> interleaved: array<X>;
@group(0) @binding(1) var<storage, read> steps: array<u32>; // first step of each slice in each chunk of each group of RG slices, + 1
@group(0) @binding(2) var<storage, read> offsets: array<u32>; // of each chunk, in X before the channels
@group(0) @binding(3) var<storage, read> entries: array<vec2<u32>>; // steps x 8: bits of the weight, channel of the chunk
@group(0) @binding(8) var<storage, read> rows: array<u32>; // output channel of each row of each slice; past the last: none

// Rows come in any order, so `rows` names their output channels.
fn slice_row(group: vec3<u32>, s: u32, lane: u32) -> u32 {
  return rows[(group.y * RG + s) * 8u + lane];
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
  var at = group.y * params.k * RG;
  for (var c = 0u; c < params.k; c++) {
    let o = offsets[c];
    var xv: array<X, V>;
    for (var v: u32 = 0u; v < V; v++) { // @unroll
      xv[v] = interleaved[(base[v] + o) * 8u + lane];
    }
    for (var s: u32 = 0u; s < RG; s++) { // @unroll
      let end = steps[at + s + 1u];
      for (var e = steps[at + s]; e < end; e++) {
        let entry = entries[e * 8u + lane];
        let w = bitcast<f32>(entry.x);
        for (var v: u32 = 0u; v < V; v++) { // @unroll
          acc[s * V + v] += w * subgroupShuffle(xv[v], entry.y);
        }
      }
    }
    at += RG;
  }
  store_slices(first, group, lane, &acc);
}
