// layout/fill: one word written to every element of a view, any strides. One thread per element. Writes 4 B.
override WG_SIZE: u32 = 64;
const RANK: u32 = 4u; // @spec 1 2 3 4 5 6 7 8
struct Params {
  count: u32,
  base: u32,
  value: u32, // the bits
  shape: array<vec4<u32>, 2>, // loop 0 is the innermost
  steps: array<vec4<u32>, 2>,
}

@group(0) @binding(0) var<storage, read_write> dest: array<u32>;
@group(0) @binding(1) var<uniform> params: Params;

@compute @workgroup_size(WG_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) lane: vec3<u32>,
) {
  var rest = (group.x + group.y * groups.x) * WG_SIZE + lane.x;
  if (rest >= params.count) { return; }
  var at = params.base;
  for (var d: u32 = 0u; d < RANK; d++) { // @unroll
    let size = params.shape[d / 4u][d % 4u];
    let next = rest / size;
    at += (rest - next * size) * params.steps[d / 4u][d % 4u];
    rest = next;
  }
  dest[at] = params.value;
}
