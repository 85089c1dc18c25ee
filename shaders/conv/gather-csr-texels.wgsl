// conv/gather-csr-texels: CSR, vec4 columns of x in a texture. See lib/csr.
// Reads per non-zero: 8 B (uniform, two at a time) + 16V B of x. No barrier.
// @include "lib/activation.wgsl"
// @include "lib/columns.wgsl"
// @include "lib/quad.wgsl"
// @include "lib/x-texels.wgsl"
// @include "lib/finish.wgsl"
// @include "lib/csr-texels.wgsl"
// @include "lib/csr.wgsl"

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) thread: vec3<u32>) {
  csr_row(group, thread.x);
}
