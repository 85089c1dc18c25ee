// roofline/reuse-texels: roofline/reuse with x in a texture: y = the sum of texels * w over a window of them, each multiplied R times,
// four of them to a turn of the loop. What a sparse kernel that reads texels with R rows per load can reach at best.
// One thread: R vec4s. Reads 16 B per step (neighbouring lanes, neighbouring texels). No barrier.
override WG_SIZE: u32 = 64;
const R: u32 = 4u; // @spec 1 2 4 8 16
const U: u32 = 4u;
struct Params {
  steps: u32, // a multiple of U
  window: u32, // texels, a power of two
}

@group(0) @binding(0) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>; // one per thread
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_id) lane: vec3<u32>) {
  var acc: array<vec4<f32>, R>;
  for (var i: u32 = 0u; i < R; i++) { // @unroll
    acc[i] = vec4<f32>(f32(i));
  }
  var at = lane.x;
  for (var s = 0u; s < params.steps; s += U) {
    var v: array<vec4<f32>, U>;
    for (var u: u32 = 0u; u < U; u++) { // @unroll
      v[u] = textureLoad(x, vec2<u32>((at + u * WG_SIZE) & (params.window - 1u), 0u));
    }
    at += U * WG_SIZE;
    for (var i: u32 = 0u; i < R; i++) { // @unroll
      for (var u: u32 = 0u; u < U; u++) { // @unroll
        acc[i] += (0.5 + f32(i * U + u)) * v[u];
      }
    }
  }
  var sum = vec4<f32>();
  for (var i: u32 = 0u; i < R; i++) { // @unroll
    sum += acc[i];
  }
  y[id.x] = sum;
}
