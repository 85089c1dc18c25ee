// matmul/nm-vector-quads: W x for a few columns, N of every M columns shared by 4 or 8 rows. See lib/nm-vector.
// One thread per 4 LOADS rows and column. Reads per entry: 16 LOADS B of W, a share of 4 B of positions, and 4 B of x within M words.
// No barrier.
// @include "lib/activation.wgsl"
// @include "lib/columns.wgsl"
// @include "lib/word.wgsl"
// @include "lib/finish.wgsl"
// @include "lib/nm-vector.wgsl"
const LOADS: u32 = 1u; // @spec 1 2
alias Rows = vec4<f32>;

fn store(out: vec2<u32>, quad: u32, sums: Rows) {
  for (var r: u32 = 0u; r < 4u; r++) { // @unroll
    let m = quad * 4u + r;
    if (m < params.rows_per_group) { finish(out, m, sums[r]); }
  }
}

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) lane: vec3<u32>) {
  nm_vector(group, lane.x);
}
