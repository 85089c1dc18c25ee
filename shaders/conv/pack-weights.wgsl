// conv/pack-weights: W [rows, K] of a variable weight -> the panels that conv/gather-block reads, [block][K][R], times a
// scale per row (a folded BatchNormalization). Rows past the end of a group become zeros.
// One thread per entry of a block row. Reads 4 B and 8R B, writes 4R B. No barrier.
override WG_SIZE: u32 = 64;
struct Params {
  rows_per_group: u32,
  blocks_per_group: u32,
  k: u32,
  r: u32,
  panel_rows: u32, // blocks x K
  group_stride: u32, // of W, in words
  row_stride: u32,
}

@group(0) @binding(0) var<storage, read> weight: array<f32>;
@group(0) @binding(1) var<storage, read> scale: array<f32>; // one per row
@group(0) @binding(2) var<storage, read> entries: array<u32>; // where entry k of a row lies, behind the row's start
@group(0) @binding(3) var<storage, read_write> panels: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WG_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) lane: vec3<u32>,
) {
  let i = (group.x + group.y * groups.x) * WG_SIZE + lane.x;
  if (i >= params.panel_rows) { return; }
  let block = i / params.k;
  let at = entries[i - block * params.k];
  let conv_group = block / params.blocks_per_group;
  let first = (block - conv_group * params.blocks_per_group) * params.r;
  let start = conv_group * params.group_stride + at;
  let scales = conv_group * params.rows_per_group;
  for (var r = 0u; r < params.r; r++) {
    let row = first + r;
    var value = 0.0;
    if (row < params.rows_per_group) { value = weight[start + row * params.row_stride] * scale[scales + row]; }
    panels[i * params.r + r] = value;
  }
}
