// conv/gather-pair: y = act(W * x + bias + residual), W in 2 x 1 blocks, x gathered through one offset per block.
// conv/gather-block for two rows: too few for a vec4 of weights, so an offset and its two weights are a load each, and one
// vec4 of x serves two multiply-adds, twice what CSR gets from it.
// One thread: 2 rows x V vec4 columns. Reads per entry: 4 B offset + 8 B weights (uniform) + 16V B of x. No barrier.
// @include "lib/activation.wgsl"
// @include "lib/columns.wgsl"
override WG_SIZE: u32 = 32;
override ACT: u32 = 0;
override HAS_RESIDUAL: bool = false;
const V: u32 = 4u; // @spec 2 4 8

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> row_ptr: array<u32>; // pairs of rows + 1
@group(0) @binding(2) var<storage, read> offsets: array<u32>; // one per entry, in vec4s
@group(0) @binding(3) var<storage, read> weights: array<vec2<f32>>; // one per entry
@group(0) @binding(4) var<storage, read> bias: array<f32>; // one per output channel
@group(0) @binding(5) var<storage, read> residual: array<vec4<f32>>; // y's channels and pixels; x again when unused
@group(0) @binding(6) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(7) var<uniform> params: Columns;

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) lane: vec3<u32>) {
  let block = group.y;
  let first = group.x * (WG_SIZE * V) + lane.x;
  let conv_group = block / params.blocks_per_group;
  var base: array<u32, V>;
  var acc: array<vec4<f32>, 2u * V>;
  for (var v: u32 = 0u; v < V; v++) { // @unroll
    base[v] = column_base(params, min(first + v * WG_SIZE, params.columns - 1u)) + conv_group * params.x_group;
    acc[v] = vec4<f32>();
    acc[V + v] = vec4<f32>();
  }
  let end = row_ptr[block + 1u];
  for (var e = row_ptr[block]; e < end; e++) {
    let o = offsets[e];
    let w = weights[e];
    for (var v: u32 = 0u; v < V; v++) { // @unroll
      let xv = x[base[v] + o];
      acc[v] += w.x * xv;
      acc[V + v] += w.y * xv;
    }
  }
  let row = (block - conv_group * params.blocks_per_group) * 2u;
  for (var v: u32 = 0u; v < V; v++) { // @unroll
    let column = first + v * WG_SIZE;
    if (column < params.columns) {
      let out = column_out(params, column);
      for (var r: u32 = 0u; r < 2u; r++) { // @unroll
        if (row + r < params.rows_per_group) {
          let m = conv_group * params.rows_per_group + row + r;
          var value = acc[r * V + v] + bias[m];
          if (HAS_RESIDUAL) { value += residual[out.y + m * params.r_channel]; }
          y[out.x + m * params.y_channel] = activate4(value, ACT, params.act_a, params.act_b);
        }
      }
    }
  }
}
