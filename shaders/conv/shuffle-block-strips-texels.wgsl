// conv/shuffle-block-strips-texels: conv/shuffle-block for planes whose rows were put into strips by conv/strips, and these into a texture.
// See lib/block and lib/panels. Reads per entry: 4(R + 1)/8 B of offset and weights + 16V B of x. No barrier.
enable subgroups;
// @include "lib/activation.wgsl"
// @include "lib/columns.wgsl"
// @include "lib/quad.wgsl"
// @include "lib/x-texels.wgsl"
// @include "lib/finish-strips.wgsl"
// @include "lib/panels.wgsl"
// @include "lib/block.wgsl"

@compute @workgroup_size(WG_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_id) thread: vec3<u32>,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  block_row(group, thread.x, lane);
}
