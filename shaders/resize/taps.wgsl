// resize/taps: ONNX Resize of up to three axes as weighted sums of taps. The host works out, for every output position along
// a resized axis, the input positions it is made of and their weights (nearest: one tap of weight 1, linear: two, cubic:
// four, antialiased: more); the kernel sums over the product of the axes' taps. Loops of other axes pass through.
// A first tap of OUTSIDE marks a position outside the region of interest: it becomes the extrapolation value.
// `main` interpolates floats, `main_nearest` moves words of any kind. One thread per output element: reads the product of
// the taps, writes 4 B. No barrier.
override WG_SIZE: u32 = 64;
const RANK: u32 = 4u; // @spec 1 2 3 4 5 6 7 8
struct Params {
  count: u32,
  from_base: u32,
  to_base: u32,
  extrapolation: f32,
  // Of the resized axes; an axis that is not there has one tap, of weight 1, at entry 0 of the tables.
  axis_loop: vec4<u32>, // its loop; RANK or more for an axis that is not there
  axis_table: vec4<u32>, // where its entries start in the tables
  axis_taps: vec4<u32>, // per output position
  axis_step: vec4<u32>, // in words of x
  shape: array<vec4<u32>, 2>, // loop 0 is the innermost
  from_steps: array<vec4<u32>, 2>, // 0 along resized axes
  to_steps: array<vec4<u32>, 2>,
}

@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read> positions: array<u32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read_write> dest: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;
@group(0) @binding(5) var<storage, read> source_words: array<u32>;
@group(0) @binding(6) var<storage, read_write> dest_words: array<u32>;

const OUTSIDE: u32 = 0xffffffffu;

struct Place {
  from_at: u32,
  to_at: u32,
  entry: vec4<u32>, // of the first tap of each resized axis
}

fn place_of(i: u32) -> Place {
  var rest = i;
  var place = Place(params.from_base, params.to_base, params.axis_table);
  for (var d: u32 = 0u; d < RANK; d++) { // @unroll
    let size = params.shape[d / 4u][d % 4u];
    let next = rest / size;
    let index = rest - next * size;
    rest = next;
    place.from_at += index * params.from_steps[d / 4u][d % 4u];
    place.to_at += index * params.to_steps[d / 4u][d % 4u];
    place.entry += select(vec4<u32>(), index * params.axis_taps, params.axis_loop == vec4<u32>(d));
  }
  return place;
}

fn first_taps(entry: vec4<u32>) -> vec3<u32> {
  return vec3<u32>(positions[entry.x], positions[entry.y], positions[entry.z]);
}

@compute @workgroup_size(WG_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) lane: vec3<u32>,
) {
  let i = (group.x + group.y * groups.x) * WG_SIZE + lane.x;
  if (i >= params.count) { return; }
  let place = place_of(i);
  if (any(first_taps(place.entry) == vec3<u32>(OUTSIDE))) {
    dest[place.to_at] = params.extrapolation;
    return;
  }
  var sum = 0.0;
  for (var a = 0u; a < params.axis_taps.x; a++) {
    let at_x = place.from_at + positions[place.entry.x + a] * params.axis_step.x;
    let weight_x = weights[place.entry.x + a];
    for (var b = 0u; b < params.axis_taps.y; b++) {
      let at_y = at_x + positions[place.entry.y + b] * params.axis_step.y;
      let weight_y = weight_x * weights[place.entry.y + b];
      for (var c = 0u; c < params.axis_taps.z; c++) {
        let weight = weight_y * weights[place.entry.z + c];
        // A tap of weight 0 may hold anything, an infinity too.
        if (weight != 0.0) { sum += weight * source[at_y + positions[place.entry.z + c] * params.axis_step.z]; }
      }
    }
  }
  dest[place.to_at] = sum;
}

@compute @workgroup_size(WG_SIZE)
fn main_nearest(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) lane: vec3<u32>,
) {
  let i = (group.x + group.y * groups.x) * WG_SIZE + lane.x;
  if (i >= params.count) { return; }
  let place = place_of(i);
  let taps = first_taps(place.entry);
  if (any(taps == vec3<u32>(OUTSIDE))) {
    dest_words[place.to_at] = bitcast<u32>(params.extrapolation);
    return;
  }
  let step = taps * params.axis_step.xyz;
  dest_words[place.to_at] = source_words[place.from_at + step.x + step.y + step.z];
}
