// conv/gather-pair-scalar: 2 x 1 blocks, float columns. See lib/pair.
// Reads per entry: 4 B offset + 8 B weights (uniform) + 4V B of x. No barrier.
// @include "lib/activation.wgsl"
// @include "lib/columns.wgsl"
// @include "lib/word.wgsl"
// @include "lib/x.wgsl"
// @include "lib/finish.wgsl"
// @include "lib/pair.wgsl"

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) thread: vec3<u32>) {
  pair_row(group, thread.x);
}
