// conv/gather-block: y = act(W * x + bias + residual), W in R x 1 blocks or dense, x gathered through an offset table.
// Convolution of any rank, 1x1 convolution, Gemm and MatMul with constant weights are all this one loop: an entry is an
// offset into x and the R weights of R consecutive output channels that share it. Dense: every block row has all K entries
// and they share one table of K offsets (SHARED_OFFSETS); block-sparse: each entry has its own.
// x and y are in columns layout (batch innermost, channel outermost, zero halo stored), so every load is an aligned vec4
// over four images and padding needs no bounds test.
// One thread: R rows x V vec4 columns. Reads per entry: 4 B offset + 4R B weights (uniform) + 16V B of x. No barrier.
// @include "lib/activation.wgsl"
// @include "lib/columns.wgsl"
override WG_SIZE: u32 = 32;
override ACT: u32 = 0;
override SHARED_OFFSETS: bool = true;
override HAS_RESIDUAL: bool = false;
const R4: u32 = 2u; // @spec 1 2 4
const V: u32 = 2u; // @spec 1 2 3 4

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> row_ptr: array<u32>; // block rows + 1
@group(0) @binding(2) var<storage, read> offsets: array<u32>; // K or one per entry, in vec4s
@group(0) @binding(3) var<storage, read> weights: array<vec4<f32>>; // entries x R4
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
  for (var v: u32 = 0u; v < V; v++) { // @unroll
    base[v] = column_base(params, min(first + v * WG_SIZE, params.columns - 1u)) + conv_group * params.x_group;
  }
  var acc: array<vec4<f32>, R4 * 4u * V>;
  for (var i: u32 = 0u; i < R4 * 4u * V; i++) { // @unroll
    acc[i] = vec4<f32>();
  }
  let start = row_ptr[block];
  let end = row_ptr[block + 1u];
  let table = select(0u, start, SHARED_OFFSETS);
  for (var e = start; e < end; e++) {
    let o = offsets[e - table];
    for (var v: u32 = 0u; v < V; v++) { // @unroll
      let xv = x[base[v] + o];
      for (var r: u32 = 0u; r < R4; r++) { // @unroll
        let w = weights[e * R4 + r];
        acc[(r * 4u + 0u) * V + v] += w.x * xv;
        acc[(r * 4u + 1u) * V + v] += w.y * xv;
        acc[(r * 4u + 2u) * V + v] += w.z * xv;
        acc[(r * 4u + 3u) * V + v] += w.w * xv;
      }
    }
  }
  let row = (block - conv_group * params.blocks_per_group) * (R4 * 4u);
  for (var v: u32 = 0u; v < V; v++) { // @unroll
    let column = first + v * WG_SIZE;
    if (column < params.columns) {
      let out = column_out(params, column);
      for (var r: u32 = 0u; r < R4 * 4u; r++) { // @unroll
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
