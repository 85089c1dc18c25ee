// norm/channel-sums: sums over all pixels and images of every channel, on the columns layout, four images at a time.
// MODE 0: of a. MODE 1: of (a - mean)^2. MODE 2: of a, and of a * (b - mean); the second sum lies `stride` further.
// One workgroup: one channel, one slice of its pixel rows; lanes run along the images of a row. Slices are added up, in a fixed
// order, by norm/channel-finish. Reads 16 B (32 B in mode 2) per four images. One barrier.
// @include "lib/pixel-rows.wgsl"
override WG_SIZE: u32 = 64;
override MODE: u32 = 0;

struct Params {
  rows: u32, // of pixels: depth x height
  height: u32,
  width: u32, // runs per row
  inner: u32, // values per run
  quads: u32, // values per pixel
  tail: u32, // images in the last quad of a pixel where it is not full, else 0
  rows_per_slice: u32,
  channels: u32,
  stride: u32, // words between the first sums and the second
  a_base: u32,
  a_d: u32,
  a_h: u32,
  a_w: u32,
  a_channel: u32,
  b_base: u32,
  b_d: u32,
  b_h: u32,
  b_w: u32,
  b_channel: u32,
}

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>; // a again where there is no second operand
@group(0) @binding(2) var<storage, read> mean: array<f32>; // anything in mode 0
@group(0) @binding(3) var<storage, read_write> sums: array<f32>; // [slice][channel]
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> parts: array<vec2<f32>, WG_SIZE>;

fn add(v: vec4<f32>) -> f32 { return (v.x + v.y) + (v.z + v.w); }

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) lane: vec3<u32>) {
  let channel = group.x;
  var centre = 0.0;
  if (MODE != 0u) { centre = mean[channel]; }
  var first = vec4<f32>();
  var second = vec4<f32>();
  let begin = group.y * params.rows_per_slice;
  let end = min(begin + params.rows_per_slice, params.rows);
  for (var row = begin; row < end; row++) {
    let d = row / params.height;
    let h = row - d * params.height;
    for (var w = 0u; w < params.width; w++) {
      let a_run = params.a_base + channel * params.a_channel + d * params.a_d + h * params.a_h + w * params.a_w;
      let b_run = params.b_base + channel * params.b_channel + d * params.b_d + h * params.b_h + w * params.b_w;
      for (var i = lane.x; i < params.inner; i += WG_SIZE) {
        let there = present(i, params.quads, params.tail);
        let value = select(vec4<f32>(), a[a_run + i], there);
        if (MODE == 0u) {
          first += value;
        } else if (MODE == 1u) {
          let from_mean = select(vec4<f32>(), value - centre, there);
          first += from_mean * from_mean;
        } else {
          first += value;
          second += value * select(vec4<f32>(), b[b_run + i] - centre, there);
        }
      }
    }
  }
  parts[lane.x] = vec2<f32>(add(first), add(second));
  workgroupBarrier();
  if (lane.x != 0u) { return; }
  var sum = vec2<f32>();
  for (var i = 0u; i < WG_SIZE; i++) { sum += parts[i]; }
  sums[group.y * params.channels + channel] = sum.x;
  if (MODE == 2u) { sums[params.stride + group.y * params.channels + channel] = sum.y; }
}
