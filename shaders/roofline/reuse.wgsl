// roofline/reuse: y = the sum of x[i] * w over a window of x that fits the first-level cache, each loaded vec4 multiplied R times:
// what a sparse kernel with R rows per load can reach at best, whatever its format.
// One thread: R vec4s. Reads 16 B per step (neighbouring lanes, neighbouring vec4s). No barrier.
override WG_SIZE: u32 = 64;
const R: u32 = 4u; // @spec 1 2 4 8 16
struct Params {
  steps: u32,
  window: u32, // vec4s
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>; // one per thread
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_id) lane: vec3<u32>) {
  var acc: array<vec4<f32>, R>;
  for (var i: u32 = 0u; i < R; i++) { // @unroll
    acc[i] = vec4<f32>(f32(i));
  }
  var at = lane.x;
  for (var s = 0u; s < params.steps; s++) {
    let v = x[at];
    at += WG_SIZE;
    if (at >= params.window) { at = lane.x; }
    for (var i: u32 = 0u; i < R; i++) { // @unroll
      acc[i] += (0.5 + f32(i)) * v;
    }
  }
  var sum = vec4<f32>();
  for (var i: u32 = 0u; i < R; i++) { // @unroll
    sum += acc[i];
  }
  y[id.x] = sum;
}
