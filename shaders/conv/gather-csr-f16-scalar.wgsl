// conv/gather-csr-f16-scalar: CSR in one word per non-zero, float columns. For a vector: matmul/csr-vector. See lib/csr and lib/csr-f16.
// Reads per non-zero: 4 B (uniform) + 4V B of x. No barrier.
// @include "lib/activation.wgsl"
// @include "lib/columns.wgsl"
// @include "lib/word.wgsl"
// @include "lib/x.wgsl"
// @include "lib/finish.wgsl"
// @include "lib/csr-f16.wgsl"
// @include "lib/csr.wgsl"

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) thread: vec3<u32>) {
  csr_row(group, thread.x);
}
