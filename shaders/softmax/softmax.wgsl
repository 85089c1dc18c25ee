// softmax/softmax: y = exp(x - max) / sum of exp(x - max) along one axis, or its logarithm (LOG), on any strides.
// main: one thread per row, for many rows or short ones. main_group: one workgroup per row, whose lanes meet in workgroup
// memory. The maximum is subtracted first, so nothing overflows.
// Reads 4 B per element in each of three passes, writes 4 B.
override WG_SIZE: u32 = 64;
override LOG: u32 = 0;
const RANK: u32 = 1u; // @spec 1 2 3 4 5 6 7 8

struct Params {
  rows: u32,
  length: u32, // of a row
  x_step: u32, // words from one element of a row to the next
  y_step: u32,
  x_base: u32,
  y_base: u32,
  shape: array<vec4<u32>, 2>, // loops over the rows, innermost first
  x_steps: array<vec4<u32>, 2>,
  y_steps: array<vec4<u32>, 2>,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

var<workgroup> partial: array<f32, WG_SIZE>;

fn row_at(i: u32) -> vec2<u32> {
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

fn greatest(at: u32, first: u32, step: u32) -> f32 {
  var top = x[at];
  for (var i = first; i < params.length; i += step) { top = max(top, x[at + i * params.x_step]); }
  return top;
}

// In blocks of 64, whose totals are then added: the rounding error of a long sum stays that of a short one.
fn total_exp(at: u32, first: u32, step: u32, top: f32) -> f32 {
  var total = 0.0;
  var i = first;
  while (i < params.length) {
    var part = 0.0;
    for (var k = 0u; k < 64u && i < params.length; k++) {
      part += exp(x[at + i * params.x_step] - top);
      i += step;
    }
    total += part;
  }
  return total;
}

fn store(at: vec2<u32>, i: u32, top: f32, total: f32) {
  let v = x[at.x + i * params.x_step] - top;
  if (LOG != 0u) { y[at.y + i * params.y_step] = v - log(total); } else { y[at.y + i * params.y_step] = exp(v) / total; }
}

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let o = (g.x + g.y * n.x) * WG_SIZE + l.x;
  if (o >= params.rows) { return; }
  let at = row_at(o);
  let top = greatest(at.x, 0u, 1u);
  let total = total_exp(at.x, 0u, 1u, top);
  for (var i = 0u; i < params.length; i++) { store(at, i, top, total); }
}

@compute @workgroup_size(WG_SIZE)
fn main_group(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let o = g.x + g.y * n.x;
  if (o >= params.rows) { return; }
  let at = row_at(o);
  partial[l.x] = greatest(at.x, l.x, WG_SIZE);
  workgroupBarrier();
  for (var width = WG_SIZE / 2u; width > 0u; width >>= 1u) {
    if (l.x < width) { partial[l.x] = max(partial[l.x], partial[l.x + width]); }
    workgroupBarrier();
  }
  let top = workgroupUniformLoad(&partial[0]);
  partial[l.x] = total_exp(at.x, l.x, WG_SIZE, top);
  workgroupBarrier();
  for (var width = WG_SIZE / 2u; width > 0u; width >>= 1u) {
    if (l.x < width) { partial[l.x] += partial[l.x + width]; }
    workgroupBarrier();
  }
  let total = workgroupUniformLoad(&partial[0]);
  for (var i = l.x; i < params.length; i += WG_SIZE) { store(at, i, top, total); }
}
