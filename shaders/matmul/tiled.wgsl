// matmul/tiled: run-time x run-time matrix product with any steps through workgroup memory: a workgroup of SIDE x SIDE threads
// computes a tile of (SIDE T) x (SIDE T), T x T per thread in registers, K words of the inner axis at a time. A is stored
// transposed, so both register loads run along a line. For GPUs with real workgroup memory; software adapters are slower by it.
// Each staging load runs along the axis that is contiguous in memory, so lanes coalesce.
// Workgroup memory: 8 K SIDE T bytes (8 KiB at K = 16, SIDE T = 64; 16 KiB at K = 16, 128). Two barriers per K words.
// @include "lib/activation.wgsl"
// @include "lib/matmul.wgsl"
override ACT: u32 = 0;
const SIDE: u32 = 16u; // @spec 8 16
const T: u32 = 4u; // @spec 4 8
const K: u32 = 16u; // @spec 8 16

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> c: array<f32>; // A again when unused
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<uniform> params: Matmul;

const LINE: u32 = SIDE * T;
var<workgroup> a_tile: array<f32, LINE * K>; // [k][row]
var<workgroup> b_tile: array<f32, LINE * K>; // [k][column]

@compute @workgroup_size(SIDE, SIDE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) lane: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let across = (params.columns + LINE - 1u) / LINE;
  let down = (params.rows + LINE - 1u) / LINE;
  let number = group.x + group.y * groups.x;
  let matrix = number / (across * down);
  let column0 = (number % across) * LINE;
  let row0 = ((number / across) % down) * LINE;
  // A surplus workgroup of a folded grid joins in the barriers with an empty matrix.
  let inside = matrix < params.batch;
  let base = matrices(min(matrix, params.batch - 1u));
  var acc: array<f32, T * T>;
  for (var i: u32 = 0u; i < T * T; i++) { // @unroll
    acc[i] = 0.0;
  }
  for (var k0 = 0u; k0 < params.inner; k0 += K) {
    for (var i = thread; i < LINE * K; i += SIDE * SIDE) {
      var k = i / LINE;
      var row = i % LINE;
      if (params.a_inner == 1u) {
        k = i % K;
        row = i / K;
      }
      var value = 0.0;
      if (inside && row0 + row < params.rows && k0 + k < params.inner) {
        value = a[base.x + (row0 + row) * params.a_row + (k0 + k) * params.a_inner];
      }
      a_tile[k * LINE + row] = value;
    }
    for (var i = thread; i < LINE * K; i += SIDE * SIDE) {
      var k = i / LINE;
      var column = i % LINE;
      if (params.b_inner == 1u) {
        k = i % K;
        column = i / K;
      }
      var value = 0.0;
      if (inside && column0 + column < params.columns && k0 + k < params.inner) {
        value = b[base.y + (k0 + k) * params.b_inner + (column0 + column) * params.b_column];
      }
      b_tile[k * LINE + column] = value;
    }
    workgroupBarrier();
    for (var k = 0u; k < K; k++) {
      var left: array<f32, T>;
      for (var t: u32 = 0u; t < T; t++) { // @unroll
        left[t] = a_tile[k * LINE + lane.y * T + t];
      }
      for (var v: u32 = 0u; v < T; v++) { // @unroll
        let right = b_tile[k * LINE + lane.x + v * SIDE];
        for (var t: u32 = 0u; t < T; t++) { // @unroll
          acc[t * T + v] += left[t] * right;
        }
      }
    }
    workgroupBarrier();
  }
  for (var t: u32 = 0u; t < T; t++) { // @unroll
    for (var v: u32 = 0u; v < T; v++) { // @unroll
      let row = row0 + lane.y * T + t;
      let column = column0 + lane.x + v * SIDE;
      if (inside && row < params.rows && column < params.columns) {
        var value = params.alpha * acc[t * T + v];
        if (params.has_c != 0u) { value += params.beta * c[params.c_base + row * params.c_row + column * params.c_column]; }
        y[(matrix * params.rows + row) * params.columns + column] = activate(value, ACT, params.act_a, params.act_b);
      }
    }
  }
}
