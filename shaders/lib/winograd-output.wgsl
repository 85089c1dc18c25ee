// The output transform of Winograd's minimal filtering: Y = A^T m A of the T T products of a tile, then bias, residual and
// activation on the way to y. x holds the products, T T x rows x tiles.
// Of Columns: columns counts tiles x planes x images, out_w and out_h pixels, x_d steps from row to row of the products and x_group
// from matrix to matrix. One thread per output channel, tile and load. Reads T T X, writes M M X. No barrier.
override WG_SIZE: u32 = 32;

fn transform(group: vec3<u32>, thread: u32) {
  let t = group.x * WG_SIZE + thread;
  if (t >= params.columns) { return; }
  let channel = group.y;
  let tiles_w = (params.out_w + M - 1u) / M;
  let tiles_h = (params.out_h + M - 1u) / M;
  let tile = t / params.inner;
  let row = tile / tiles_w;
  let at = channel * params.x_d + t;
  // A^T m, one column at a time.
  var s: array<X, M * T>;
  for (var j: u32 = 0u; j < T; j++) { // @unroll
    var p: array<X, T>;
    for (var i: u32 = 0u; i < T; i++) { // @unroll
      p[i] = x_at(at + (i * T + j) * params.x_group);
    }
    let line = output_line(p);
    for (var i: u32 = 0u; i < M; i++) { // @unroll
      s[i * T + j] = line[i];
    }
  }
  var outputs: array<X, M * M>;
  for (var i: u32 = 0u; i < M; i++) { // @unroll
    var p: array<X, T>;
    for (var j: u32 = 0u; j < T; j++) { // @unroll
      p[j] = s[i * T + j];
    }
    let line = output_line(p);
    for (var j: u32 = 0u; j < M; j++) { // @unroll
      outputs[i * M + j] = line[j];
    }
  }
  let plane = row / tiles_h;
  let h = (row - plane * tiles_h) * M;
  let w = (tile - row * tiles_w) * M;
  let image = t - tile * params.inner;
  let y_at = params.y_base + plane * params.y_d + h * params.y_h + w * params.y_w + image;
  let r_at = params.r_base + plane * params.r_d + h * params.r_h + w * params.r_w + image;
  // Loops whose bounds no compiler sees: unrolled, sixteen ends would be most of the kernel's code (see lib/block).
  let rows = M - u32(max(i32(h + M) - i32(params.out_h), 0));
  let columns = M - u32(max(i32(w + M) - i32(params.out_w), 0));
  for (var i = 0u; i < rows; i++) {
    for (var j = 0u; j < columns; j++) {
      let out = vec2<u32>(y_at + i * params.y_h + j * params.y_w, r_at + i * params.r_h + j * params.r_w);
      finish(out, channel, outputs[i * M + j]);
    }
  }
}
