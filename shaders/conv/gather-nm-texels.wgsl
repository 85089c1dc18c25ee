// conv/gather-nm-texels: N of every M columns shared by R rows, vec4 columns of x in a texture, weights read alike by all threads. See
// lib/block and lib/nm-entries. Reads per group of M: 4 B positions (uniform) + N (4R B weights (uniform) + 16V B of x, and 4 B offset where
// taps are uneven). No barrier.
// @include "lib/activation.wgsl"
// @include "lib/columns.wgsl"
// @include "lib/quad.wgsl"
// @include "lib/x-texels.wgsl"
// @include "lib/finish.wgsl"
// @include "lib/uniform-weights.wgsl"
// @include "lib/nm-entries.wgsl"
// @include "lib/block.wgsl"

@compute @workgroup_size(WG_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_id) thread: vec3<u32>,
) {
  block_row(group, thread.x, 0u);
}
