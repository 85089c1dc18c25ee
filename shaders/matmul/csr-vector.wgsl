// matmul/csr-vector: y = act(W x + bias + residual) for a few columns, W in CSR with pre-scaled offsets.
// One thread per row and column. Reads: 8 B of W and a gathered 4 B of x per non-zero. No barrier.
// @include "lib/activation.wgsl"
// @include "lib/columns.wgsl"
// @include "lib/word.wgsl"
// @include "lib/finish.wgsl"
override WG_SIZE: u32 = 32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> row_ptr: array<u32>; // rows + 1
@group(0) @binding(2) var<storage, read> entries: array<vec2<u32>>; // offset in words, bits of the value
@group(0) @binding(8) var<storage, read> rows: array<u32>; // row of W at each place, longest first: lanes end together

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) lane: vec3<u32>) {
  let place = group.x * WG_SIZE + lane.x;
  if (place >= params.rows_per_group) { return; }
  let m = rows[place];
  let base = column_base(params, group.y);
  let end = row_ptr[place + 1u];
  var acc = 0.0;
  for (var e = row_ptr[place]; e < end; e++) {
    let entry = entries[e];
    acc += bitcast<f32>(entry.y) * x[base + entry.x];
  }
  finish(column_out(params, group.y), m, acc);
}
