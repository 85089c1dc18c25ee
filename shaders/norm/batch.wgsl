// norm/batch: y = act((x - mean) / sqrt(variance + epsilon) * scale + bias), per channel, on any strides.
// One word per thread, or four of one channel (main_vec4: sizes, bases and steps of x and y are then counted in vec4s).
// Reads 4 B per element and, mostly from the cache, 16 B per channel; writes 4 B. No barrier.
// @include "lib/activation.wgsl"
// @include "lib/place.wgsl"
override ACT: u32 = 0;
const RANK: u32 = 1u; // @spec 1 2 3 4 5 6 7 8

struct Params {
  count: u32, // threads with something to do
  epsilon: f32,
  act_a: f32,
  act_b: f32,
  base: vec4<u32>, // of x, channel, y
  shape: array<vec4<u32>, 2>, // innermost loop first
  steps: array<vec4<u32>, 8>, // of x, channel, y
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y4: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> scale: array<f32>;
@group(0) @binding(5) var<storage, read> bias: array<f32>;
@group(0) @binding(6) var<storage, read> mean: array<f32>;
@group(0) @binding(7) var<storage, read> variance: array<f32>;
@group(0) @binding(8) var<uniform> params: Params;

fn normalised(v: vec4<f32>, channel: u32) -> vec4<f32> {
  let factor = scale[channel] / sqrt(variance[channel] + params.epsilon);
  return activate4((v - mean[channel]) * factor + bias[channel], ACT, params.act_a, params.act_b);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let i = (g.x + g.y * n.x) * 64u + l.x;
  if (i >= params.count) { return; }
  let at = place(i);
  y[at.z] = normalised(vec4<f32>(x[at.x]), at.y).x;
}

@compute @workgroup_size(64)
fn main_vec4(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let i = (g.x + g.y * n.x) * 64u + l.x;
  if (i >= params.count) { return; }
  let at = place(i);
  y4[at.z] = normalised(x4[at.x], at.y);
}
