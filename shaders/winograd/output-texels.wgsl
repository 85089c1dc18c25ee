// winograd/output-texels: A^T m A of every tile, bias, residual and activation, vec4 columns. See lib/winograd-output.
// @include "lib/activation.wgsl"
// @include "lib/columns.wgsl"
// @include "lib/quad.wgsl"
// @include "lib/finish.wgsl"
// @include "lib/winograd.wgsl"
// @include "lib/x-texels.wgsl"
// @include "lib/winograd-output.wgsl"

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) thread: vec3<u32>) {
  transform(group, thread.x);
}
