// norm/normalise: y = (x - mean) / deviation * scale + bias over groups of elements, on any strides. Serves the layer,
// instance, group and root-mean-square normalisations, mean and variance, and Lp norms: MEASURE says what divides, CENTRE
// whether the mean is subtracted first. Mean and deviation take a pass each, so nothing cancels.
// main: one thread per group, for many groups or short ones. main_group: one workgroup per group, whose lanes meet in
// workgroup memory. main_statistics writes mean and 1 / deviation instead of y.
// Reads 4 B per element and pass (12 B in all), writes 4 B.
override WG_SIZE: u32 = 64;
override MEASURE: u32 = 0; // 0 root of mean square + epsilon, 1 root of mean square, then + epsilon, 2 L1 norm, 3 L2 norm
override CENTRE: u32 = 1;
override HAS_SCALE: u32 = 0;
override HAS_BIAS: u32 = 0;
const RANK: u32 = 1u; // @spec 1 2 3 4 5 6 7 8
const INNER: u32 = 1u; // @spec 1 2 3 4 5 6 7 8

// Positions and steps are of (x, scale, bias, y); with main_statistics of (x, nothing, mean, inverse).
struct Params {
  groups: u32,
  folded: u32, // elements per group
  epsilon: f32,
  base: vec4<u32>,
  shape: array<vec4<u32>, 2>, // loops over the groups, innermost first
  steps: array<vec4<u32>, 8>,
  inner_shape: array<vec4<u32>, 2>, // loops within a group
  inner_steps: array<vec4<u32>, 8>,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> scale: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> mean_out: array<f32>;
@group(0) @binding(5) var<storage, read_write> inverse_out: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

var<workgroup> partial: array<f32, WG_SIZE>;

fn group_at(i: u32) -> vec4<u32> {
  var rest = i;
  var at = params.base;
  for (var d: u32 = 1u; d < RANK; d++) { // @unroll
    let size = params.shape[(d - 1u) / 4u][(d - 1u) % 4u];
    let next = rest / size;
    at += (rest - next * size) * params.steps[d - 1u];
    rest = next;
  }
  return at + rest * params.steps[RANK - 1u];
}

fn element_at(i: u32) -> vec4<u32> {
  var rest = i;
  var at = vec4<u32>();
  for (var d: u32 = 1u; d < INNER; d++) { // @unroll
    let size = params.inner_shape[(d - 1u) / 4u][(d - 1u) % 4u];
    let next = rest / size;
    at += (rest - next * size) * params.inner_steps[d - 1u];
    rest = next;
  }
  return at + rest * params.inner_steps[INNER - 1u];
}

// Sum over elements first, first + step, ... of x (raw) or of what MEASURE asks of x - mean. It is taken in blocks of 64,
// whose totals are then added: the rounding error of a long sum stays that of a short one.
fn sum(at: u32, first: u32, step: u32, raw: bool, mean: f32) -> f32 {
  var total = 0.0;
  var i = first;
  while (i < params.folded) {
    var part = 0.0;
    for (var k = 0u; k < 64u && i < params.folded; k++) {
      let v = x[at + element_at(i).x] - mean;
      part += select(select(v * v, abs(v), MEASURE == 2u), v, raw);
      i += step;
    }
    total += part;
  }
  return total;
}

fn deviation(total: f32) -> f32 {
  let n = f32(params.folded);
  switch (MEASURE) {
    case 0u: { return sqrt(total / n + params.epsilon); }
    case 1u: { return sqrt(total / n) + params.epsilon; }
    case 2u: { return total; }
    default: { return sqrt(total); }
  }
}

// A group of zeros has norm 0 and stays as it is.
fn divisor(total: f32) -> f32 {
  let d = deviation(total);
  return select(d, 1.0, MEASURE >= 2u && d == 0.0);
}

fn store(at: vec4<u32>, i: u32, mean: f32, by: f32) {
  let p = at + element_at(i);
  var v = (x[p.x] - mean) / by;
  if (HAS_SCALE != 0u) { v *= scale[p.y]; }
  if (HAS_BIAS != 0u) { v += bias[p.z]; }
  y[p.w] = v;
}

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let o = (g.x + g.y * n.x) * WG_SIZE + l.x;
  if (o >= params.groups) { return; }
  let at = group_at(o);
  var mean = 0.0;
  if (CENTRE != 0u) { mean = sum(at.x, 0u, 1u, true, 0.0) / f32(params.folded); }
  let by = divisor(sum(at.x, 0u, 1u, false, mean));
  for (var i = 0u; i < params.folded; i++) { store(at, i, mean, by); }
}

@compute @workgroup_size(WG_SIZE)
fn main_statistics(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let o = (g.x + g.y * n.x) * WG_SIZE + l.x;
  if (o >= params.groups) { return; }
  let at = group_at(o);
  let mean = sum(at.x, 0u, 1u, true, 0.0) / f32(params.folded);
  mean_out[at.z] = mean;
  inverse_out[at.w] = 1.0 / deviation(sum(at.x, 0u, 1u, false, mean));
}

// The sum of what each lane brings, to all lanes.
fn meet(lane: u32, value: f32) -> f32 {
  partial[lane] = value;
  workgroupBarrier();
  for (var width = WG_SIZE / 2u; width > 0u; width >>= 1u) {
    if (lane < width) { partial[lane] += partial[lane + width]; }
    workgroupBarrier();
  }
  return workgroupUniformLoad(&partial[0]);
}

@compute @workgroup_size(WG_SIZE)
fn main_group(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let o = g.x + g.y * n.x;
  if (o >= params.groups) { return; }
  let at = group_at(o);
  var mean = 0.0;
  if (CENTRE != 0u) { mean = meet(l.x, sum(at.x, l.x, WG_SIZE, true, 0.0)) / f32(params.folded); }
  let by = divisor(meet(l.x, sum(at.x, l.x, WG_SIZE, false, mean)));
  for (var i = l.x; i < params.folded; i += WG_SIZE) { store(at, i, mean, by); }
}
