// The end of kernels whose lanes are the 8 rows of RG slices by V columns: residual, activation and store of all sums, which began with their bias. The including
// file says by slice_row which output channel a lane's row of a slice is, or NONE, and what RG and V are.
const NONE: u32 = 0xffffffffu;
const SUMS: u32 = RG * V;

// A loop whose bound no compiler sees, and selects rather than an array indexed at run time: see lib/block.
fn store_slices(first: u32, group: vec3<u32>, lane: u32, acc: ptr<function, array<X, SUMS>>) {
  let count = V - u32(max(i32(first + V) - i32(params.columns), 0));
  let slices = RG - u32(params.columns == 0u);
  for (var v = 0u; v < count; v++) {
    let out = column_out(params, first + v);
    var sums: array<X, RG>;
    for (var s: u32 = 0u; s < RG; s++) { // @unroll
      sums[s] = (*acc)[s * V];
      for (var i: u32 = 1u; i < V; i++) { // @unroll
        sums[s] = select(sums[s], (*acc)[s * V + i], v == i);
      }
    }
    for (var s = 0u; s < slices; s++) {
      var sum = sums[0];
      for (var i: u32 = 1u; i < RG; i++) { // @unroll
        sum = select(sum, sums[i], s == i);
      }
      let m = slice_row(group, s, lane);
      if (m != NONE) { finish_biased(out, m, sum); }
    }
  }
}
