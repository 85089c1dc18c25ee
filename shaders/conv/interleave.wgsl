// conv/interleave: interleaved = x with the channels of a chunk side by side, elements of vec4 as they lie. See lib/interleave.
// One thread per element and channel. Reads 16 B, writes 16 B. No barrier.
// @include "lib/interleave.wgsl"

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;

fn element(channel: u32, i: u32) -> vec4<f32> {
  return x[channel + i];
}

@compute @workgroup_size(WG_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) thread: vec3<u32>,
) {
  interleave((group.x + group.y * groups.x) * WG_SIZE + thread.x);
}
