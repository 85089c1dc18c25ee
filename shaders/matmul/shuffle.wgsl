// matmul/shuffle: y = act(alpha * A * B + beta * C) in vec4s, each row of A read by one lane and passed to the others. See
// lib/vector-product, and lib/shuffled-weights for why. Needs subgroups of at least 8.
// Reads per four steps of k: 2R B of A, 64V B of B, for 16 R V vec4 multiply-adds. No barrier.
enable subgroups;
// @include "lib/activation.wgsl"
// @include "lib/matmul.wgsl"
const R: u32 = 16u; // @spec 8 16 32
const LOADS: u32 = R / 8u;
alias Starts = array<u32, LOADS>;
alias Left = array<vec4<f32>, LOADS>;

fn starts(base: u32, row: u32, lane: u32) -> Starts {
  var at: Starts;
  for (var i: u32 = 0u; i < LOADS; i++) { // @unroll
    at[i] = base + min(row + i * 8u + (lane & 7u), params.rows - 1u) * (params.a_row / 4u);
  }
  return at;
}

fn fetch(at: ptr<function, Starts>, k: u32) -> Left {
  var rows: Left;
  for (var i: u32 = 0u; i < LOADS; i++) { // @unroll
    rows[i] = a[(*at)[i] + k];
  }
  return rows;
}

fn left(rows: ptr<function, Left>, r: u32) -> vec4<f32> {
  return subgroupShuffle((*rows)[r / 8u], r % 8u);
}
// @include "lib/vector-product.wgsl"

@compute @workgroup_size(WG_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) thread: vec3<u32>,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  product(group.x + group.y * groups.x, thread.x, lane);
}
