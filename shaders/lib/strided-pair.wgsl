// Strided loops over two operands and a result, shared by the element-wise kernels of two operands. Loop 0 is the
// innermost. A kernel that includes this declares `const RANK: u32` (marked @spec) and the uniform `params: PairLoops`.
struct PairLoops {
  count: u32, // threads with something to do
  a_base: u32,
  b_base: u32,
  y_base: u32,
  shape: array<vec4<u32>, 2>,
  a_steps: array<vec4<u32>, 2>,
  b_steps: array<vec4<u32>, 2>,
  y_steps: array<vec4<u32>, 2>,
  factor: f32,
}

// Words of a, b and y that the i-th visit touches.
fn pair_offsets(i: u32) -> vec3<u32> {
  var rest = i;
  var at = vec3<u32>(params.a_base, params.b_base, params.y_base);
  for (var d: u32 = 0u; d < RANK; d++) { // @unroll
    let size = params.shape[d / 4u][d % 4u];
    let next = rest / size;
    let index = rest - next * size;
    rest = next;
    at += index * vec3<u32>(params.a_steps[d / 4u][d % 4u], params.b_steps[d / 4u][d % 4u], params.y_steps[d / 4u][d % 4u]);
  }
  return at;
}
