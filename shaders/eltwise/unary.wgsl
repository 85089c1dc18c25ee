// eltwise/unary: y = f(x), element by element, on any strides.
// FN picks the function when the pipeline is made; a and b are its parameters. One word per thread, or four (main_vec4).
// Reads 4 B and writes 4 B per element. No barrier.
// @include "lib/functions.wgsl"
// @include "lib/strided.wgsl"
override FN: u32 = 0;
override UNSIGNED: bool = false; // are the integers u32?
const RANK: u32 = 1u; // @spec 1 2 3 4 5 6 7 8

@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read_write> dest: array<f32>;
@group(0) @binding(2) var<storage, read> source4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> dest4: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> source_int: array<i32>;
@group(0) @binding(5) var<storage, read_write> dest_int: array<i32>;
@group(0) @binding(6) var<storage, read> constants: array<f32, 2>;
@group(0) @binding(7) var<storage, read> constants_int: array<i32, 2>;
@group(0) @binding(8) var<uniform> params: Loops;

fn apply(x: f32, a: f32, b: f32) -> f32 {
  switch (FN) {
    case 1u: { return abs(x); }
    case 2u: { return ceil(x); }
    case 3u: { return max(0.0, x) + min(0.0, a * expm1_f32(x / a)); } // Celu
    case 4u: { return cos_f32(x); }
    case 5u: { return select(x, a * expm1_f32(min(x, 0.0)), x < 0.0); } // Elu
    case 6u: { return erf_f32(x); }
    case 7u: { return exp(x); }
    case 8u: { return floor(x); }
    case 9u: { return 0.5 * x * (1.0 + erf_f32(x * 0.7071067811865476)); } // Gelu
    case 10u: { return 0.5 * x * (1.0 + tanh_f32(0.7978845608028654 * (x + 0.044715 * x * x * x))); }
    case 11u: { return clamp(a * x + b, 0.0, 1.0); } // HardSigmoid
    case 12u: { return x * clamp(x / 6.0 + 0.5, 0.0, 1.0); } // HardSwish
    case 13u: { return select(x, a * x, x < 0.0); } // LeakyRelu
    case 14u: { return log(x); }
    case 15u: { return x * tanh_f32(softplus_f32(x)); } // Mish
    case 16u: { return -x; }
    case 17u: { return 1.0 / x; }
    case 18u: { return max(0.0, x); }
    case 19u: { return round(x); } // WGSL rounds half to even
    case 20u: { return select(b * a * expm1_f32(min(x, 0.0)), b * x, x > 0.0); } // Selu
    case 21u: { // Shrink
      if (x < -a) { return x + b; }
      if (x > a) { return x - b; }
      return 0.0;
    }
    case 22u: { return sigmoid_f32(x); }
    case 23u: { return sign(x); }
    case 24u: { return sin_f32(x); }
    case 25u: { return softplus_f32(x); }
    case 26u: { return x / (1.0 + abs(x)); }
    case 27u: { return sqrt(x); }
    case 28u: { return x * sigmoid_f32(a * x); } // Swish
    case 29u: { return sin_f32(x) / cos_f32(x); }
    case 30u: { return tanh_f32(x); }
    case 31u: { return select(0.0, x, x > a); } // ThresholdedRelu
    case 32u: { return min(max(x, a), b); } // Clip
    default: { return x; }
  }
}

fn apply_int(x: i32, a: f32, b: f32) -> i32 {
  switch (FN) {
    case 1u: { return select(abs(x), x, UNSIGNED); }
    case 16u: { return -x; }
    case 18u: { return select(max(0, x), x, UNSIGNED); }
    case 21u: {
      let v = select(f32(x), f32(bitcast<u32>(x)), UNSIGNED);
      if (v < -a) { return x + i32(b); }
      if (v > a) { return x - i32(b); }
      return 0;
    }
    case 23u: { return select(sign(x), select(0, 1, x != 0), UNSIGNED); }
    case 32u: {
      let low = constants_int[0];
      let high = constants_int[1];
      if (UNSIGNED) { return bitcast<i32>(min(max(bitcast<u32>(x), bitcast<u32>(low)), bitcast<u32>(high))); }
      return min(max(x, low), high);
    }
    case 33u: { return select(0, 1, x == 0); } // Not
    case 34u: { return select(0, 1, x != 0); } // Cast to bool
    case 35u: { return x & 255; } // Cast to u8: what does not fit wraps
    case 36u: { return (x << 24u) >> 24u; } // Cast to i8
    default: { return x; }
  }
}

fn thread(group: vec3<u32>, groups: vec3<u32>, lane: u32) -> u32 {
  return (group.x + group.y * groups.x) * 64u + lane;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let i = thread(g, n, l.x);
  if (i >= params.count) { return; }
  let at = loop_offsets(i);
  dest[at.y] = apply(source[at.x], constants[0], constants[1]);
}

@compute @workgroup_size(64)
fn main_vec4(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let i = thread(g, n, l.x);
  if (i >= params.count) { return; }
  let at = loop_offsets(i);
  let x = source4[at.x];
  let a = constants[0];
  let b = constants[1];
  dest4[at.y] = vec4<f32>(apply(x.x, a, b), apply(x.y, a, b), apply(x.z, a, b), apply(x.w, a, b));
}

@compute @workgroup_size(64)
fn main_int(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let i = thread(g, n, l.x);
  if (i >= params.count) { return; }
  let at = loop_offsets(i);
  dest_int[at.y] = apply_int(source_int[at.x], constants[0], constants[1]);
}

// Casts: fractions are cut, and what does not fit saturates.
@compute @workgroup_size(64)
fn main_to_int(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let i = thread(g, n, l.x);
  if (i >= params.count) { return; }
  let at = loop_offsets(i);
  let x = source[at.x];
  if (FN == 34u) {
    dest_int[at.y] = select(0, 1, x != 0.0);
  } else if (UNSIGNED) {
    dest_int[at.y] = bitcast<i32>(u32(clamp(x, 0.0, 4294967040.0)));
  } else {
    let whole = i32(clamp(x, -2147483648.0, 2147483520.0));
    dest_int[at.y] = select(select(whole, whole & 255, FN == 35u), (whole << 24u) >> 24u, FN == 36u);
  }
}

@compute @workgroup_size(64)
fn main_to_float(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let i = thread(g, n, l.x);
  if (i >= params.count) { return; }
  let at = loop_offsets(i);
  let x = source_int[at.x];
  dest[at.y] = select(f32(x), f32(bitcast<u32>(x)), UNSIGNED);
}
