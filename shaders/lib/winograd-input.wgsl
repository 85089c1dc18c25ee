// The input transform of Winograd's minimal filtering F(2x2, 3x3) (Lavin and Gray 2016, arXiv 1509.09308, section 4.1):
// V = B^T d B of every 4 x 4 tile d of x, tiles two pixels apart. x carries its padding as a halo; tiles that stick out below
// or to the right read whatever lies there, which reaches only outputs outside the image.
// One thread per channel, tile and load of x. Reads 16 X, writes 16 X. No barrier.
override WG_SIZE: u32 = 32;
struct Params {
  channels: u32,
  tiles: u32, // of all images, in X
  pitch: u32, // of a channel of v, in X
  inner: u32, // images, in X
  tiles_w: u32,
  x_base: u32, // of the first tap of output pixel 0; all steps in X
  x_channel: u32,
  x_h: u32,
  x_w: u32,
  matrix: u32, // of v, between two of its 16 matrices
}

@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read_write> v: array<X>; // 16 x channels x pitch
@group(0) @binding(2) var<uniform> params: Params;

fn transform(group: vec3<u32>, thread: u32) {
  let t = group.x * WG_SIZE + thread;
  if (t >= params.tiles) { return; }
  let tile = t / params.inner;
  let row = tile / params.tiles_w;
  let at = params.x_base + group.y * params.x_channel + 2u * row * params.x_h
    + 2u * (tile - row * params.tiles_w) * params.x_w + (t - tile * params.inner);
  // B^T d, one column at a time.
  var m: array<X, 16>;
  for (var j: u32 = 0u; j < 4u; j++) { // @unroll
    let d0 = x[at + j * params.x_w];
    let d1 = x[at + j * params.x_w + params.x_h];
    let d2 = x[at + j * params.x_w + 2u * params.x_h];
    let d3 = x[at + j * params.x_w + 3u * params.x_h];
    m[j] = d0 - d2;
    m[4u + j] = d1 + d2;
    m[8u + j] = d2 - d1;
    m[12u + j] = d1 - d3;
  }
  let out = group.y * params.pitch + t;
  for (var i: u32 = 0u; i < 4u; i++) { // @unroll
    v[out + (i * 4u) * params.matrix] = m[i * 4u] - m[i * 4u + 2u];
    v[out + (i * 4u + 1u) * params.matrix] = m[i * 4u + 1u] + m[i * 4u + 2u];
    v[out + (i * 4u + 2u) * params.matrix] = m[i * 4u + 2u] - m[i * 4u + 1u];
    v[out + (i * 4u + 3u) * params.matrix] = m[i * 4u + 1u] - m[i * 4u + 3u];
  }
}
