// The body of conv/weight-gradient and its scalar form: dw[m, k] = sum over columns of dy[m] * x under tap k.
// The file that includes it says what a Value is (f32 or four images) and how to take one; lib/uniform-slopes or
// lib/shuffled-slopes how the R values of dy are read.
override WG_SIZE: u32 = 32;
override RAGGED: bool = false; // is the last quad of a pixel not full?
const V: u32 = 4u; // @spec 1 2 3 4 6 8

struct Params {
  rows: u32, // of pixels: depth x height
  height: u32,
  width: u32, // runs per row
  inner: u32, // values per run
  quads: u32, // values per pixel
  tail: u32, // images in the last quad of a pixel where it is not full, else 0
  rows_per_slice: u32,
  taps: u32, // entries of a row of dw
  rows_per_group: u32,
  blocks_per_group: u32,
  groups: u32,
  x_base: u32,
  x_d: u32,
  x_h: u32,
  x_w: u32,
  x_group: u32,
  dy_base: u32,
  dy_d: u32,
  dy_h: u32,
  dy_w: u32,
  dy_channel: u32,
}

@group(0) @binding(0) var<storage, read> x: array<Value>;
@group(0) @binding(1) var<storage, read> dy: array<Value>;
@group(0) @binding(2) var<storage, read> offsets: array<u32>; // of each tap into x
@group(0) @binding(3) var<storage, read_write> dw: array<f32>; // [slice][m][k]
@group(0) @binding(4) var<uniform> params: Params;

fn gradient(group: vec3<u32>, thread: u32, lane: u32) {
  let conv_group = group.y / params.blocks_per_group;
  let row = (group.y - conv_group * params.blocks_per_group) * R;
  let first = group.x * (WG_SIZE * V) + thread;
  // Rows and taps past the end read the last one again; they are not stored.
  var dy_at: array<u32, LOADS>;
  var x_at: array<u32, V>;
  var acc: array<f32, R * V>;
  for (var l: u32 = 0u; l < LOADS; l++) { // @unroll
    dy_at[l] = params.dy_base
      + (conv_group * params.rows_per_group + min(row + row_of(l, lane), params.rows_per_group - 1u)) * params.dy_channel;
  }
  for (var v: u32 = 0u; v < V; v++) { // @unroll
    x_at[v] = params.x_base + conv_group * params.x_group + offsets[min(first + v * WG_SIZE, params.taps - 1u)];
  }
  for (var i: u32 = 0u; i < R * V; i++) { // @unroll
    acc[i] = 0.0;
  }
  let begin = group.z * params.rows_per_slice;
  let end = min(begin + params.rows_per_slice, params.rows);
  for (var pixel_row = begin; pixel_row < end; pixel_row++) {
    let d = pixel_row / params.height;
    let h = pixel_row - d * params.height;
    for (var w = 0u; w < params.width; w++) {
      let x_run = d * params.x_d + h * params.x_h + w * params.x_w;
      let dy_run = d * params.dy_d + h * params.dy_h + w * params.dy_w;
      for (var i = 0u; i < params.inner; i++) {
        var value: array<Value, V>;
        for (var v: u32 = 0u; v < V; v++) { // @unroll
          value[v] = x[x_at[v] + x_run + i];
          if (RAGGED) { value[v] = kept(value[v], i); }
        }
        var slopes: array<Value, LOADS>;
        for (var l: u32 = 0u; l < LOADS; l++) { // @unroll
          slopes[l] = dy[dy_at[l] + dy_run + i];
          if (RAGGED) { slopes[l] = kept(slopes[l], i); }
        }
        for (var r: u32 = 0u; r < R; r++) { // @unroll
          let slope = slope_of(&slopes, r);
          for (var v: u32 = 0u; v < V; v++) { // @unroll
            acc[r * V + v] = product(acc[r * V + v], slope, value[v]);
          }
        }
      }
    }
  }
  // A loop that is not unrolled: many stores side by side take seconds to compile on a software adapter.
  var sums: array<f32, R * V>;
  for (var i: u32 = 0u; i < R * V; i++) { // @unroll
    sums[i] = acc[i];
  }
  let slice = group.z * params.groups * params.rows_per_group;
  // Not min(R, rest): a compiler that sees the bound unrolls the loop after all.
  let count = R - u32(max(i32(row + R) - i32(params.rows_per_group), 0));
  for (var r = 0u; r < count; r++) {
    for (var v = 0u; v < V; v++) {
      let k = first + v * WG_SIZE;
      if (k < params.taps) {
        dw[(slice + conv_group * params.rows_per_group + row + r) * params.taps + k] = sums[r * V + v];
      }
    }
  }
}
