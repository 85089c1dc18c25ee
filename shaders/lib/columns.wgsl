// Geometry of the columns layout shared by the gather kernels. A column is one output pixel of one image (scalar kernels)
// or of four images (vec4 kernels); strides and bases are in the kernel's own unit, f32 or vec4.
struct Columns {
  columns: u32, // output pixels x images (or image quads)
  inner: u32, // images or image quads per pixel
  out_w: u32,
  out_h: u32,
  x_base: u32, // of the first tap of output pixel 0
  x_d: u32, // step of x per output pixel along depth, height, width: stride x pitch
  x_h: u32,
  x_w: u32,
  x_group: u32, // step of x per convolution group
  x_tap: u32, // step of x from tap to tap, where all lie evenly; else 0
  y_base: u32,
  y_channel: u32,
  y_d: u32,
  y_h: u32,
  y_w: u32,
  r_base: u32, // the residual's own geometry (its halo may differ from y's)
  r_channel: u32,
  r_d: u32,
  r_h: u32,
  r_w: u32,
  blocks_per_group: u32,
  rows_per_group: u32,
  k: u32, // entries of a dense row
  strip_rows: u32, // x in strips: rows of a strip; else 0
  strip_height: u32, // and of a plane; rows of y then repeat every y_d, which no row is longer than
  act_a: f32,
  act_b: f32,
  scale: f32, // of sums whose weights lie times its inverse; else 1
}

// Workgroups run one after the other along x first. Where all rows of W are small beside x, those that read the same columns of x follow
// each other, and find them in a cache.
override ROWS_FIRST: bool = false;

// A workgroup by its columns (x) and its rows (y).
fn columns_by_rows(group: vec3<u32>) -> vec3<u32> {
  return select(group, group.yxz, ROWS_FIRST);
}

// Where the first tap of a column lies in x, without the group's share.
fn column_base(p: Columns, column: u32) -> u32 {
  let pixel = column / p.inner;
  let row = pixel / p.out_w;
  let depth = row / p.out_h;
  return p.x_base + depth * p.x_d + (row - depth * p.out_h) * p.x_h + (pixel - row * p.out_w) * p.x_w
    + (column - pixel * p.inner);
}

// Where a column of channel 0 lies in y (x) and in the residual (y).
fn column_out(p: Columns, column: u32) -> vec2<u32> {
  let pixel = column / p.inner;
  let row = pixel / p.out_w;
  let depth = row / p.out_h;
  let h = row - depth * p.out_h;
  let w = pixel - row * p.out_w;
  let i = column - pixel * p.inner;
  return vec2<u32>(
    p.y_base + depth * p.y_d + h * p.y_h + w * p.y_w + i,
    p.r_base + depth * p.r_d + h * p.r_h + w * p.r_w + i,
  );
}
