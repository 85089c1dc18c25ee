// matmul/dense-vector: y = act(W x + bias + residual) for a few columns, W dense and stored transposed, [groups, K, rows].
// One thread per row and column: neighbouring lanes read neighbouring weights, x is uniform. Bound by the weights' bytes.
// Reads: 4 B of W and 4 B of x (uniform) per multiply-add. No barrier.
// @include "lib/activation.wgsl"
// @include "lib/columns.wgsl"
// @include "lib/word.wgsl"
// @include "lib/finish.wgsl"
override WG_SIZE: u32 = 32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> offsets: array<u32>; // K, in words
@group(0) @binding(2) var<storage, read> weights: array<f32>; // groups x K x rows

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) lane: vec3<u32>) {
  let m = group.x * WG_SIZE + lane.x;
  let rows = params.rows_per_group;
  if (m >= rows) { return; }
  let base = column_base(params, group.y) + group.z * params.x_group;
  let k = params.k;
  let first = group.z * k * rows + m;
  var acc = vec4<f32>();
  var i = 0u;
  for (; i + 4u <= k; i += 4u) {
    acc.x += weights[first + i * rows] * x[base + offsets[i]];
    acc.y += weights[first + (i + 1u) * rows] * x[base + offsets[i + 1u]];
    acc.z += weights[first + (i + 2u) * rows] * x[base + offsets[i + 2u]];
    acc.w += weights[first + (i + 3u) * rows] * x[base + offsets[i + 3u]];
  }
  for (; i < k; i++) {
    acc.x += weights[first + i * rows] * x[base + offsets[i]];
  }
  finish(column_out(params, group.y), group.z * rows + m, (acc.x + acc.y) + (acc.z + acc.w));
}
