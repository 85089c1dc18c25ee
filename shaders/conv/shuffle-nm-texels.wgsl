// conv/shuffle-nm-texels: N of every M columns shared by R rows, vec4 columns of x in a texture, weights passed from lane to lane. See
// lib/block and lib/nm-entries. Reads per group of M: 4 B positions (uniform) + N (4R/8 B weights + 16V B of x, and 4 B offset where taps are
// uneven). No barrier.
enable subgroups;
// @include "lib/activation.wgsl"
// @include "lib/columns.wgsl"
// @include "lib/quad.wgsl"
// @include "lib/x-texels.wgsl"
// @include "lib/finish.wgsl"
// @include "lib/shuffled-weights.wgsl"
// @include "lib/nm-entries.wgsl"
// @include "lib/block.wgsl"

@compute @workgroup_size(WG_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_id) thread: vec3<u32>,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  block_row(group, thread.x, lane);
}
