// Geometry of a batched matrix product y[b] = act(alpha * A[b] * B[b] + beta * C), shared by the matmul kernels. Steps are in
// words, so transposed and broadcast operands are only other steps; y is row-major. Loop 0 of the batch is the innermost.
// A kernel that includes this declares the uniform `params: Matmul`.
struct Matmul {
  rows: u32,
  columns: u32,
  inner: u32,
  batch: u32,
  a_base: u32,
  a_row: u32,
  a_inner: u32,
  b_base: u32,
  b_inner: u32,
  b_column: u32,
  has_c: u32, // 0 or 1; a branch on it is cheaper than twice the pipelines
  c_base: u32,
  c_row: u32,
  c_column: u32,
  batch_rank: u32,
  alpha: f32,
  beta: f32,
  act_a: f32,
  act_b: f32,
  batch_shape: array<vec4<u32>, 2>,
  a_batch: array<vec4<u32>, 2>,
  b_batch: array<vec4<u32>, 2>,
}

// Where matrix `number` of the batch starts in A (x) and in B (y).
fn matrices(number: u32) -> vec2<u32> {
  var rest = number;
  var at = vec2<u32>(params.a_base, params.b_base);
  for (var d = 0u; d < params.batch_rank; d++) {
    let size = params.batch_shape[d / 4u][d % 4u];
    let next = rest / size;
    at += (rest - next * size) * vec2<u32>(params.a_batch[d / 4u][d % 4u], params.b_batch[d / 4u][d % 4u]);
    rest = next;
  }
  return at;
}
