// layout/transpose-quads: a transposition (rows to columns and back) by 4 x 4 words per thread, in registers: four vec4
// loads along the contiguous axis of `from`, four vec4 stores along that of `to`.
// Loop 0 runs over quads of the axis contiguous in `to`, loop 1 over quads of the axis contiguous in `from`; both sizes and
// every other step and base are multiples of four words. All in vec4s.
// Reads and writes 64 B per thread. No barrier, no workgroup memory.
// @include "lib/strided.wgsl"
override WG_SIZE: u32 = 64;
const RANK: u32 = 4u; // @spec 2 3 4 5 6 7 8

@group(0) @binding(0) var<storage, read> source: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> dest: array<vec4<u32>>;
@group(0) @binding(2) var<uniform> params: Loops;

@compute @workgroup_size(WG_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) lane: vec3<u32>,
) {
  let i = (group.x + group.y * groups.x) * WG_SIZE + lane.x;
  if (i >= params.count) { return; }
  let at = loop_offsets(i);
  // A quad of loop 0 is four lines of `from`, a quad of loop 1 four lines of `to`.
  let from_line = params.from_steps[0].x / 4u;
  let to_line = params.to_steps[0].y / 4u;
  let a = source[at.x];
  let b = source[at.x + from_line];
  let c = source[at.x + 2u * from_line];
  let d = source[at.x + 3u * from_line];
  dest[at.y] = vec4<u32>(a.x, b.x, c.x, d.x);
  dest[at.y + to_line] = vec4<u32>(a.y, b.y, c.y, d.y);
  dest[at.y + 2u * to_line] = vec4<u32>(a.z, b.z, c.z, d.z);
  dest[at.y + 3u * to_line] = vec4<u32>(a.w, b.w, c.w, d.w);
}
