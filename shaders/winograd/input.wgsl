// winograd/input: B^T d B of every tile, vec4 columns. See lib/winograd-input.
// @include "lib/activation.wgsl"
// @include "lib/quad.wgsl"
// @include "lib/winograd.wgsl"
// @include "lib/x.wgsl"
// @include "lib/winograd-input.wgsl"

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) thread: vec3<u32>) {
  transform(group, thread.x);
}
