// Run-time x run-time matrix product in vec4s, R rows x V vec4 columns per thread, no workgroup memory.
// Needs rows of A contiguous along k and rows of B along the columns, both sizes and every step a multiple of four; steps
// are in words as elsewhere. Four steps of k share one vec4 of A per row. The including file says what R is, and how the rows of
// A are fetched. Rows and columns past the end read the last one again; they are not stored.
override WG_SIZE: u32 = 32;
override ACT: u32 = 0;
const V: u32 = 2u; // @spec 1 2 4

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> c: array<f32>; // bound to something else when unused
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> params: Matmul;

fn product(number: u32, thread: u32, lane: u32) {
  let columns = params.columns / 4u;
  let across = (columns + WG_SIZE * V - 1u) / (WG_SIZE * V);
  let down = (params.rows + R - 1u) / R;
  let matrix = number / (across * down);
  if (matrix >= params.batch) { return; }
  let first = (number % across) * (WG_SIZE * V) + thread;
  let row = ((number / across) % down) * R;
  let base = matrices(matrix) / 4u;
  let b_inner = params.b_inner / 4u;
  var a_at = starts(base.x, row, lane);
  var b_at: array<u32, V>;
  var acc: array<vec4<f32>, R * V>;
  for (var v: u32 = 0u; v < V; v++) { // @unroll
    b_at[v] = base.y + min(first + v * WG_SIZE, columns - 1u);
  }
  for (var i: u32 = 0u; i < R * V; i++) { // @unroll
    acc[i] = vec4<f32>();
  }
  for (var k = 0u; k < params.inner / 4u; k++) {
    var rows_of_a = fetch(&a_at, k);
    for (var v: u32 = 0u; v < V; v++) { // @unroll
      let at = b_at[v] + k * 4u * b_inner;
      let b0 = b[at];
      let b1 = b[at + b_inner];
      let b2 = b[at + 2u * b_inner];
      let b3 = b[at + 3u * b_inner];
      for (var r: u32 = 0u; r < R; r++) { // @unroll
        let l = left(&rows_of_a, r);
        acc[r * V + v] += l.x * b0 + l.y * b1 + l.z * b2 + l.w * b3;
      }
    }
  }
  // The end is a loop over an array of its own, as in lib/block.
  var sums: array<vec4<f32>, R * V>;
  for (var i: u32 = 0u; i < R * V; i++) { // @unroll
    sums[i] = acc[i];
  }
  let count = R - u32(max(i32(row + R) - i32(params.rows), 0));
  for (var v = 0u; v < V; v++) {
    let column = first + v * WG_SIZE;
    if (column < columns) {
      for (var r = 0u; r < count; r++) {
        var value = params.alpha * sums[r * V + v];
        if (params.has_c != 0u) {
          let at = params.c_base + (row + r) * params.c_row + column * 4u * params.c_column;
          value += params.beta * vec4<f32>(
            c[at],
            c[at + params.c_column],
            c[at + 2u * params.c_column],
            c[at + 3u * params.c_column],
          );
        }
        y[(matrix * params.rows + row + r) * columns + column] = activate4(value, ACT, params.act_a, params.act_b);
      }
    }
  }
}
