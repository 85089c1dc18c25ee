// matmul/register: run-time x run-time matrix product with any steps, R rows x V columns per thread in registers, no workgroup
// memory. Columns of a thread are WG_SIZE apart, so neighbouring lanes read neighbouring words of B and A is uniform.
// R = V = 1 is the plain product; larger tiles reuse every word of A V times and of B R times.
// Reads per step of k: 4R B of A (uniform), 4V B of B. No barrier.
// @include "lib/activation.wgsl"
// @include "lib/matmul.wgsl"
override WG_SIZE: u32 = 64;
override ACT: u32 = 0;
const R: u32 = 4u; // @spec 1 2 4 8
const V: u32 = 2u; // @spec 1 2 4

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> c: array<f32>; // A again when unused
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<uniform> params: Matmul;

@compute @workgroup_size(WG_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) lane: vec3<u32>,
) {
  let across = (params.columns + WG_SIZE * V - 1u) / (WG_SIZE * V);
  let down = (params.rows + R - 1u) / R;
  let number = group.x + group.y * groups.x;
  let matrix = number / (across * down);
  if (matrix >= params.batch) { return; }
  let first = (number % across) * (WG_SIZE * V) + lane.x;
  let row = ((number / across) % down) * R;
  let base = matrices(matrix);
  // Rows and columns past the end read the last one again; they are not stored.
  var a_at: array<u32, R>;
  var b_at: array<u32, V>;
  var acc: array<f32, R * V>;
  for (var r: u32 = 0u; r < R; r++) { // @unroll
    a_at[r] = base.x + min(row + r, params.rows - 1u) * params.a_row;
  }
  for (var v: u32 = 0u; v < V; v++) { // @unroll
    b_at[v] = base.y + min(first + v * WG_SIZE, params.columns - 1u) * params.b_column;
  }
  for (var i: u32 = 0u; i < R * V; i++) { // @unroll
    acc[i] = 0.0;
  }
  for (var k = 0u; k < params.inner; k++) {
    for (var v: u32 = 0u; v < V; v++) { // @unroll
      let value = b[b_at[v] + k * params.b_inner];
      for (var r: u32 = 0u; r < R; r++) { // @unroll
        acc[r * V + v] += a[a_at[r] + k * params.a_inner] * value;
      }
    }
  }
  for (var r: u32 = 0u; r < R; r++) { // @unroll
    for (var v: u32 = 0u; v < V; v++) { // @unroll
      let column = first + v * WG_SIZE;
      if (row + r < params.rows && column < params.columns) {
        var value = params.alpha * acc[r * V + v];
        if (params.has_c != 0u) { value += params.beta * c[params.c_base + (row + r) * params.c_row + column * params.c_column]; }
        y[(matrix * params.rows + row + r) * params.columns + column] =
          activate(value, ACT, params.act_a, params.act_b);
      }
    }
  }
}
