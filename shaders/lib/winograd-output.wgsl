// The output transform of Winograd's F(2x2, 3x3) (Lavin and Gray 2016, arXiv 1509.09308, section 4.1): Y = A^T m A of the 16
// products of a tile, then bias, residual and activation on the way to y.
// Of Columns: columns counts tiles x images, out_w and out_h pixels, x_d steps from row to row of the products and x_group
// from matrix to matrix. One thread per output channel, tile and load. Reads 16 X, writes 4 X. No barrier.
override WG_SIZE: u32 = 32;

@group(0) @binding(0) var<storage, read> products: array<X>; // 16 x rows x tiles

fn transform(group: vec3<u32>, thread: u32) {
  let t = group.x * WG_SIZE + thread;
  if (t >= params.columns) { return; }
  let m = group.y;
  let tiles_w = (params.out_w + 1u) / 2u;
  let tile = t / params.inner;
  let row = tile / tiles_w;
  let at = m * params.x_d + t;
  // A^T m, one column at a time.
  var s: array<X, 8>;
  for (var j: u32 = 0u; j < 4u; j++) { // @unroll
    let p0 = products[at + j * params.x_group];
    let p1 = products[at + (4u + j) * params.x_group];
    let p2 = products[at + (8u + j) * params.x_group];
    let p3 = products[at + (12u + j) * params.x_group];
    s[j] = p0 + p1 + p2;
    s[4u + j] = p1 - p2 - p3;
  }
  let h = row * 2u;
  let w = (tile - row * tiles_w) * 2u;
  let i = t - tile * params.inner;
  let out = vec2<u32>(
    params.y_base + h * params.y_h + w * params.y_w + i,
    params.r_base + h * params.r_h + w * params.r_w + i,
  );
  for (var r: u32 = 0u; r < 2u; r++) { // @unroll
    if (h + r < params.out_h) {
      let line = out + r * vec2<u32>(params.y_h, params.r_h);
      finish(line, m, s[r * 4u] + s[r * 4u + 1u] + s[r * 4u + 2u]);
      if (w + 1u < params.out_w) {
        finish(line + vec2<u32>(params.y_w, params.r_w), m, s[r * 4u + 1u] - s[r * 4u + 2u] - s[r * 4u + 3u]);
      }
    }
  }
}
