// The input transform of Winograd's minimal filtering: V = B^T d B of every T x T tile d of x, tiles M pixels apart. x carries
// its padding as a halo. Taps of tiles that stick out below or to the right are read from the last row or column instead: they
// reach only outputs outside the image, but within a sum that has them cancel in the others, so they must be ordinary numbers.
// One thread per channel, tile and load of x. Reads T T X, writes T T X. No barrier.
override WG_SIZE: u32 = 32;
struct Params {
  channels: u32,
  tiles: u32, // of all planes and images, in X
  pitch: u32, // of a channel of v, in X
  inner: u32, // images, in X
  tiles_w: u32, // of a plane
  tiles_h: u32,
  last_h: u32, // row and column of x, from the first tap of output pixel 0, that the last output pixel still reads
  last_w: u32,
  x_base: u32, // of the first tap of output pixel 0; all steps in X
  x_channel: u32,
  x_d: u32,
  x_h: u32,
  x_w: u32,
  matrix: u32, // of v, between two of its T T matrices
}

@group(0) @binding(1) var<storage, read_write> v: array<X>; // T T x channels x pitch
@group(0) @binding(2) var<uniform> params: Params;

fn transform(group: vec3<u32>, thread: u32) {
  let t = group.x * WG_SIZE + thread;
  if (t >= params.tiles) { return; }
  let tile = t / params.inner;
  let row = tile / params.tiles_w;
  let plane = row / params.tiles_h;
  let h = M * (row - plane * params.tiles_h);
  let w = M * (tile - row * params.tiles_w);
  let at = params.x_base + group.y * params.x_channel + plane * params.x_d + (t - tile * params.inner);
  // B^T d, one column at a time.
  var m: array<X, T * T>;
  for (var j: u32 = 0u; j < T; j++) { // @unroll
    let column = at + min(w + j, params.last_w) * params.x_w;
    var d: array<X, T>;
    for (var i: u32 = 0u; i < T; i++) { // @unroll
      d[i] = x_at(column + min(h + i, params.last_h) * params.x_h);
    }
    let line = input_line(d);
    for (var i: u32 = 0u; i < T; i++) { // @unroll
      m[i * T + j] = line[i];
    }
  }
  let out = group.y * params.pitch + t;
  for (var i: u32 = 0u; i < T; i++) { // @unroll
    var d: array<X, T>;
    for (var j: u32 = 0u; j < T; j++) { // @unroll
      d[j] = m[i * T + j];
    }
    let line = input_line(d);
    for (var j: u32 = 0u; j < T; j++) { // @unroll
      v[out + (i * T + j) * params.matrix] = line[j];
    }
  }
}
