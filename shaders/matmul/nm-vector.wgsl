// matmul/nm-vector: W x for a few columns, N of every M columns of each row. See lib/nm-vector.
// One thread per row and column. Reads per weight: 4 B, a share of 4 B of positions, and 4 B of x within M words. No barrier.
// @include "lib/activation.wgsl"
// @include "lib/columns.wgsl"
// @include "lib/word.wgsl"
// @include "lib/finish.wgsl"
// @include "lib/nm-vector.wgsl"
const LOADS: u32 = 1u;
alias Rows = f32;

fn store(out: vec2<u32>, m: u32, sum: Rows) {
  finish(out, m, sum);
}

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) lane: vec3<u32>) {
  nm_vector(group, lane.x);
}
