// lib/block for two rows: too few for a vec4 of weights, so an offset and its two weights are a load each, and one load of x
// serves two multiply-adds, twice what CSR gets from it. One thread: 2 rows x V columns.
override WG_SIZE: u32 = 32;
override PERMUTED: bool = false;
const V: u32 = 4u; // @spec 2 4 8 16

@group(0) @binding(1) var<storage, read> row_ptr: array<u32>; // pairs of rows + 1
@group(0) @binding(2) var<storage, read> offsets: array<u32>; // one per entry, in X
@group(0) @binding(3) var<storage, read> weights: array<vec2<f32>>; // one per entry
@group(0) @binding(8) var<storage, read> rows: array<u32>; // the output channel of each row of each pair, when PERMUTED

fn pair_row(id: vec3<u32>, thread: u32) {
  let group = columns_by_rows(id);
  let block = group.y;
  let first = group.x * (WG_SIZE * V) + thread;
  let conv_group = block / params.blocks_per_group;
  let within = (block - conv_group * params.blocks_per_group) * 2u;
  var base: array<u32, V>;
  var channels: array<u32, 2>;
  var acc: array<X, 2u * V>;
  for (var r: u32 = 0u; r < 2u; r++) { // @unroll
    // A row past the group's end is the last one again; it is not stored.
    channels[r] = conv_group * params.rows_per_group + min(within + r, params.rows_per_group - 1u);
    if (PERMUTED) { channels[r] = rows[channels[r]]; }
    let first_sum = X(bias[channels[r]]);
    for (var v: u32 = 0u; v < V; v++) { // @unroll
      acc[r * V + v] = first_sum;
    }
  }
  for (var v: u32 = 0u; v < V; v++) { // @unroll
    base[v] = column_base(params, min(first + v * WG_SIZE, params.columns - 1u)) + conv_group * params.x_group;
  }
  let end = row_ptr[block + 1u];
  for (var e = row_ptr[block]; e < end; e++) {
    let o = offsets[e];
    let w = weights[e];
    for (var v: u32 = 0u; v < V; v++) { // @unroll
      let xv = x_at(base[v] + o);
      acc[v] += w.x * xv;
      acc[V + v] += w.y * xv;
    }
  }
  for (var v: u32 = 0u; v < V; v++) { // @unroll
    let column = first + v * WG_SIZE;
    if (column < params.columns) {
      let out = column_out(params, column);
      for (var r: u32 = 0u; r < 2u; r++) { // @unroll
        if (within + r < params.rows_per_group) { finish_biased(out, channels[r], acc[r * V + v]); }
      }
    }
  }
}
