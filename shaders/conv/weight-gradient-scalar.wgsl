// conv/weight-gradient-scalar: as conv/weight-gradient, word by word, for a batch of one image.
// One thread: R rows x V taps over one slice of the pixel rows.
// Reads per pixel: 4R B of dy (uniform), 4V B of x, for R V multiply-adds. No barrier.
// @include "lib/weight-gradient.wgsl"
// @include "lib/uniform-slopes.wgsl"
alias Value = f32;

fn product(sum: f32, a: Value, b: Value) -> f32 { return sum + a * b; }

fn kept(v: Value, i: u32) -> Value { return v; }

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) thread: vec3<u32>) {
  gradient(group, thread.x, 0u);
}
