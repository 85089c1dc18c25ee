// norm/lrn: y = x / (k + alpha / size * sum of x^2 over neighbouring channels)^beta, on any strides (local response
// normalisation: Krizhevsky, Sutskever, Hinton 2012, 3.3). One thread per element.
// Reads 4 B per neighbour (mostly from the cache), writes 4 B. No barrier.
const RANK: u32 = 1u; // @spec 1 2 3 4 5 6 7 8

struct Params {
  count: u32,
  channels: u32,
  x_channel: u32, // words of x from one channel to the next
  before: u32, // neighbours below
  after: u32, // neighbours above
  factor: f32, // alpha / size
  k: f32,
  beta: f32,
  base: vec4<u32>, // of x, channel number, y
  shape: array<vec4<u32>, 2>, // innermost loop first
  steps: array<vec4<u32>, 8>, // of x, channel number, y
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let i = (g.x + g.y * n.x) * 64u + l.x;
  if (i >= params.count) { return; }
  var rest = i;
  var at = params.base;
  for (var d: u32 = 1u; d < RANK; d++) { // @unroll
    let size = params.shape[(d - 1u) / 4u][(d - 1u) % 4u];
    let next = rest / size;
    at += (rest - next * size) * params.steps[d - 1u];
    rest = next;
  }
  at += rest * params.steps[RANK - 1u];
  let channel = at.y;
  let below = min(channel, params.before);
  let above = min(params.channels - 1u - channel, params.after);
  var total = 0.0;
  for (var c = 0u; c <= below + above; c++) {
    let v = x[at.x + c * params.x_channel - below * params.x_channel];
    total += v * v;
  }
  // The base is positive wherever k is, and pow(0, 0) is only undefined in WGSL, not in ONNX.
  let divisor = select(pow(params.k + params.factor * total, params.beta), 1.0, params.beta == 0.0);
  y[at.z] = x[at.x] / divisor;
}
