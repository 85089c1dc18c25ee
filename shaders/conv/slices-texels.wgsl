// conv/slices-texels: 8 rows of W side by side, chunks of 8 columns; columns of vec4s of x in a texture, and W in another. See lib/slices.
// Reads per load of 8 columns and lane: 16V B of x, 4 B of an offset, 4 B per 8 positions, 4 B per weight. No barrier.
enable subgroups;
// @include "lib/activation.wgsl"
// @include "lib/columns.wgsl"
// @include "lib/quad.wgsl"
// @include "lib/x-texels.wgsl"
// @include "lib/finish.wgsl"
// @include "lib/chunks-texels.wgsl"
// @include "lib/slices.wgsl"

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
  slices(group, lane);
}
