// conv/interleave-strips: interleaved = x with the channels of a chunk side by side, an element being four strips of a plane as
// conv/strips makes them. See lib/interleave.
// One thread per element and channel. Reads 16 B, writes 16 B. No barrier.
// @include "lib/interleave.wgsl"

@group(0) @binding(0) var<storage, read> x: array<f32>;

fn element(channel: u32, i: u32) -> vec4<f32> {
  let plane = i / params.plane;
  let at = channel + plane * params.x_plane + (i - plane * params.plane);
  let last = arrayLength(&x) - 1u;
  return vec4<f32>(
    x[min(at, last)],
    x[min(at + params.strip, last)],
    x[min(at + 2u * params.strip, last)],
    x[min(at + 3u * params.strip, last)],
  );
}

@compute @workgroup_size(WG_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) thread: vec3<u32>,
) {
  interleave((group.x + group.y * groups.x) * WG_SIZE + thread.x);
}
