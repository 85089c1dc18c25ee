// conv/slice-nm-strips: N of every M columns of each row, 8 rows side by side, one image whose rows were put into strips. See lib/nm-slices.
// Reads per chunk of 8 columns and lane: 16V B of x, 4 B per weight, 4 B per up to 16 positions. No barrier.
enable subgroups;
// @include "lib/activation.wgsl"
// @include "lib/columns.wgsl"
// @include "lib/quad.wgsl"
// @include "lib/x.wgsl"
// @include "lib/finish-strips.wgsl"
// @include "lib/nm-slices.wgsl"
// @include "lib/store-slices.wgsl"

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
  slices(group, lane);
}
