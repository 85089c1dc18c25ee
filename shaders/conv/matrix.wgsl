// conv/matrix: dense, vec4 columns, on subgroup matrices. See lib/matrix.
// Reads per step of a workgroup: 4 BK B of offsets, 2 BM BK B of W, 4 BK BN B of x. Barriers: two per step, two per matrix at the end.
enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity); // threads over SUBGROUP are the same for a whole subgroup
// @include "lib/activation.wgsl"
// @include "lib/columns.wgsl"
// @include "lib/quad.wgsl"
// @include "lib/finish.wgsl"
// @include "lib/half.wgsl"
// @include "lib/matrix.wgsl"
const LANES: u32 = 4u;

fn stage(at: u32, v: X) {
  let half = nearest_half(v);
  for (var i: u32 = 0u; i < 4u; i++) { // @unroll
    tile[at + i] = f16(half[i]);
  }
}

fn gathered(at: u32) -> X {
  return vec4<f32>(sums[at], sums[at + 1u], sums[at + 2u], sums[at + 3u]);
}

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) thread: vec3<u32>) {
  matrix_tile(group, thread.x);
}
