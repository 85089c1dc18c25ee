// conv/gather-csr: y = act(W * x + bias + residual), W in CSR with columns pre-scaled to offsets into x.
// The element-wise sparse twin of conv/gather-block: one row of W per thread, V vec4 columns, one vec4 of x per non-zero
// and column. Offset and value lie side by side, so a non-zero costs one uniform 8-byte load.
// Reads per non-zero: 8 B (uniform) + 16V B of x. No barrier.
// @include "lib/activation.wgsl"
// @include "lib/columns.wgsl"
override WG_SIZE: u32 = 32;
override ACT: u32 = 0;
override HAS_RESIDUAL: bool = false;
const V: u32 = 4u; // @spec 1 2 3 4 6 8

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> row_ptr: array<u32>; // rows + 1
@group(0) @binding(2) var<storage, read> entries: array<vec2<u32>>; // offset in vec4s, bits of the value
@group(0) @binding(3) var<storage, read> bias: array<f32>; // one per output channel
@group(0) @binding(4) var<storage, read> residual: array<vec4<f32>>; // y's channels and pixels; x again when unused
@group(0) @binding(5) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(6) var<uniform> params: Columns;

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) lane: vec3<u32>) {
  let m = group.y;
  let first = group.x * (WG_SIZE * V) + lane.x;
  var base: array<u32, V>;
  var acc: array<vec4<f32>, V>;
  for (var v: u32 = 0u; v < V; v++) { // @unroll
    base[v] = column_base(params, min(first + v * WG_SIZE, params.columns - 1u))
      + (m / params.rows_per_group) * params.x_group;
    acc[v] = vec4<f32>();
  }
  let end = row_ptr[m + 1u];
  for (var e = row_ptr[m]; e < end; e++) {
    let entry = entries[e];
    let w = bitcast<f32>(entry.y);
    for (var v: u32 = 0u; v < V; v++) { // @unroll
      acc[v] += w * x[base[v] + entry.x];
    }
  }
  for (var v: u32 = 0u; v < V; v++) { // @unroll
    let column = first + v * WG_SIZE;
    if (column < params.columns) {
      let out = column_out(params, column);
      var value = acc[v] + bias[m];
      if (HAS_RESIDUAL) { value += residual[out.y + m * params.r_channel]; }
      y[out.x + m * params.y_channel] = activate4(value, ACT, params.act_a, params.act_b);
    }
  }
}
