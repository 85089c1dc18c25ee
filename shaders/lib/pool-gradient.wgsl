// The body of pool/gradient and its scalar form: every element of dx gathers from the windows it lies under, so nothing is
// added atomically. The file that includes it says what a Value is (f32 or four images).
override MODE: u32 = 0; // 0 max, 1 average, 2 average counting padding
struct Params {
  count: u32,
  batch: u32, // images, or groups of four
  size: vec4<u32>, // depth, height, width of x
  out: vec4<u32>,
  kernel: vec4<u32>,
  stride: vec4<u32>,
  dilation: vec4<u32>,
  before: vec4<u32>, // padding in front
  after: vec4<u32>, // declared padding behind
  x_steps: vec4<u32>, // values per depth, height, width; then per channel
  y_steps: vec4<u32>,
  dy_steps: vec4<u32>,
  dx_steps: vec4<u32>,
  image_steps: vec4<u32>, // of x, y, dy, dx
  base: vec4<u32>,
}

@group(0) @binding(0) var<storage, read> x: array<Value>;
@group(0) @binding(1) var<storage, read> y: array<Value>;
@group(0) @binding(2) var<storage, read> dy: array<Value>;
@group(0) @binding(3) var<storage, read_write> dx: array<Value>;
@group(0) @binding(4) var<uniform> params: Params;

// Coordinates of thread i among `extent` pixels per channel, and where its channel of its image starts in x, y, dy, dx.
struct Place { at: vec3<u32>, start: vec4<u32> }

fn place_of(i: u32, extent: vec3<u32>) -> Place {
  let image = i % params.batch;
  var rest = i / params.batch;
  let w = rest % extent.z;
  rest = rest / extent.z;
  let h = rest % extent.y;
  rest = rest / extent.y;
  let channel = rest / extent.x;
  let channels = channel * vec4<u32>(params.x_steps.w, params.y_steps.w, params.dy_steps.w, params.dx_steps.w);
  return Place(vec3<u32>(rest % extent.x, h, w), params.base + image * params.image_steps + channels);
}

// Is the element at `at` the first of its window, in order, to hold the window's maximum? Ties go to the first.
fn first_in_window(origin: vec3<u32>, tap: vec3<u32>, start: u32, top: Value) -> Flag {
  var earlier = Flag();
  for (var kd = 0u; kd <= tap.x; kd++) {
    for (var kh = 0u; kh < params.kernel.y; kh++) {
      for (var kw = 0u; kw < params.kernel.z; kw++) {
        let k = vec3<u32>(kd, kh, kw);
        let before = kd < tap.x || (kh < tap.y || (kh == tap.y && kw < tap.z));
        let c = origin + k * params.dilation.xyz - params.before.xyz;
        if (before && all(c < params.size.xyz)) {
          earlier = earlier | (x[start + dot(c, params.x_steps.xyz)] == top);
        }
      }
    }
  }
  return !earlier;
}

// How many taps of the window at `origin` (output times stride) its mean was divided by.
fn divisor(origin: vec3<u32>) -> f32 {
  var taps = 0u;
  for (var kd = 0u; kd < params.kernel.x; kd++) {
    for (var kh = 0u; kh < params.kernel.y; kh++) {
      for (var kw = 0u; kw < params.kernel.z; kw++) {
        let shifted = origin + vec3<u32>(kd, kh, kw) * params.dilation.xyz;
        let inside = all(shifted - params.before.xyz < params.size.xyz);
        let declared = all(shifted < params.size.xyz + params.before.xyz + params.after.xyz);
        if (inside || (MODE == 2u && declared)) { taps++; }
      }
    }
  }
  return f32(taps);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let i = (g.x + g.y * n.x) * 64u + l.x;
  if (i >= params.count) { return; }
  let place = place_of(i, params.size.xyz);
  let at = place.at;
  let start = place.start;
  let own = x_value(start.x + dot(at, params.x_steps.xyz));
  var sum = Value();
  for (var kd = 0u; kd < params.kernel.x; kd++) {
    for (var kh = 0u; kh < params.kernel.y; kh++) {
      for (var kw = 0u; kw < params.kernel.z; kw++) {
        let k = vec3<u32>(kd, kh, kw);
        let reach = at + params.before.xyz;
        let back = k * params.dilation.xyz;
        if (any(back > reach)) { continue; }
        let o = (reach - back) / params.stride.xyz;
        let origin = o * params.stride.xyz;
        if (any(origin + back != reach) || any(o >= params.out.xyz)) { continue; }
        let slope = dy[start.z + dot(o, params.dy_steps.xyz)];
        if (MODE == 0u) {
          let top = y_value(start.y + dot(o, params.y_steps.xyz));
          let chosen = (own == top) & first_in_window(origin, k, start.x, top);
          sum += select(Value(), slope, chosen);
        } else {
          sum += slope / divisor(origin);
        }
      }
    }
  }
  dx[start.w + dot(at, params.dx_steps.xyz)] = sum;
}

// Windows that do not overlap: one thread per output writes every element of its window.
@compute @workgroup_size(64)
fn main_apart(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let i = (g.x + g.y * n.x) * 64u + l.x;
  if (i >= params.count) { return; }
  let place = place_of(i, params.out.xyz);
  let o = place.at;
  let start = place.start;
  let origin = o * params.stride.xyz;
  let slope = dy[start.z + dot(o, params.dy_steps.xyz)];
  var share = slope;
  var top = Value();
  if (MODE == 0u) {
    top = y_value(start.y + dot(o, params.y_steps.xyz));
  } else {
    share = slope / divisor(origin);
  }
  var found = Flag();
  for (var kd = 0u; kd < params.kernel.x; kd++) {
    for (var kh = 0u; kh < params.kernel.y; kh++) {
      for (var kw = 0u; kw < params.kernel.z; kw++) {
        let c = origin + vec3<u32>(kd, kh, kw) - params.before.xyz;
        if (any(c >= params.size.xyz)) { continue; }
        if (MODE == 0u) {
          let chosen = (x_value(start.x + dot(c, params.x_steps.xyz)) == top) & !found;
          found = found | chosen;
          share = select(Value(), slope, chosen);
        }
        dx[start.w + dot(c, params.dx_steps.xyz)] = share;
      }
    }
  }
}

// An average reads neither x nor y; dy stands in for them.
fn x_value(i: u32) -> Value {
  if (MODE != 0u) { return Value(); }
  return x[i];
}

fn y_value(i: u32) -> Value { return y[i]; }
