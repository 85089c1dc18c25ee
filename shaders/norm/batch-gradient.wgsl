// norm/batch-gradient: dx of BatchNormalization with the batch's own statistics, from x, dy and the sums over each channel:
// dx = scale / deviation * (dy - dbias / n - (x - mean) / deviation * dscale / n), on any strides.
// One word per thread, or four of one channel (main_vec4: sizes, bases and steps of x, dy and dx are then counted in vec4s).
// Reads 8 B per element and, mostly from the cache, 20 B per channel; writes 4 B. No barrier.
// @include "lib/place.wgsl"
const RANK: u32 = 1u; // @spec 1 2 3 4 5 6 7 8

struct Params {
  count: u32, // threads with something to do
  epsilon: f32,
  share: f32, // 1 / n
  base: vec4<u32>, // of x, dy, channel, dx
  shape: array<vec4<u32>, 2>, // innermost loop first
  steps: array<vec4<u32>, 8>, // of x, dy, channel, dx
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
@group(0) @binding(3) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> dy4: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> dx4: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> scale: array<f32>;
@group(0) @binding(7) var<storage, read> mean: array<f32>;
@group(0) @binding(8) var<storage, read> variance: array<f32>;
@group(0) @binding(9) var<storage, read> dscale: array<f32>;
@group(0) @binding(10) var<storage, read> dbias: array<f32>;
@group(0) @binding(11) var<uniform> params: Params;

fn slope(value: vec4<f32>, dvalue: vec4<f32>, channel: u32) -> vec4<f32> {
  let inverse = 1.0 / sqrt(variance[channel] + params.epsilon);
  let standard = (value - mean[channel]) * inverse;
  return scale[channel] * inverse * (dvalue - params.share * (dbias[channel] + standard * dscale[channel]));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let i = (g.x + g.y * n.x) * 64u + l.x;
  if (i >= params.count) { return; }
  let at = place(i);
  dx[at.w] = slope(vec4<f32>(x[at.x]), vec4<f32>(dy[at.y]), at.z).x;
}

@compute @workgroup_size(64)
fn main_vec4(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let i = (g.x + g.y * n.x) * 64u + l.x;
  if (i >= params.count) { return; }
  let at = place(i);
  dx4[at.w] = slope(x4[at.x], dy4[at.y], at.z);
}
