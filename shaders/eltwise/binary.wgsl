// eltwise/binary: y = f(a, b) with broadcasting, element by element, on any strides; y = f(y, b) in the _into entries.
// FN picks the function when the pipeline is made. One word per thread, or four (main_vec4).
// Reads 8 B and writes 4 B per element. No barrier.
// @include "lib/functions.wgsl"
// @include "lib/strided-pair.wgsl"
override FN: u32 = 0;
const RANK: u32 = 1u; // @spec 1 2 3 4 5 6 7 8

@group(0) @binding(0) var<storage, read> left: array<f32>;
@group(0) @binding(1) var<storage, read> right: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read> left4: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> right4: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> y4: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> left_int: array<i32>;
@group(0) @binding(7) var<storage, read> right_int: array<i32>;
@group(0) @binding(8) var<storage, read_write> y_int: array<i32>;
@group(0) @binding(9) var<uniform> params: PairLoops;

fn apply(p: f32, q: f32) -> f32 {
  switch (FN) {
    case 0u: { return p + q; }
    case 1u: { return p - q; }
    case 2u: { return p * q; }
    case 3u: { return p / q; }
    case 4u: { return pow_f32(p, q); }
    case 5u: { return max(p, q); }
    case 6u: { return min(p, q); }
    case 7u: { return p % q; } // Mod with fmod = 1
    case 8u: { return select(p, p * q, p < 0.0); } // PRelu
    case 9u: { return select(0.0, p, q > 0.0); } // ReluGrad
    default: { return p; }
  }
}

fn apply_int(p: i32, q: i32) -> i32 {
  switch (FN) {
    case 0u: { return p + q; }
    case 1u: { return p - q; }
    case 2u: { return p * q; }
    case 3u: { return p / q; }
    case 4u: { // integer power by squaring
      if (q < 0) { return select(0, select(1, p, (q & 1) != 0), abs(p) == 1); }
      var result = 1;
      var base = p;
      for (var e = q; e > 0; e >>= 1u) {
        if ((e & 1) != 0) { result *= base; }
        base *= base;
      }
      return result;
    }
    case 5u: { return max(p, q); }
    case 6u: { return min(p, q); }
    case 7u: { return p % q; }
    case 8u: { return select(p, p * q, p < 0); }
    case 9u: { // Mod with fmod = 0: the divisor's sign
      let rest = p % q;
      return select(rest, rest + q, rest != 0 && (rest < 0) != (q < 0));
    }
    case 13u: { return select(0, 1, p != 0 && q != 0); }
    case 14u: { return select(0, 1, p != 0 || q != 0); }
    case 15u: { return select(0, 1, (p != 0) != (q != 0)); }
    case 20u: { return select(0, 1, p == q); }
    case 21u: { return select(0, 1, p < q); }
    case 22u: { return select(0, 1, p <= q); }
    case 23u: { return select(0, 1, p > q); }
    case 24u: { return select(0, 1, p >= q); }
    default: { return p; }
  }
}

fn compare(p: f32, q: f32) -> bool {
  switch (FN) {
    case 20u: { return p == q; }
    case 21u: { return p < q; }
    case 22u: { return p <= q; }
    case 23u: { return p > q; }
    default: { return p >= q; }
  }
}

fn thread(group: vec3<u32>, groups: vec3<u32>, lane: u32) -> u32 {
  return (group.x + group.y * groups.x) * 64u + lane;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let i = thread(g, n, l.x);
  if (i >= params.count) { return; }
  let at = pair_offsets(i);
  y[at.z] = apply(left[at.x], right[at.y]) * params.factor;
}

@compute @workgroup_size(64)
fn main_into(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let i = thread(g, n, l.x);
  if (i >= params.count) { return; }
  let at = pair_offsets(i);
  y[at.z] = apply(y[at.z], right[at.y]) * params.factor;
}

@compute @workgroup_size(64)
fn main_vec4(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let i = thread(g, n, l.x);
  if (i >= params.count) { return; }
  let at = pair_offsets(i);
  let p = left4[at.x];
  let q = right4[at.y];
  y4[at.z] = vec4<f32>(apply(p.x, q.x), apply(p.y, q.y), apply(p.z, q.z), apply(p.w, q.w)) * params.factor;
}

@compute @workgroup_size(64)
fn main_int(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let i = thread(g, n, l.x);
  if (i >= params.count) { return; }
  let at = pair_offsets(i);
  y_int[at.z] = apply_int(left_int[at.x], right_int[at.y]);
}

@compute @workgroup_size(64)
fn main_int_into(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let i = thread(g, n, l.x);
  if (i >= params.count) { return; }
  let at = pair_offsets(i);
  y_int[at.z] = apply_int(y_int[at.z], right_int[at.y]);
}

@compute @workgroup_size(64)
fn main_compare(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let i = thread(g, n, l.x);
  if (i >= params.count) { return; }
  let at = pair_offsets(i);
  y_int[at.z] = select(0, 1, compare(left[at.x], right[at.y]));
}
