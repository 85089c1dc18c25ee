// matmul/vector: run-time x run-time matrix product in vec4s, R rows x V vec4 columns per thread, no workgroup memory.
// Needs rows of A contiguous along k and rows of B along the columns, both sizes and every step a multiple of four; steps
// are in words as elsewhere. Four steps of k share one vec4 of A per row, which is uniform where lanes run along columns.
// Reads per four steps of k: 16R B of A (uniform), 64V B of B, for 16 R V vec4 multiply-adds. No barrier.
// @include "lib/activation.wgsl"
// @include "lib/matmul.wgsl"
override WG_SIZE: u32 = 32;
override ACT: u32 = 0;
const R: u32 = 4u; // @spec 1 2 4 8
const V: u32 = 2u; // @spec 1 2 4

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> c: array<f32>; // bound to something else when unused
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> params: Matmul;

@compute @workgroup_size(WG_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) lane: vec3<u32>,
) {
  let columns = params.columns / 4u;
  let across = (columns + WG_SIZE * V - 1u) / (WG_SIZE * V);
  let down = (params.rows + R - 1u) / R;
  let number = group.x + group.y * groups.x;
  let matrix = number / (across * down);
  if (matrix >= params.batch) { return; }
  let first = (number % across) * (WG_SIZE * V) + lane.x;
  let row = ((number / across) % down) * R;
  let base = matrices(matrix) / 4u;
  let b_inner = params.b_inner / 4u;
  // Rows and columns past the end read the last one again; they are not stored.
  var a_at: array<u32, R>;
  var b_at: array<u32, V>;
  var acc: array<vec4<f32>, R * V>;
  for (var r: u32 = 0u; r < R; r++) { // @unroll
    a_at[r] = base.x + min(row + r, params.rows - 1u) * (params.a_row / 4u);
  }
  for (var v: u32 = 0u; v < V; v++) { // @unroll
    b_at[v] = base.y + min(first + v * WG_SIZE, columns - 1u);
  }
  for (var i: u32 = 0u; i < R * V; i++) { // @unroll
    acc[i] = vec4<f32>();
  }
  for (var k = 0u; k < params.inner / 4u; k++) {
    var left: array<vec4<f32>, R>;
    for (var r: u32 = 0u; r < R; r++) { // @unroll
      left[r] = a[a_at[r] + k];
    }
    for (var v: u32 = 0u; v < V; v++) { // @unroll
      let at = b_at[v] + k * 4u * b_inner;
      let b0 = b[at];
      let b1 = b[at + b_inner];
      let b2 = b[at + 2u * b_inner];
      let b3 = b[at + 3u * b_inner];
      for (var r: u32 = 0u; r < R; r++) { // @unroll
        let l = left[r];
        acc[r * V + v] += l.x * b0 + l.y * b1 + l.z * b2 + l.w * b3;
      }
    }
  }
  for (var r: u32 = 0u; r < R; r++) { // @unroll
    for (var v: u32 = 0u; v < V; v++) { // @unroll
      let column = first + v * WG_SIZE;
      if (row + r < params.rows && column < columns) {
        var value = params.alpha * acc[r * V + v];
        if (params.has_c != 0u) {
          let at = params.c_base + (row + r) * params.c_row + column * 4u * params.c_column;
          value += params.beta * vec4<f32>(
            c[at],
            c[at + params.c_column],
            c[at + 2u * params.c_column],
            c[at + 3u * params.c_column],
          );
        }
        y[(matrix * params.rows + row + r) * columns + column] = activate4(value, ACT, params.act_a, params.act_b);
      }
    }
  }
}
