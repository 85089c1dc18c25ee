// matmul/vector: y = act(alpha * A * B + beta * C) in vec4s, rows of A read alike by all threads. See lib/vector-product.
// Reads per four steps of k: 16R B of A (uniform), 64V B of B, for 16 R V vec4 multiply-adds. No barrier.
// @include "lib/activation.wgsl"
// @include "lib/matmul.wgsl"
const R: u32 = 4u; // @spec 1 2 4 8
alias Starts = array<u32, R>;
alias Left = array<vec4<f32>, R>;

fn starts(base: u32, row: u32, lane: u32) -> Starts {
  var at: Starts;
  for (var r: u32 = 0u; r < R; r++) { // @unroll
    at[r] = base + min(row + r, params.rows - 1u) * (params.a_row / 4u);
  }
  return at;
}

fn fetch(at: ptr<function, Starts>, k: u32) -> Left {
  var rows: Left;
  for (var r: u32 = 0u; r < R; r++) { // @unroll
    rows[r] = a[(*at)[r] + k];
  }
  return rows;
}

fn left(rows: ptr<function, Left>, r: u32) -> vec4<f32> {
  return (*rows)[r];
}
// @include "lib/vector-product.wgsl"

@compute @workgroup_size(WG_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) thread: vec3<u32>,
) {
  product(group.x + group.y * groups.x, thread.x, 0u);
}
