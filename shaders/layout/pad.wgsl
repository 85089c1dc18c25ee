// layout/pad: ONNX Pad over any views: constant, edge, reflect, wrap; negative pads crop. One thread per output element finds
// its source along every loop. Position i of a loop is input position i - before; what is left of the input after cropping
// is [low, high). Reads and writes 4 B. No barrier.
override WG_SIZE: u32 = 64;
override MODE: u32 = 0; // 0 constant, 1 edge, 2 reflect, 3 wrap
const RANK: u32 = 4u; // @spec 1 2 3 4 5 6 7 8
struct Params {
  count: u32,
  from_base: u32,
  to_base: u32,
  value: u32, // the bits of the constant
  shape: array<vec4<u32>, 2>, // of the output; loop 0 is the innermost
  from_steps: array<vec4<u32>, 2>,
  to_steps: array<vec4<u32>, 2>,
  before: array<vec4<i32>, 2>,
  low: array<vec4<i32>, 2>,
  high: array<vec4<i32>, 2>,
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
  var rest = (group.x + group.y * groups.x) * WG_SIZE + lane.x;
  if (rest >= params.count) { return; }
  var from_at = params.from_base;
  var to_at = params.to_base;
  var inside = true;
  for (var d: u32 = 0u; d < RANK; d++) { // @unroll
    let size = params.shape[d / 4u][d % 4u];
    let next = rest / size;
    let index = rest - next * size;
    rest = next;
    let low = params.low[d / 4u][d % 4u];
    let high = params.high[d / 4u][d % 4u];
    var at = i32(index) - params.before[d / 4u][d % 4u];
    if (at < low || at >= high) {
      if (MODE == 0u) {
        inside = false;
        at = 0;
      } else if (MODE == 1u) {
        at = clamp(at, low, high - 1);
      } else if (MODE == 2u) {
        at = select(2 * (high - 1) - at, 2 * low - at, at < low);
      } else {
        let length = high - low;
        at = low + (((at - low) % length) + length) % length;
      }
    }
    from_at += u32(at) * params.from_steps[d / 4u][d % 4u];
    to_at += index * params.to_steps[d / 4u][d % 4u];
  }
  var value = params.value;
  if (inside) { value = source[from_at]; }
  dest[to_at] = value;
}
