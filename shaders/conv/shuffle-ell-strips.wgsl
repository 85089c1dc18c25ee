// conv/shuffle-ell-strips: unstructured weights in slices and chunks, one image in strips. See lib/ell.
// Reads per chunk 16V B of x per lane, per step 8 B per lane. No barrier.
enable subgroups;
// @include "lib/activation.wgsl"
// @include "lib/columns.wgsl"
// @include "lib/quad.wgsl"
// @include "lib/finish-strips.wgsl"
// @include "lib/ell.wgsl"
// @include "lib/store-slices.wgsl"

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
  slices(group, lane);
}
