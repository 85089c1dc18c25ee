// conv/weight-gradient: gradient of Conv and Gemm with respect to the weight, on the columns layout, four images at a time.
// A dot product per weight over all pixels and images: dy is uniform over the lanes, which run along the taps of a row.
// One thread: R rows x V taps over one slice of the pixel rows; slices are added up by reduce/reduce, in a fixed order.
// Reads per four images of a pixel: 16R B of dy (uniform), 16V B of x, for R V vec4 multiply-adds. No barrier.
// @include "lib/weight-gradient.wgsl"
// @include "lib/uniform-slopes.wgsl"
// @include "lib/pixel-rows.wgsl"
alias Value = vec4<f32>;

fn product(sum: f32, a: Value, b: Value) -> f32 { return sum + a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w; }

fn kept(v: Value, i: u32) -> Value { return select(Value(), v, present(i, params.quads, params.tail)); }

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) thread: vec3<u32>) {
  gradient(group, thread.x, 0u);
}
