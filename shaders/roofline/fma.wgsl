// roofline/fma: y = x * a + b again and again, eight vec4s per thread, nothing loaded in between: the multiply-adds that an adapter
// does out of registers, which no kernel exceeds. Several steps share a turn of the loop, as in kernels: what a turn costs is no part of it.
// One thread: 8 vec4s, params.steps multiply-adds each. Reads 16 B and writes 16 B in all. No barrier.
override WG_SIZE: u32 = 64;
const N: u32 = 8u;
const U: u32 = 4u;
struct Params {
  steps: u32, // a multiple of U
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>; // one per thread
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let a = x[id.x];
  var acc: array<vec4<f32>, N>;
  for (var i: u32 = 0u; i < N; i++) { // @unroll
    acc[i] = a + f32(i);
  }
  for (var s = 0u; s < params.steps; s += U) {
    for (var u: u32 = 0u; u < U; u++) { // @unroll
      for (var i: u32 = 0u; i < N; i++) { // @unroll
        acc[i] = acc[i] * 0.999 + a;
      }
    }
  }
  var sum = vec4<f32>();
  for (var i: u32 = 0u; i < N; i++) { // @unroll
    sum += acc[i];
  }
  y[id.x] = sum;
}
