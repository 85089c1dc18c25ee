// conv/direct-generic: y = act(W * x + bias + residual), any rank up to 3-D, stride, dilation, padding, groups and strides of x, W and y.
// The correct way for every convolution that no faster kernel takes. One thread: R output channels of one group at one
// pixel of one image, so that a value of x is read once for R rows. Taps outside the input are skipped.
// Lanes run along the images (IMAGES_INNER: columns layout) or along the pixels of a row (rows layout, batch 1).
// Reads per tap and input channel: 4 B of x, 4R B of W. No barrier.
// @include "lib/activation.wgsl"
override WG_SIZE: u32 = 64;
override ACT: u32 = 0;
override HAS_BIAS: bool = false;
override HAS_RESIDUAL: bool = false;
override IMAGES_INNER: bool = false;
const R: u32 = 4u; // @spec 1 2 4 8
struct Params {
  count: u32, // threads with something to do
  images: u32,
  blocks_per_group: u32,
  rows_per_group: u32,
  channels: u32, // of the input, per group
  x_base: u32,
  x_image: u32,
  x_channel: u32,
  w_base: u32,
  w_row: u32,
  w_channel: u32,
  bias_base: u32,
  bias_row: u32,
  y_base: u32,
  y_image: u32,
  y_channel: u32,
  r_base: u32, // of the residual
  r_image: u32,
  r_channel: u32,
  act_a: f32,
  act_b: f32,
  // depth, height, width; the fourth is unused
  size: vec4<u32>,
  out: vec4<u32>,
  kernel: vec4<u32>,
  stride: vec4<u32>,
  dilation: vec4<u32>,
  before: vec4<u32>, // padding
  x_step: vec4<u32>,
  w_step: vec4<u32>,
  y_step: vec4<u32>,
  r_step: vec4<u32>,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>; // one per output channel; the weight again when unused
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<storage, read> residual: array<f32>; // of y's shape; x again when unused
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WG_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) lane: vec3<u32>,
) {
  var rest = (group.x + group.y * groups.x) * WG_SIZE + lane.x;
  if (rest >= params.count) { return; }
  var image = 0u;
  if (IMAGES_INNER) {
    image = rest % params.images;
    rest = rest / params.images;
  }
  let w = rest % params.out.z;
  rest = rest / params.out.z;
  let h = rest % params.out.y;
  rest = rest / params.out.y;
  let d = rest % params.out.x;
  var block = rest / params.out.x;
  if (!IMAGES_INNER) {
    let blocks = params.count / (params.images * params.out.x * params.out.y * params.out.z);
    image = block / blocks;
    block = block % blocks;
  }
  let conv_group = block / params.blocks_per_group;
  let row = (block - conv_group * params.blocks_per_group) * R;
  var row_at: array<u32, R>;
  var acc: array<f32, R>;
  for (var r: u32 = 0u; r < R; r++) { // @unroll
    // A row past the group's end reads the last one again; it is not stored.
    let m = conv_group * params.rows_per_group + min(row + r, params.rows_per_group - 1u);
    row_at[r] = params.w_base + m * params.w_row;
    acc[r] = 0.0;
  }
  let image_at = params.x_base + image * params.x_image + conv_group * params.channels * params.x_channel;
  // Positions before the input wrap around to huge ones, so one comparison per axis finds both ends.
  let origin = vec3<u32>(d, h, w) * params.stride.xyz - params.before.xyz;
  for (var kd = 0u; kd < params.kernel.x; kd++) {
    let xd = origin.x + kd * params.dilation.x;
    if (xd >= params.size.x) { continue; }
    for (var kh = 0u; kh < params.kernel.y; kh++) {
      let xh = origin.y + kh * params.dilation.y;
      if (xh >= params.size.y) { continue; }
      for (var kw = 0u; kw < params.kernel.z; kw++) {
        let xw = origin.z + kw * params.dilation.z;
        if (xw >= params.size.z) { continue; }
        var x_at = image_at + xd * params.x_step.x + xh * params.x_step.y + xw * params.x_step.z;
        var w_at = kd * params.w_step.x + kh * params.w_step.y + kw * params.w_step.z;
        for (var c = 0u; c < params.channels; c++) {
          let value = x[x_at];
          for (var r: u32 = 0u; r < R; r++) { // @unroll
            acc[r] += weight[row_at[r] + w_at] * value;
          }
          x_at += params.x_channel;
          w_at += params.w_channel;
        }
      }
    }
  }
  let pixel_at = params.y_base + image * params.y_image + d * params.y_step.x + h * params.y_step.y + w * params.y_step.z;
  let other_at = params.r_base + image * params.r_image + d * params.r_step.x + h * params.r_step.y + w * params.r_step.z;
  for (var r: u32 = 0u; r < R; r++) { // @unroll
    if (row + r < params.rows_per_group) {
      let m = conv_group * params.rows_per_group + row + r;
      var value = acc[r];
      if (HAS_BIAS) { value += bias[params.bias_base + m * params.bias_row]; }
      if (HAS_RESIDUAL) { value += residual[other_at + m * params.r_channel]; }
      y[pixel_at + m * params.y_channel] = activate(value, ACT, params.act_a, params.act_b);
    }
  }
}
