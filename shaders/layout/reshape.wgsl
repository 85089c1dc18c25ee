// layout/reshape: the elements of a view, in row-major order, written to a view of another shape. For pairs of shapes that
// no common splitting of axes relates (2 x 3 to 3 x 2 between strided views); all others are copies. One thread per element:
// its number is taken apart twice, once by each shape. Reads and writes 4 B. No barrier.
override WG_SIZE: u32 = 64;
struct Params {
  count: u32,
  from_base: u32,
  to_base: u32,
  from_rank: u32,
  to_rank: u32,
  from_shape: array<vec4<u32>, 2>, // loop 0 is the innermost
  from_steps: array<vec4<u32>, 2>,
  to_shape: array<vec4<u32>, 2>,
  to_steps: array<vec4<u32>, 2>,
}

@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read_write> dest: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WG_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) lane: vec3<u32>,
) {
  let i = (group.x + group.y * groups.x) * WG_SIZE + lane.x;
  if (i >= params.count) { return; }
  var rest = i;
  var from_at = params.from_base;
  for (var d = 0u; d < params.from_rank; d++) {
    let size = params.from_shape[d / 4u][d % 4u];
    let next = rest / size;
    from_at += (rest - next * size) * params.from_steps[d / 4u][d % 4u];
    rest = next;
  }
  rest = i;
  var to_at = params.to_base;
  for (var d = 0u; d < params.to_rank; d++) {
    let size = params.to_shape[d / 4u][d % 4u];
    let next = rest / size;
    to_at += (rest - next * size) * params.to_steps[d / 4u][d % 4u];
    rest = next;
  }
  dest[to_at] = source[from_at];
}
