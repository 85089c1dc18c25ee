// reduce/arg: y = where the greatest (or, with LEAST, the least) element along an axis lies, on any strides; of equal ones
// the first, or the last with LAST. Words of any kind.
// main: one thread per output. main_group: one workgroup per output, for few and long rows.
// Reads 4 B per element, writes 4 B per output.
override WG_SIZE: u32 = 64;
override WORD: u32 = 0; // 0 f32, 1 i32, 2 u32
override LEAST: u32 = 0;
override LAST: u32 = 0;
const RANK: u32 = 1u; // @spec 1 2 3 4 5 6 7 8

struct Params {
  outputs: u32,
  length: u32, // of the axis
  step: u32, // words from one element along the axis to the next
  x_base: u32,
  y_base: u32,
  shape: array<vec4<u32>, 2>, // loops over the outputs, innermost first
  x_steps: array<vec4<u32>, 2>,
  y_steps: array<vec4<u32>, 2>,
}

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<i32>;
@group(0) @binding(2) var<uniform> params: Params;

// What a lane has found: the word and its place.
var<workgroup> found: array<vec2<u32>, WG_SIZE>;

fn output_at(i: u32) -> vec2<u32> {
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

fn greater(a: u32, b: u32) -> bool {
  switch (WORD) {
    case 0u: { return bitcast<f32>(a) > bitcast<f32>(b); }
    case 1u: { return bitcast<i32>(a) > bitcast<i32>(b); }
    default: { return a > b; }
  }
}

// The better of two finds; of equal ones the one that stands first, or last.
fn better(p: vec2<u32>, q: vec2<u32>) -> vec2<u32> {
  if (greater(p.x, q.x)) { return select(p, q, LEAST != 0u); }
  if (greater(q.x, p.x)) { return select(q, p, LEAST != 0u); }
  return select(q, p, (p.y < q.y) == (LAST == 0u));
}

fn search(at: u32, first: u32, step: u32) -> vec2<u32> {
  var best = vec2<u32>(x[at + first * params.step], first);
  for (var i = first + step; i < params.length; i += step) {
    best = better(best, vec2<u32>(x[at + i * params.step], i));
  }
  return best;
}

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let o = (g.x + g.y * n.x) * WG_SIZE + l.x;
  if (o >= params.outputs) { return; }
  let at = output_at(o);
  y[at.y] = i32(search(at.x, 0u, 1u).y);
}

@compute @workgroup_size(WG_SIZE)
fn main_group(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let o = g.x + g.y * n.x;
  if (o >= params.outputs) { return; }
  let at = output_at(o);
  // A lane beyond a short row stands in with the row's last element.
  found[l.x] = search(at.x, min(l.x, params.length - 1u), WG_SIZE);
  workgroupBarrier();
  for (var width = WG_SIZE / 2u; width > 0u; width >>= 1u) {
    if (l.x < width) { found[l.x] = better(found[l.x], found[l.x + width]); }
    workgroupBarrier();
  }
  if (l.x == 0u) { y[at.y] = i32(found[0].y); }
}
