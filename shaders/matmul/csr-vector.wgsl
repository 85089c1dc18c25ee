// matmul/csr-vector: y = act(W x + bias + residual) for a few columns, W in CSR with pre-scaled offsets.
// One thread per row and column. Reads: 8 B of W and a gathered 4 B of x per non-zero. No barrier.
// @include "lib/activation.wgsl"
// @include "lib/columns.wgsl"
override WG_SIZE: u32 = 32;
override ACT: u32 = 0;
override HAS_RESIDUAL: bool = false;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> row_ptr: array<u32>; // rows + 1
@group(0) @binding(2) var<storage, read> entries: array<vec2<u32>>; // offset in words, bits of the value
@group(0) @binding(3) var<storage, read> bias: array<f32>; // one per row
@group(0) @binding(4) var<storage, read> residual: array<f32>; // y's rows and columns; x again when unused
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
@group(0) @binding(6) var<uniform> params: Columns;

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) lane: vec3<u32>) {
  let m = group.x * WG_SIZE + lane.x;
  if (m >= params.rows_per_group) { return; }
  let base = column_base(params, group.y);
  let end = row_ptr[m + 1u];
  var acc = 0.0;
  for (var e = row_ptr[m]; e < end; e++) {
    let entry = entries[e];
    acc += bitcast<f32>(entry.y) * x[base + entry.x];
  }
  let out = column_out(params, group.y);
  var value = acc + bias[m];
  if (HAS_RESIDUAL) { value += residual[out.y + m * params.r_channel]; }
  y[out.x + m * params.y_channel] = activate(value, ACT, params.act_a, params.act_b);
}
