// layout/copy-strided: to[Σ i·to_steps] = from[Σ i·from_steps], any word, any strides (0 repeats, negative reverses).
// The loops arrive sorted by the distance of their writes and merged where they can be, so neighbouring lanes write
// neighbouring words. `main` moves a word per thread, `main_vec4` four: it needs the innermost loop contiguous on both
// sides and everything else a multiple of four words (sizes, bases and steps are then counted in vec4s). `main_run` moves
// four single words: the innermost loop is contiguous, but something else is not aligned (a halo of one at batch 1).
// Reads and writes 4 B (16 B) per thread. No barrier.
// @include "lib/strided.wgsl"
override WG_SIZE: u32 = 64;
const RANK: u32 = 4u; // @spec 1 2 3 4 5 6 7 8

@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read_write> dest: array<u32>;
@group(0) @binding(2) var<uniform> params: Loops;
@group(0) @binding(3) var<storage, read> source4: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> dest4: array<vec4<u32>>;

@compute @workgroup_size(WG_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) lane: vec3<u32>,
) {
  let i = (group.x + group.y * groups.x) * WG_SIZE + lane.x;
  if (i >= params.count) { return; }
  let at = loop_offsets(i);
  dest[at.y] = source[at.x];
}

@compute @workgroup_size(WG_SIZE)
fn main_vec4(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) lane: vec3<u32>,
) {
  let i = (group.x + group.y * groups.x) * WG_SIZE + lane.x;
  if (i >= params.count) { return; }
  let at = loop_offsets(i);
  dest4[at.y] = source4[at.x];
}

@compute @workgroup_size(WG_SIZE)
fn main_run(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) lane: vec3<u32>,
) {
  let i = (group.x + group.y * groups.x) * WG_SIZE + lane.x;
  if (i >= params.count) { return; }
  let at = loop_offsets(i);
  for (var k: u32 = 0u; k < 4u; k++) { // @unroll
    dest[at.y + k] = source[at.x + k];
  }
}
