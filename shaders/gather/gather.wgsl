// gather/gather: ONNX Gather over any views: to[.., j.., ..] = from[.., index[j..], ..]. The loops are those of the output;
// each has a step in `from` (0 along the index axes), in the indices (0 along the data axes) and in `to`.
// Negative indices count from the end; what is still outside is clamped, so that no index can read foreign memory.
// `main` moves a word per thread, `main_vec4` four (innermost loop contiguous in `from` and `to`; data counted in vec4s).
// Reads 4 B of index and 4 B (16 B) of data, writes as much data. No barrier.
override WG_SIZE: u32 = 64;
const RANK: u32 = 4u; // @spec 1 2 3 4 5 6 7 8
struct Params {
  count: u32,
  from_base: u32,
  index_base: u32,
  to_base: u32,
  axis_size: u32,
  axis_step: u32,
  shape: array<vec4<u32>, 2>, // loop 0 is the innermost
  from_steps: array<vec4<u32>, 2>,
  index_steps: array<vec4<u32>, 2>,
  to_steps: array<vec4<u32>, 2>,
}

@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read> indices: array<i32>;
@group(0) @binding(2) var<storage, read_write> dest: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;
@group(0) @binding(4) var<storage, read> source4: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read_write> dest4: array<vec4<u32>>;

// Where visit i reads (x) and writes (y).
fn places(i: u32) -> vec2<u32> {
  var rest = i;
  var at = vec3<u32>(params.from_base, params.index_base, params.to_base);
  for (var d: u32 = 0u; d < RANK; d++) { // @unroll
    let size = params.shape[d / 4u][d % 4u];
    let next = rest / size;
    let step = vec3<u32>(
      params.from_steps[d / 4u][d % 4u],
      params.index_steps[d / 4u][d % 4u],
      params.to_steps[d / 4u][d % 4u],
    );
    at += (rest - next * size) * step;
    rest = next;
  }
  var index = indices[at.y];
  let size = i32(params.axis_size);
  if (index < 0) { index += size; }
  return vec2<u32>(at.x + u32(clamp(index, 0, size - 1)) * params.axis_step, at.z);
}

@compute @workgroup_size(WG_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) lane: vec3<u32>,
) {
  let i = (group.x + group.y * groups.x) * WG_SIZE + lane.x;
  if (i >= params.count) { return; }
  let at = places(i);
  dest[at.y] = source[at.x];
}

@compute @workgroup_size(WG_SIZE)
fn main_vec4(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) lane: vec3<u32>,
) {
  let i = (group.x + group.y * groups.x) * WG_SIZE + lane.x;
  if (i >= params.count) { return; }
  let at = places(i);
  dest4[at.y] = source4[at.x];
}
