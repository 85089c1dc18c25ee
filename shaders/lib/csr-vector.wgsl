// y = act(W x + bias + residual) for a few columns, W in CSR with pre-scaled offsets; the including file says how its entries lie.
// One thread per row and column; x is gathered.
override WG_SIZE: u32 = 32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> row_ptr: array<u32>; // rows + 1, in fetches
@group(0) @binding(8) var<storage, read> rows: array<u32>; // row of W at each place, longest first: lanes end together

fn csr_vector(group: vec3<u32>, lane: u32) {
  let place = group.x * WG_SIZE + lane;
  if (place >= params.rows_per_group) { return; }
  let m = rows[place];
  let base = column_base(params, group.y);
  let end = row_ptr[place + 1u];
  var acc = 0.0;
  var o = 0u;
  for (var e = row_ptr[place]; e < end; e++) {
    let some = fetch(e);
    for (var i: u32 = 0u; i < PER; i++) { // @unroll
      o = offset_after(o, some, i);
      acc += weight(some, i) * x[base + o];
    }
  }
  finish(column_out(params, group.y), m, unscaled(acc));
}
