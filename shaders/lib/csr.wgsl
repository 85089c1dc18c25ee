// y = act(W * x + bias + residual), W in CSR with columns pre-scaled to offsets into x: the element-wise sparse twin of
// lib/block. One row of W per thread, V columns, one load of x per non-zero and column. Offset and value lie side by side, so
// a non-zero costs one uniform 8-byte load. Rows come longest first (`rows` names their output channels), so that rows of
// like length run side by side and no long one is left for the end (Gale et al., SC 2020, section 5.3).
override WG_SIZE: u32 = 32;
const V: u32 = 4u; // @spec 1 2 3 4 6 8 16

@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read> row_ptr: array<u32>; // rows + 1
@group(0) @binding(2) var<storage, read> entries: array<vec2<u32>>; // offset in X, bits of the value
@group(0) @binding(8) var<storage, read> rows: array<u32>; // output channel of each row

fn csr_row(group: vec3<u32>, thread: u32) {
  let first = group.x * (WG_SIZE * V) + thread;
  let m = rows[group.y];
  var base: array<u32, V>;
  var acc: array<X, V>;
  for (var v: u32 = 0u; v < V; v++) { // @unroll
    base[v] = column_base(params, min(first + v * WG_SIZE, params.columns - 1u))
      + (m / params.rows_per_group) * params.x_group;
    acc[v] = X();
  }
  let end = row_ptr[group.y + 1u];
  for (var e = row_ptr[group.y]; e < end; e++) {
    let entry = entries[e];
    let w = bitcast<f32>(entry.y);
    for (var v: u32 = 0u; v < V; v++) { // @unroll
      acc[v] += w * x[base[v] + entry.x];
    }
  }
  for (var v: u32 = 0u; v < V; v++) { // @unroll
    let column = first + v * WG_SIZE;
    if (column < params.columns) { finish(column_out(params, column), m, acc[v]); }
  }
}
