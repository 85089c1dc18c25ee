// conv/gather-csr-halves: CSR, vec4 columns of x in half precision. See lib/csr.
// Reads per non-zero: 8 B (uniform) + 8V B of x. No barrier.
// @include "lib/activation.wgsl"
// @include "lib/columns.wgsl"
// @include "lib/quad.wgsl"
// @include "lib/x-halves.wgsl"
// @include "lib/finish.wgsl"
// @include "lib/csr-pairs.wgsl"
// @include "lib/csr.wgsl"

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) thread: vec3<u32>) {
  csr_row(group, thread.x);
}
