// conv/weight-gradient-shuffle: as conv/weight-gradient, dy read once per eight rows and passed from lane to lane.
// One thread: R rows x V taps over one slice of the pixel rows.
// Reads per four images of a pixel: 16R/8 B of dy, 16V B of x, for R V vec4 multiply-adds. No barrier.
enable subgroups;
// @include "lib/weight-gradient.wgsl"
// @include "lib/shuffled-slopes.wgsl"
// @include "lib/pixel-rows.wgsl"
alias Value = vec4<f32>;

fn product(sum: f32, a: Value, b: Value) -> f32 { return sum + a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w; }

fn kept(v: Value, i: u32) -> Value { return select(Value(), v, present(i, params.quads, params.tail)); }

@compute @workgroup_size(WG_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_id) thread: vec3<u32>,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  gradient(group, thread.x, lane);
}
