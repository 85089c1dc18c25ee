// matmul/dense-f16-vector-quads: y = act(W x + bias + residual) for a few columns, W dense and stored transposed, [K, rows / 4] times four halves.
// One thread per four rows and column: one load of x and one of its offset serve four rows of matmul/dense-vector.
// Reads: 8 B of W, 4 B of x and its offset (uniform) per four multiply-adds. No barrier.
// @include "lib/activation.wgsl"
// @include "lib/columns.wgsl"
// @include "lib/word.wgsl"
// @include "lib/finish.wgsl"
override WG_SIZE: u32 = 32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> offsets: array<u32>; // K, in words
@group(0) @binding(2) var<storage, read> weights: array<vec2<u32>>; // K x rows / 4, zeros past the last row; times a power of two

fn four(at: u32) -> vec4<f32> {
  let halves = weights[at];
  return vec4<f32>(unpack2x16float(halves.x), unpack2x16float(halves.y));
}

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) lane: vec3<u32>) {
  let quad = group.x * WG_SIZE + lane.x;
  let quads = (params.rows_per_group + 3u) / 4u;
  if (quad >= quads) { return; }
  let base = column_base(params, group.y);
  var even = vec4<f32>();
  var odd = vec4<f32>();
  var i = 0u;
  for (; i + 2u <= params.k; i += 2u) {
    even += four(i * quads + quad) * x[base + offsets[i]];
    odd += four((i + 1u) * quads + quad) * x[base + offsets[i + 1u]];
  }
  if (i < params.k) { even += four(i * quads + quad) * x[base + offsets[i]]; }
  let sums = (even + odd) * params.scale;
  let out = column_out(params, group.y);
  for (var r: u32 = 0u; r < 4u; r++) { // @unroll
    let m = quad * 4u + r;
    if (m < params.rows_per_group) { finish(out, m, sums[r]); }
  }
}
