// conv/pack-weights: W [rows, K] of a variable weight -> the panels that conv/gather-block reads, [block][K][R], times a
// scale per row (a folded BatchNormalization). Rows past the end of a group become zeros.
// One thread per packed float. Reads 12 B, writes 4 B. No barrier.
override WG_SIZE: u32 = 64;
struct Params {
  rows_per_group: u32,
  blocks_per_group: u32,
  k: u32,
  r: u32,
  packed: u32, // floats to write
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
  if (i >= params.packed) { return; }
  let r = i % params.r;
  let k = (i / params.r) % params.k;
  let block = i / (params.r * params.k);
  let conv_group = block / params.blocks_per_group;
  let row = (block - conv_group * params.blocks_per_group) * params.r + r;
  var value = 0.0;
  if (row < params.rows_per_group) {
    value = weight[conv_group * params.group_stride + row * params.row_stride + entries[k]]
      * scale[conv_group * params.rows_per_group + row];
  }
  panels[i] = value;
}
