// matmul/csr-f16-vector: W x for a few columns, W in CSR in one word per non-zero. See lib/csr-vector and lib/csr-f16-pairs.
// One thread per row and column. Reads: 4 B of W and a gathered 4 B of x per non-zero. No barrier.
// @include "lib/activation.wgsl"
// @include "lib/columns.wgsl"
// @include "lib/word.wgsl"
// @include "lib/finish.wgsl"
// @include "lib/csr-f16-pairs.wgsl"
// @include "lib/csr-vector.wgsl"

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) lane: vec3<u32>) {
  csr_vector(group, lane.x);
}
