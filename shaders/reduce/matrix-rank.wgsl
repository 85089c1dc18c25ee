// reduce/matrix-rank: y = the numeric rank of every matrix x [rows, cols], by Gram-Schmidt orthogonalisation with column
// pivoting (Businger and Golub 1965): take the column with the largest norm, subtract its direction from all others, and
// count until no column is longer than max(rows, cols) * 2^-23 * the norm of the whole matrix. Norms are summed up anew in
// every step, not updated, so that none is left over from cancellation. NaN where the matrix is not finite.
// One workgroup per matrix, one lane per column (in turns where there are more), rank + 1 passes over the matrix of 8 B
// per element, one barrier each. The matrix is first divided by its greatest element, so that no square over- or underflows.
override WG_SIZE: u32 = 32;

struct Params {
  matrices: u32,
  rows: u32,
  cols: u32,
}

@group(0) @binding(0) var<storage, read> x: array<u32>; // the bits of f32
@group(0) @binding(1) var<storage, read_write> work: array<f32>; // as x
@group(0) @binding(2) var<storage, read_write> norms: array<f32>; // squared, [matrices, cols]; -1 where a column is used up
@group(0) @binding(3) var<storage, read_write> y: array<u32>; // the bits of f32
@group(0) @binding(4) var<uniform> params: Params;

// What every lane has found: written on one side while the other may still be read.
var<workgroup> found_norm: array<f32, WG_SIZE * 2>;
var<workgroup> found_column: array<u32, WG_SIZE * 2>;
var<workgroup> found_bits: array<u32, WG_SIZE>;

const INFINITY_BITS: u32 = 0x7f800000u;
const LEAST_NORMAL: u32 = 0x00800000u;

@compute @workgroup_size(WG_SIZE)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let m = g.x + g.y * n.x;
  if (m >= params.matrices) { return; }
  let lane = l.x;
  let rows = params.rows;
  let cols = params.cols;
  let base = m * rows * cols;
  let norm_base = m * cols;

  // The greatest magnitude; as bits, so that NaN counts as greater than everything.
  var bits = 0u;
  for (var j = lane; j < cols; j += WG_SIZE) {
    for (var i = 0u; i < rows; i++) { bits = max(bits, x[base + i * cols + j] & 0x7fffffffu); }
  }
  found_bits[lane] = bits;
  workgroupBarrier();
  for (var k = 0u; k < WG_SIZE; k++) { bits = max(bits, found_bits[k]); }
  let finite = bits < INFINITY_BITS;
  let scale = select(0.0, 1.0 / bitcast<f32>(max(bits, LEAST_NORMAL)), finite && bits >= LEAST_NORMAL);

  // A scaled copy, its norms, the whole norm.
  var own_norm = -1.0;
  var own_column = 0u;
  var sum = 0.0;
  for (var j = lane; j < cols; j += WG_SIZE) {
    var norm = 0.0;
    for (var i = 0u; i < rows; i++) {
      let at = base + i * cols + j;
      var v = 0.0;
      if (finite) { v = bitcast<f32>(x[at]) * scale; }
      work[at] = v;
      norm += v * v;
    }
    norms[norm_base + j] = norm;
    sum += norm;
    if (norm > own_norm) {
      own_norm = norm;
      own_column = j;
    }
  }
  found_norm[WG_SIZE + lane] = sum;
  workgroupBarrier();
  var total = 0.0;
  for (var k = 0u; k < WG_SIZE; k++) { total += found_norm[WG_SIZE + k]; }
  let relative = f32(max(rows, cols)) * 1.1920929e-7;
  let limit = relative * relative * total;

  var rank = 0u;
  let steps = min(rows, cols);
  for (var step = 0u; step < steps; step++) {
    let side = (step & 1u) * WG_SIZE;
    found_norm[side + lane] = own_norm;
    found_column[side + lane] = own_column;
    storageBarrier();
    workgroupBarrier();
    // The longest column; of equal ones the one that the lowest lane has.
    var pivot_norm = -1.0;
    var pivot = 0u;
    for (var k = 0u; k < WG_SIZE; k++) {
      if (found_norm[side + k] > pivot_norm) {
        pivot_norm = found_norm[side + k];
        pivot = found_column[side + k];
      }
    }
    if (pivot_norm > limit) {
      rank++;
      own_norm = -1.0;
      for (var j = lane; j < cols; j += WG_SIZE) {
        if (j == pivot) { norms[norm_base + j] = -1.0; }
        if (norms[norm_base + j] < 0.0) { continue; }
        var dot = 0.0;
        for (var i = 0u; i < rows; i++) { dot += work[base + i * cols + j] * work[base + i * cols + pivot]; }
        let factor = dot / pivot_norm;
        var norm = 0.0;
        for (var i = 0u; i < rows; i++) {
          let v = work[base + i * cols + j] - factor * work[base + i * cols + pivot];
          work[base + i * cols + j] = v;
          norm += v * v;
        }
        norms[norm_base + j] = norm;
        if (norm > own_norm) {
          own_norm = norm;
          own_column = j;
        }
      }
    }
  }
  if (lane == 0u) { y[m] = select(0x7fc00000u, bitcast<u32>(f32(rank)), finite); }
}
