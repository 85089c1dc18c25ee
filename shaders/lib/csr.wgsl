// y = act(W * x + bias + residual), W in CSR with columns pre-scaled to offsets into x: the element-wise sparse twin of
// lib/block. One row of W per thread, V columns, one load of x per non-zero and column. The including file says how the
// entries of W lie (lib/csr-pairs: offset and value side by side; lib/csr-f16: both in one word), PER of them to a fetch. Rows
// come longest first (`rows` names their output channels), so that rows of like length run side by side and no long one is
// left for the end (Gale et al., SC 2020, section 5.3).
override WG_SIZE: u32 = 32;
const V: u32 = 4u; // @spec 1 2 3 4 6 8 16

@group(0) @binding(1) var<storage, read> row_ptr: array<u32>; // rows + 1, in fetches
@group(0) @binding(8) var<storage, read> rows: array<u32>; // output channel of each row

fn csr_row(id: vec3<u32>, thread: u32) {
  let group = columns_by_rows(id);
  let first = group.x * (WG_SIZE * V) + thread;
  let m = rows[group.y];
  let b = bias[m];
  var base: array<u32, V>;
  var acc: array<X, V>;
  for (var v: u32 = 0u; v < V; v++) { // @unroll
    base[v] = column_base(params, min(first + v * WG_SIZE, params.columns - 1u))
      + (m / params.rows_per_group) * params.x_group;
    acc[v] = X();
  }
  let end = row_ptr[group.y + 1u];
  var o = 0u;
  for (var e = row_ptr[group.y]; e < end; e++) {
    let some = fetch(e);
    for (var i: u32 = 0u; i < PER; i++) { // @unroll
      o = offset_after(o, some, i);
      let w = weight(some, i);
      for (var v: u32 = 0u; v < V; v++) { // @unroll
        acc[v] += w * x_at(base[v] + o);
      }
    }
  }
  for (var v: u32 = 0u; v < V; v++) { // @unroll
    let column = first + v * WG_SIZE;
    if (column < params.columns) { finish_biased(column_out(params, column), m, unscaled(acc[v]) + b); }
  }
}
