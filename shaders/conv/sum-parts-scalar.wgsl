// conv/sum-parts-scalar: the sum of the parts of a product whose K was split, float columns. See lib/sum-parts.
// @include "lib/activation.wgsl"
// @include "lib/columns.wgsl"
// @include "lib/word.wgsl"
// @include "lib/finish.wgsl"
// @include "lib/sum-parts.wgsl"

@compute @workgroup_size(WG_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) thread: vec3<u32>,
) {
  sum_parts((group.x + group.y * groups.x) * WG_SIZE + thread.x);
}
