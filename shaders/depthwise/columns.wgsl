// depthwise/columns: y = act(w * x + bias + residual) channel by channel, 1-D or 2-D, for columns layout of several images: a value is a
// vec4 over four of them, so every load is aligned. One thread: P neighbouring outputs of a row for one image quad, from a
// window of x that is read once per kernel row and slid over its taps. Output channel m reads input channel m / multiplier;
// its weights are uniform in a workgroup. The input's halo is not relied on: taps outside the input count as zero.
// Reads per kernel row: (P - 1) S + KW vec4s of x for P outputs. No barrier. Strides and bases are in vec4s.
// @include "lib/activation.wgsl"
override WG_SIZE: u32 = 64;
override ACT: u32 = 0;
override HAS_BIAS: bool = false;
override HAS_RESIDUAL: bool = false;
const P: u32 = 4u; // @spec 1 2 4 8
const S: u32 = 1u; // @spec 1 2
const KW: u32 = 3u; // @spec 1 2 3 4 5 6 7 8 9
struct Params {
  count: u32, // strips of P outputs in a plane, times image quads
  strips: u32, // per row
  quads: u32, // of images
  multiplier: u32,
  out_w: u32,
  size_h: u32,
  size_w: u32,
  kernel_h: u32,
  stride_h: u32,
  dilation_h: u32,
  before_h: u32,
  before_w: u32,
  x_base: u32,
  x_channel: u32,
  x_h: u32,
  x_w: u32,
  y_base: u32,
  y_channel: u32,
  y_h: u32,
  y_w: u32,
  r_base: u32, // of the residual
  r_channel: u32,
  r_h: u32,
  r_w: u32,
  act_a: f32,
  act_b: f32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> weight: array<f32>; // channels x kernel_h x KW
@group(0) @binding(2) var<storage, read> bias: array<f32>; // one per output channel; the weight again when unused
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> residual: array<vec4<f32>>; // of y's shape; x again when unused
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) lane: vec3<u32>) {
  let i = group.x * WG_SIZE + lane.x;
  if (i >= params.count) { return; }
  let strip = i / params.quads;
  let quad = i - strip * params.quads;
  let m = group.y;
  let h = strip / params.strips;
  let w = (strip - h * params.strips) * P;
  let plane = params.x_base + quad + (m / params.multiplier) * params.x_channel;
  // Positions before the input wrap around to huge ones, so one comparison finds both ends.
  let first_h = h * params.stride_h - params.before_h;
  let first_w = w * S - params.before_w;
  var acc: array<vec4<f32>, P>;
  for (var p: u32 = 0u; p < P; p++) { // @unroll
    acc[p] = vec4<f32>();
  }
  for (var kh = 0u; kh < params.kernel_h; kh++) {
    let xh = first_h + kh * params.dilation_h;
    if (xh >= params.size_h) { continue; }
    let row = plane + xh * params.x_h;
    var window: array<vec4<f32>, (P - 1u) * S + KW>;
    for (var t: u32 = 0u; t < (P - 1u) * S + KW; t++) { // @unroll
      let xw = first_w + t;
      window[t] = vec4<f32>();
      if (xw < params.size_w) { window[t] = x[row + xw * params.x_w]; }
    }
    for (var kw: u32 = 0u; kw < KW; kw++) { // @unroll
      let value = weight[(m * params.kernel_h + kh) * KW + kw];
      for (var p: u32 = 0u; p < P; p++) { // @unroll
        acc[p] += value * window[p * S + kw];
      }
    }
  }
  var shift = 0.0;
  if (HAS_BIAS) { shift = bias[m]; }
  let out = params.y_base + quad + m * params.y_channel + h * params.y_h;
  let other = params.r_base + quad + m * params.r_channel + h * params.r_h;
  for (var p: u32 = 0u; p < P; p++) { // @unroll
    if (w + p < params.out_w) {
      var value = acc[p] + shift;
      if (HAS_RESIDUAL) { value += residual[other + (w + p) * params.r_w]; }
      y[out + (w + p) * params.y_w] = activate4(value, ACT, params.act_a, params.act_b);
    }
  }
}
