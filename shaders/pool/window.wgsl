// pool/window: maximum, mean or p-norm under a sliding window of up to three spatial axes, on any strides.
// One thread per output, or per four images where the batch is innermost and comes in fours (main_vec4). Taps outside the
// data are skipped, so no halo is needed. main_indices also writes where each maximum was found.
// Reads 4 B per tap, writes 4 B (8 B with indices) per output. No barrier.
override MODE: u32 = 0; // 0 max, 1 average, 2 average counting padding, 3 Lp norm
struct Params {
  count: u32,
  batch: u32, // images, or groups of four
  channels: u32,
  x_base: u32,
  y_base: u32,
  i_base: u32,
  columns_first: u32,
  p: f32,
  size: vec4<u32>, // depth, height, width of x
  out: vec4<u32>,
  kernel: vec4<u32>,
  stride: vec4<u32>,
  dilation: vec4<u32>,
  before: vec4<u32>, // padding in front
  after: vec4<u32>, // declared padding behind
  x_steps: vec4<u32>, // words (or vec4s) per depth, height, width; then per channel
  y_steps: vec4<u32>,
  i_steps: vec4<u32>,
  image_steps: vec4<u32>, // words per image of x, y, indices
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y4: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> indices: array<i32>;
@group(0) @binding(5) var<storage, read> x_int: array<i32>;
@group(0) @binding(6) var<storage, read_write> y_int: array<i32>;
@group(0) @binding(7) var<uniform> params: Params;

struct Place { image: u32, channel: u32, at: vec3<u32> }

fn place(i: u32) -> Place {
  let image = i % params.batch;
  var rest = i / params.batch;
  let w = rest % params.out.z;
  rest = rest / params.out.z;
  let h = rest % params.out.y;
  rest = rest / params.out.y;
  let d = rest % params.out.x;
  return Place(image, rest / params.out.x, vec3<u32>(d, h, w));
}

// Coordinate of a tap along each axis; at or above size when it lies in the padding (wrapping below 0).
fn tap(at: vec3<u32>, k: vec3<u32>) -> vec3<u32> {
  return at * params.stride.xyz + k * params.dilation.xyz - params.before.xyz;
}

fn counted(c: vec3<u32>) -> bool {
  // With the padding counted, a tap counts inside data and declared padding.
  let shifted = c + params.before.xyz;
  return all(shifted < params.size.xyz + params.before.xyz + params.after.xyz);
}

fn thread(group: vec3<u32>, groups: vec3<u32>, lane: u32) -> u32 {
  return (group.x + group.y * groups.x) * 64u + lane;
}

fn x_index(p: Place, c: vec3<u32>) -> u32 {
  return params.x_base + p.image * params.image_steps.x + p.channel * params.x_steps.w + dot(c, params.x_steps.xyz);
}

fn y_index(p: Place) -> u32 {
  return params.y_base + p.image * params.image_steps.y + p.channel * params.y_steps.w + dot(p.at, params.y_steps.xyz);
}

fn lp(v: vec4<f32>) -> vec4<f32> {
  if (params.p == 2.0) { return v * v; }
  if (params.p == 1.0) { return abs(v); }
  return pow(max(abs(v), vec4<f32>(1e-37)), vec4<f32>(params.p));
}

fn start() -> vec4<f32> { return vec4<f32>(select(0.0, -3.4028234663852886e38, MODE == 0u)); }

fn step(total: vec4<f32>, v: vec4<f32>) -> vec4<f32> {
  switch (MODE) {
    case 0u: { return max(total, v); }
    case 3u: { return total + lp(v); }
    default: { return total + v; }
  }
}

fn finish(total: vec4<f32>, taps: u32) -> vec4<f32> {
  switch (MODE) {
    case 1u, 2u: { return select(total / f32(taps), vec4<f32>(), taps == 0u); }
    case 3u: {
      if (params.p == 2.0) { return sqrt(total); }
      if (params.p == 1.0) { return total; }
      return pow(max(total, vec4<f32>(1e-37)), vec4<f32>(1.0 / params.p));
    }
    default: { return total; }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let i = thread(g, n, l.x);
  if (i >= params.count) { return; }
  let p = place(i);
  var total = start();
  var taps = 0u;
  for (var kd = 0u; kd < params.kernel.x; kd++) {
    for (var kh = 0u; kh < params.kernel.y; kh++) {
      for (var kw = 0u; kw < params.kernel.z; kw++) {
        let c = tap(p.at, vec3<u32>(kd, kh, kw));
        let inside = all(c < params.size.xyz);
        if (inside) { total = step(total, vec4<f32>(x[x_index(p, c)])); }
        if (inside || (MODE == 2u && counted(c))) { taps++; }
      }
    }
  }
  y[y_index(p)] = finish(total, taps).x;
}

@compute @workgroup_size(64)
fn main_vec4(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let i = thread(g, n, l.x);
  if (i >= params.count) { return; }
  let p = place(i);
  var total = start();
  var taps = 0u;
  for (var kd = 0u; kd < params.kernel.x; kd++) {
    for (var kh = 0u; kh < params.kernel.y; kh++) {
      for (var kw = 0u; kw < params.kernel.z; kw++) {
        let c = tap(p.at, vec3<u32>(kd, kh, kw));
        let inside = all(c < params.size.xyz);
        if (inside) { total = step(total, x4[x_index(p, c)]); }
        if (inside || (MODE == 2u && counted(c))) { taps++; }
      }
    }
  }
  y4[y_index(p)] = finish(total, taps);
}

@compute @workgroup_size(64)
fn main_int(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let i = thread(g, n, l.x);
  if (i >= params.count) { return; }
  let p = place(i);
  var best = -2147483647 - 1;
  for (var kd = 0u; kd < params.kernel.x; kd++) {
    for (var kh = 0u; kh < params.kernel.y; kh++) {
      for (var kw = 0u; kw < params.kernel.z; kw++) {
        let c = tap(p.at, vec3<u32>(kd, kh, kw));
        if (all(c < params.size.xyz)) { best = max(best, x_int[x_index(p, c)]); }
      }
    }
  }
  y_int[y_index(p)] = best;
}

// Indices count the flattened logical input, whatever its layout.
@compute @workgroup_size(64)
fn main_indices(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let i = thread(g, n, l.x);
  if (i >= params.count) { return; }
  let p = place(i);
  var best = -3.4028234663852886e38;
  var found = vec3<u32>();
  var any_found = false;
  for (var kd = 0u; kd < params.kernel.x; kd++) {
    for (var kh = 0u; kh < params.kernel.y; kh++) {
      for (var kw = 0u; kw < params.kernel.z; kw++) {
        let c = tap(p.at, vec3<u32>(kd, kh, kw));
        if (all(c < params.size.xyz)) {
          let v = x[x_index(p, c)];
          if (v > best) {
            best = v;
            found = c;
            any_found = true;
          }
        }
      }
    }
  }
  let plane = params.size.x * params.size.y * params.size.z;
  let first = (p.image * params.channels + p.channel) * plane;
  var where_in = (found.x * params.size.y + found.y) * params.size.z + found.z;
  if (params.columns_first == 1u) { where_in = found.x + (found.y + found.z * params.size.y) * params.size.x; }
  y[y_index(p)] = best;
  indices[params.i_base + p.image * params.image_steps.z + p.channel * params.i_steps.w + dot(p.at, params.i_steps.xyz)] =
    select(0, i32(first + where_in), any_found);
}
