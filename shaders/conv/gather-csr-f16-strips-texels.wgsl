// conv/gather-csr-f16-strips-texels: CSR in one word per non-zero for planes in strips, in a texture. See lib/csr and lib/csr-f16-texels.
// Reads per non-zero: 4 B (uniform, four at a time) + 16V B of x. No barrier.
// @include "lib/activation.wgsl"
// @include "lib/columns.wgsl"
// @include "lib/quad.wgsl"
// @include "lib/x-texels.wgsl"
// @include "lib/finish-strips.wgsl"
// @include "lib/csr-f16-texels.wgsl"
// @include "lib/csr.wgsl"

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) thread: vec3<u32>) {
  csr_row(group, thread.x);
}
