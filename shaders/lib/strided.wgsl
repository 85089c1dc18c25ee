// Strided loops over two views of one tensor, shared by the movement kernels. Loop 0 is the innermost; loops from RANK on
// have size 1 and are not visited. Steps may be negative: they are held modulo 2^32, and so are the sums.
// A kernel that includes this declares `const RANK: u32` (marked @spec) and the uniform `params: Loops`.
struct Loops {
  count: u32, // threads (or tiles) with something to do
  from_base: u32,
  to_base: u32,
  shape: array<vec4<u32>, 2>,
  from_steps: array<vec4<u32>, 2>,
  to_steps: array<vec4<u32>, 2>,
}

// Where the i-th visit reads (x) and writes (y).
fn loop_offsets(i: u32) -> vec2<u32> {
  var rest = i;
  var at = vec2<u32>(params.from_base, params.to_base);
  for (var d: u32 = 0u; d < RANK; d++) { // @unroll
    let size = params.shape[d / 4u][d % 4u];
    let next = rest / size;
    let index = rest - next * size;
    rest = next;
    at += index * vec2<u32>(params.from_steps[d / 4u][d % 4u], params.to_steps[d / 4u][d % 4u]);
  }
  return at;
}
