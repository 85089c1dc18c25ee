// reduce/reduce: y[o] = fold of x over some axes, on any strides. FN picks the fold when the pipeline is made.
// main: one thread per output, for many outputs or short folds. main_group: one workgroup per output, its lanes stride
// over the fold and meet in workgroup memory, for long folds. Float sums carry a Kahan compensation, so that a long mean
// keeps its digits. main_int: integers, one thread per output.
// Reads 4 B per folded element (8 B for LogSumExp), writes 4 B per output.
const RANK: u32 = 1u; // @spec 1 2 3 4 5 6 7 8
const INNER: u32 = 1u; // @spec 1 2 3 4 5 6 7 8
override FN: u32 = 0;

struct Params {
  outputs: u32,
  folded: u32, // elements per output
  x_base: u32,
  y_base: u32,
  shape: array<vec4<u32>, 2>, // loops over the outputs, innermost first
  x_steps: array<vec4<u32>, 2>,
  y_steps: array<vec4<u32>, 2>,
  inner_shape: array<vec4<u32>, 2>, // loops over the fold
  inner_steps: array<vec4<u32>, 2>,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read> x_int: array<i32>;
@group(0) @binding(3) var<storage, read_write> y_int: array<i32>;
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> partial: array<f32, 64>;

fn output_offsets(i: u32) -> vec2<u32> {
  var rest = i;
  var at = vec2<u32>(params.x_base, params.y_base);
  for (var d: u32 = 0u; d < RANK; d++) { // @unroll
    let size = params.shape[d / 4u][d % 4u];
    let next = rest / size;
    let index = rest - next * size;
    rest = next;
    at += index * vec2<u32>(params.x_steps[d / 4u][d % 4u], params.y_steps[d / 4u][d % 4u]);
  }
  return at;
}

fn inner_offset(i: u32) -> u32 {
  var rest = i;
  var at = 0u;
  for (var d: u32 = 0u; d < INNER; d++) { // @unroll
    let size = params.inner_shape[d / 4u][d % 4u];
    let next = rest / size;
    at += (rest - next * size) * params.inner_steps[d / 4u][d % 4u];
    rest = next;
  }
  return at;
}

// 0 sum, 1 mean, 2 max, 3 min, 4 product, 5 L1, 6 L2, 7 log sum, 8 log sum exp, 9 sum of squares
fn start() -> f32 {
  switch (FN) {
    case 2u, 8u: { return bitcast<f32>(params.outputs * 0u + 0xff800000u); } // -infinity, which WGSL has no literal for
    case 3u: { return bitcast<f32>(params.outputs * 0u + 0x7f800000u); }
    case 4u: { return 1.0; }
    default: { return 0.0; }
  }
}

fn merge(p: f32, q: f32) -> f32 {
  switch (FN) {
    case 2u, 8u: { return max(p, q); }
    case 3u: { return min(p, q); }
    case 4u: { return p * q; }
    default: { return p + q; }
  }
}

fn element(v: f32) -> f32 {
  switch (FN) {
    case 5u: { return abs(v); }
    case 6u, 9u: { return v * v; }
    default: { return v; }
  }
}

// Folds elements first, first + step, ... of one output.
fn fold(base: u32, first: u32, step: u32) -> f32 {
  var total = start();
  var lost = 0.0;
  for (var i = first; i < params.folded; i += step) {
    let v = element(x[base + inner_offset(i)]);
    if (FN == 2u || FN == 3u || FN == 4u || FN == 8u) {
      total = merge(total, v);
    } else {
      let rest = v - lost;
      let sum = total + rest;
      lost = (sum - total) - rest;
      total = sum;
    }
  }
  return total;
}

fn fold_exp(base: u32, first: u32, step: u32, top: f32) -> f32 {
  var total = 0.0;
  for (var i = first; i < params.folded; i += step) { total += exp(x[base + inner_offset(i)] - top); }
  return total;
}

fn finish(v: f32) -> f32 {
  switch (FN) {
    case 1u: { return v / f32(params.folded); }
    case 6u: { return sqrt(v); }
    case 7u: { return log(v); }
    default: { return v; }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let o = (g.x + g.y * n.x) * 64u + l.x;
  if (o >= params.outputs) { return; }
  let at = output_offsets(o);
  let total = fold(at.x, 0u, 1u);
  if (FN == 8u) {
    y[at.y] = select(total, total + log(fold_exp(at.x, 0u, 1u, total)), abs(total) < 3.4e38);
  } else {
    y[at.y] = finish(total);
  }
}

@compute @workgroup_size(64)
fn main_group(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let o = min(g.x + g.y * n.x, params.outputs - 1u);
  let at = output_offsets(o);
  partial[l.x] = fold(at.x, l.x, 64u);
  workgroupBarrier();
  for (var width = 32u; width > 0u; width >>= 1u) {
    if (l.x < width) { partial[l.x] = merge(partial[l.x], partial[l.x + width]); }
    workgroupBarrier();
  }
  let total = workgroupUniformLoad(&partial[0]);
  if (FN != 8u) {
    if (l.x == 0u) { y[at.y] = finish(total); }
    return;
  }
  partial[l.x] = fold_exp(at.x, l.x, 64u, total);
  workgroupBarrier();
  for (var width = 32u; width > 0u; width >>= 1u) {
    if (l.x < width) { partial[l.x] += partial[l.x + width]; }
    workgroupBarrier();
  }
  if (l.x == 0u) { y[at.y] = select(total, total + log(partial[0]), abs(total) < 3.4e38); }
}

@compute @workgroup_size(64)
fn main_int(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let o = (g.x + g.y * n.x) * 64u + l.x;
  if (o >= params.outputs) { return; }
  let at = output_offsets(o);
  var total = 0;
  if (FN == 2u) { total = -2147483647 - 1; }
  if (FN == 3u) { total = 2147483647; }
  if (FN == 4u) { total = 1; }
  for (var i = 0u; i < params.folded; i++) {
    let v = x_int[at.x + inner_offset(i)];
    switch (FN) {
      case 2u: { total = max(total, v); }
      case 3u: { total = min(total, v); }
      case 4u: { total *= v; }
      case 5u: { total += abs(v); }
      case 6u, 9u: { total += v * v; }
      default: { total += v; }
    }
  }
  if (FN == 1u) { total /= max(1, i32(params.folded)); }
  if (FN == 6u) { total = i32(sqrt(f32(total))); }
  if (FN == 7u) { total = i32(log(f32(total))); }
  y_int[at.y] = total;
}
