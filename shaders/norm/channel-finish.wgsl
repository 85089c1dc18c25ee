// norm/channel-finish: adds up the slices of norm/channel-sums, one thread per channel, in order.
// `main`: result = factor * sum (a mean, a variance, a bias gradient). `gradients`: dbias, and dscale = sum / deviation.
// `running`: running statistics move towards the batch's: old * momentum + new * (1 - momentum).
// Reads 4 B per slice and sum. No barrier.
struct Params {
  channels: u32,
  slices: u32,
  stride: u32, // words between the first sums and the second
  factor: f32,
  epsilon: f32,
  momentum: f32,
}

@group(0) @binding(0) var<storage, read> sums: array<f32>; // [slice][channel]
@group(0) @binding(1) var<storage, read_write> result: array<f32>;
@group(0) @binding(2) var<storage, read_write> dscale: array<f32>;
@group(0) @binding(3) var<storage, read_write> dbias: array<f32>;
@group(0) @binding(4) var<storage, read> mean: array<f32>;
@group(0) @binding(5) var<storage, read> variance: array<f32>;
@group(0) @binding(6) var<storage, read_write> running_mean: array<f32>;
@group(0) @binding(7) var<storage, read_write> running_variance: array<f32>;
@group(0) @binding(8) var<uniform> params: Params;

fn sum_from(start: u32) -> f32 {
  var sum = 0.0;
  for (var s = 0u; s < params.slices; s++) { sum += sums[start + s * params.channels]; }
  return sum;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.channels) { return; }
  result[id.x] = sum_from(id.x) * params.factor;
}

@compute @workgroup_size(64)
fn gradients(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.channels) { return; }
  dbias[id.x] = sum_from(id.x);
  dscale[id.x] = sum_from(params.stride + id.x) / sqrt(variance[id.x] + params.epsilon);
}

@compute @workgroup_size(64)
fn running(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.channels) { return; }
  running_mean[id.x] = running_mean[id.x] * params.momentum + mean[id.x] * (1.0 - params.momentum);
  running_variance[id.x] = running_variance[id.x] * params.momentum + variance[id.x] * (1.0 - params.momentum);
}
