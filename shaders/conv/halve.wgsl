// conv/halve: halves = x in half precision, a vec4 in two words, from x_base on.
// One thread per vec4. Reads 16 B, writes 8 B. No barrier.
// @include "lib/half.wgsl"
override WG_SIZE: u32 = 64;
struct Params {
  count: u32, // vec4s
  x_base: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> halves: array<vec2<u32>>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WG_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) thread: vec3<u32>,
) {
  let i = (group.x + group.y * groups.x) * WG_SIZE + thread.x;
  if (i >= params.count) { return; }
  let v = nearest_half(x[params.x_base + i]);
  halves[i] = vec2<u32>(pack2x16float(v.xy), pack2x16float(v.zw));
}
