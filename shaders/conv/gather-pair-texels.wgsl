// conv/gather-pair-texels: 2 x 1 blocks, vec4 columns of x in a texture. See lib/pair.
// Reads per entry: 4 B offset + 8 B weights (uniform) + 16V B of x. No barrier.
// @include "lib/activation.wgsl"
// @include "lib/columns.wgsl"
// @include "lib/quad.wgsl"
// @include "lib/x-texels.wgsl"
// @include "lib/finish.wgsl"
// @include "lib/pair.wgsl"

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) thread: vec3<u32>) {
  pair_row(group, thread.x);
}
