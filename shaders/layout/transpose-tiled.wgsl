// layout/transpose-tiled: a transposition through workgroup memory, for sizes that layout/transpose-quads cannot take.
// Loop 0 runs along the axis contiguous in `to`, loop 1 along the axis contiguous in `from`; a workgroup of 16 x 16 moves a
// tile of 32 x 32 words, so both its reads and its writes are runs of 64 B. Loops from 2 on are counted by the tile's number.
// Workgroup memory: 4,224 B (a padding word per line keeps the banks apart). One barrier.
// @include "lib/strided.wgsl"
const RANK: u32 = 4u; // @spec 2 3 4 5 6 7 8
const SIDE: u32 = 16u;
const TILE: u32 = 32u;

@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read_write> dest: array<u32>;
@group(0) @binding(2) var<uniform> params: Loops; // count is the number of tiles

var<workgroup> tile: array<u32, 1056>; // TILE x (TILE + 1)

@compute @workgroup_size(16, 16)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) lane: vec3<u32>,
) {
  let number = group.x + group.y * groups.x;
  let lines = params.shape[0].x; // along to
  let words = params.shape[0].y; // along from
  let tiles_x = (lines + TILE - 1u) / TILE;
  let tiles_y = (words + TILE - 1u) / TILE;
  let x0 = (number % tiles_x) * TILE;
  let y0 = ((number / tiles_x) % tiles_y) * TILE;
  let inside = number < params.count;
  var rest = number / (tiles_x * tiles_y);
  var at = vec2<u32>(params.from_base, params.to_base);
  for (var d: u32 = 2u; d < RANK; d++) { // @unroll
    let size = params.shape[d / 4u][d % 4u];
    let next = rest / size;
    let index = rest - next * size;
    rest = next;
    at += index * vec2<u32>(params.from_steps[d / 4u][d % 4u], params.to_steps[d / 4u][d % 4u]);
  }
  for (var j: u32 = 0u; j < TILE; j += SIDE) { // @unroll
    for (var i: u32 = 0u; i < TILE; i += SIDE) { // @unroll
      let line = lane.y + j;
      let word = lane.x + i;
      if (inside && x0 + line < lines && y0 + word < words) {
        tile[line * (TILE + 1u) + word] = source[at.x + (x0 + line) * params.from_steps[0].x + y0 + word];
      }
    }
  }
  workgroupBarrier();
  for (var j: u32 = 0u; j < TILE; j += SIDE) { // @unroll
    for (var i: u32 = 0u; i < TILE; i += SIDE) { // @unroll
      let word = lane.y + j;
      let line = lane.x + i;
      if (inside && x0 + line < lines && y0 + word < words) {
        dest[at.y + (y0 + word) * params.to_steps[0].y + x0 + line] = tile[line * (TILE + 1u) + word];
      }
    }
  }
}
